"""Berkeley's boundary benchmark."""
