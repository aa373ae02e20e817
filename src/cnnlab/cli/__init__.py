"""Wiring: programs, configurations and run folders. The only room that imports Hydra.

A program answers --help and a mistake in its options before torch is imported, which takes seconds; so the modules
here that are imported first (`programs`, `cli`, `check`, `folders`) import nothing heavier than Hydra.
"""
