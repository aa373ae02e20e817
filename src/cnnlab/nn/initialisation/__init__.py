"""A filter bank written into a convolution."""
