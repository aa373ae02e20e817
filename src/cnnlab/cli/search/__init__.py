"""A search: its space, and its trials, each one a run."""
