"""The Berkeley boundary benchmark: `python scripts/benchmark_edges.py detector=NAME`. All options: `--help`."""

from cnnlab.cli.entry import main

if __name__ == "__main__":
    main("benchmark_edges")
