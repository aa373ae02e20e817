"""Compare first layers over paired seeds: `python scripts/study.py study=init_digits`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("study")
