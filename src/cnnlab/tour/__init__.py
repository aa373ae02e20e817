"""The lecture, step by step."""
