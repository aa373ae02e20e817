"""Search for good values: `python scripts/search.py +search=learning_rate`. All options: `--help`."""

from cnnlab.cli.entry import search

if __name__ == "__main__":
    search()
