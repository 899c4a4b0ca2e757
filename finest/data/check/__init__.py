"""What a source is, told from a sample of it, and the config that it asks for."""
