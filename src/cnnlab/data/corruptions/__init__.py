"""Corruptions of test images, computed on the fly."""
