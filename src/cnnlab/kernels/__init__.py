"""A layer looked at: table, stimuli, figures."""
