"""Networks of one architecture trained together."""
