"""The Berkeley boundary benchmark: `python scripts/benchmark_edges.py detector=NAME`. All options: `--help`."""

from cnnlab.cli.entry import benchmark_edges

if __name__ == "__main__":
    benchmark_edges()
