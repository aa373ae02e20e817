"""Test a checkpoint: `python scripts/evaluate.py run=FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("evaluate")
