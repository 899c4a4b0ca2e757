"""The verdict for people: report, Markdown, and how numbers are written."""
