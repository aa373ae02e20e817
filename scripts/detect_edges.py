"""Edges of photographs: `python scripts/detect_edges.py input=PHOTO_OR_FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("detect_edges")
