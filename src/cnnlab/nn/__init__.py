"""Trainable modules: a filter-bank front end, initialisation by a bank, and networks."""
