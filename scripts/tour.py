"""The lecture, executable: `python scripts/tour.py`, a page with every figure computed. All options: `--help`."""

from cnnlab.cli.entry import tour

if __name__ == "__main__":
    tour()
