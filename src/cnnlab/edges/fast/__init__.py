"""Compiled walks over pixels."""
