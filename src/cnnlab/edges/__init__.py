"""Edge detection by fixed kernels and by networks, and the Berkeley boundary benchmark."""
