"""Photographs and the boundaries that people drew in them."""
