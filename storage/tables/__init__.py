"""Tables that are more than their files: which files count is written in a log of theirs, which kept readers read."""
