"""A run: one folder of one training."""
