"""Photographs of any size: found, decoded, cut."""
