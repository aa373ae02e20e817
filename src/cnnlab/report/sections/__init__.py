"""One file a section of a run's page."""
