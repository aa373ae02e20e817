"""Edges of photographs: `python scripts/detect_edges.py input=PHOTO_OR_FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import detect_edges

if __name__ == "__main__":
    detect_edges()
