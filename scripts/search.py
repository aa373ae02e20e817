"""Search for good values: `python scripts/search.py +search=learning_rate`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("search")
