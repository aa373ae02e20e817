"""How far first-derivative kernels mistake the direction of a plane wave: a table, and a figure.

python benchmarks/orientation.py [FIGURE.png]
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from cnnlab.edges.orientation_error import ANGLES, orientation_errors
from cnnlab.edges.orientation_figure import orientation_error
from cnnlab.filters import bank

KERNELS = {
    "central": "central",
    "prewitt": "prewitt",
    "sobel": "sobel",
    "scharr": "scharr",
    "farid": "farid",
    "gaussian, sigma 1": "gaussian(sigma=1, order=1, size=9)",
}
FREQUENCY = 1.2  # radians per pixel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", nargs="?", type=Path, help="a PNG to write")
    given = parser.parse_args()
    banks = {name: bank(expression) for name, expression in KERNELS.items()}
    table = Table("kernel", "largest error, degrees", title=f"{FREQUENCY} rad/px, {ANGLES} directions, 5 degrees apart")
    for name, pair in banks.items():
        table.add_row(name, f"{orientation_errors(pair, FREQUENCY).abs().max():.2f}")
    Console().print(table)
    if given.figure:
        draw(banks).savefig(given.figure, dpi=110)
        print(given.figure)


def draw(banks: dict) -> object:
    """Left by frequency, right by direction; a quarter turn repeats."""
    frequencies = np.arange(0.05, 3.05, 0.05)
    largest = {name: [float(orientation_errors(b, f).abs().max()) for f in frequencies] for name, b in banks.items()}
    quarter = {name: orientation_errors(b, FREQUENCY, 91).tolist() for name, b in banks.items()}
    error = {name: values + values[1:] for name, values in quarter.items()}
    return orientation_error(frequencies.tolist(), largest, list(range(181)), error, FREQUENCY)


if __name__ == "__main__":
    main()
