"""Train a network: `python scripts/train.py model=edge_init`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("train")
