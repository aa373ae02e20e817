"""The tensor that is traced and its rules."""
