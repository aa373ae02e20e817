"""Paired statistics of studies."""
