"""The record of a run, for programs (summary.json) and for people."""
