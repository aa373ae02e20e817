"""What learned kernels are like: `python scripts/kernels.py run=FOLDER`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("kernels")
