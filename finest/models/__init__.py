"""Models: what one must implement, those that come with this library, and how they rank the catalogue."""
