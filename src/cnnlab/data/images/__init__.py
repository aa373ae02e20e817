"""Images with classes: read, split, loaded in batches."""
