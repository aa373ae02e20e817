"""Make the HTML page of a run: `python scripts/report.py run=FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("report")
