"""Test a checkpoint: `python scripts/evaluate.py run=FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import evaluate

if __name__ == "__main__":
    evaluate()
