"""How far first-derivative kernels mistake the direction of a plane wave: a table, and a figure.

python benchmarks/orientation.py [FIGURE.png]

A angles, h w kernel sides.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from cnnlab.filters import FilterBank, bank

KERNELS = {
    "central": "central",
    "prewitt": "prewitt",
    "sobel": "sobel",
    "scharr": "scharr",
    "farid": "farid",
    "gaussian, sigma 1": "gaussian(sigma=1, order=1, size=9)",
}
FREQUENCY = 1.2  # radians per pixel
ANGLES = 19  # every 5 degrees of a quarter turn, after which the errors repeat
FINE = 1e-3  # degrees: what is smaller is drawn here, on the logarithmic scale


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


def orientation_errors(pair: FilterBank, frequency: float, angles: int = ANGLES) -> Tensor:
    """(A,) float64, degrees: the estimated minus the true direction of a plane wave cos(k·x), at A directions.

    Directions run from 0 to 90 degrees, both included. `frequency` is |k| in radians per pixel, above 0, up to pi. The
    estimate is atan2 of the two kernels' amplitudes, which for antisymmetric kernels is the same at every phase of
    the wave. The bank is one (dy, dx) pair of odd side.
    """
    dy_hw, dx_hw = pair.kernels[list(pair.vectors[0]), 0]
    y, x = (torch.arange(side, dtype=torch.float64) - side // 2 for side in dy_hw.shape)
    true_A = torch.linspace(0, math.pi / 2, angles, dtype=torch.float64)
    phase_Ahw = frequency * (true_A.sin()[:, None, None] * y[:, None] + true_A.cos()[:, None, None] * x)
    down_A, across_A = ((kernel_hw * phase_Ahw.sin()).sum((-2, -1)) for kernel_hw in (dy_hw, dx_hw))
    return torch.rad2deg(torch.atan2(down_A, across_A) - true_A)


def draw(banks: Mapping[str, FilterBank]) -> Figure:
    """Left by frequency, right by direction; a quarter turn repeats."""
    frequencies = np.arange(0.05, 3.05, 0.05)
    largest = {name: [float(orientation_errors(b, f).abs().max()) for f in frequencies] for name, b in banks.items()}
    quarter = {name: orientation_errors(b, FREQUENCY, 91).tolist() for name, b in banks.items()}
    error = {name: values + values[1:] for name, values in quarter.items()}
    return orientation_figure(frequencies.tolist(), largest, list(range(181)), error, FREQUENCY)


def orientation_figure(
    frequency_F: Sequence[float],
    largest: Mapping[str, Sequence[float]],
    angle_A: Sequence[float],
    error: Mapping[str, Sequence[float]],
    at: float,
) -> Figure:
    """Left, the largest error over all directions against the frequency of the wave; right, the error at one frequency
    against the direction.

    frequency_F: radians per pixel, 0 < f <= pi; largest: by kernel, F errors in degrees; angle_A: degrees, of the
    wave's normal, from +x towards +y; error: by kernel, A errors in degrees, signed; at: the frequency on the right.
    """
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in largest:
        here = float(np.abs(error[name]).max())
        left.semilogy(frequency_F, np.maximum(largest[name], FINE), label=f"{name} {here:.2f}°")
        right.plot(angle_A, error[name])
    left.axvline(at, color="0.6", linewidth=0.8, linestyle=":")
    figure.legend(loc="outside lower center", ncols=min(len(largest), 6), fontsize=9, frameon=False)
    _label(left, "frequency of the wave, radians per pixel", "largest error, degrees", "over all directions")
    _label(right, "direction of the wave, degrees", "error, degrees", f"at {at:g} radians per pixel, the largest below")
    right.axhline(0, color="0.6", linewidth=0.8)
    right.set_xticks(np.arange(np.floor(min(angle_A) / 45) * 45, max(angle_A) + 1, 45))
    left.set_ylim(bottom=FINE)
    return figure


def _label(axis: Axes, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.set_title(title, fontsize=10, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="0.92")


if __name__ == "__main__":
    main()
