"""The lecture, executable: `python scripts/tour.py`, a page with every figure computed. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("tour")
