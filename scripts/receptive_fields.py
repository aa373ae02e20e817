"""What every layer sees: `python scripts/receptive_fields.py model=edge_init`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("receptive_fields")
