"""How far from the truth first-derivative kernels say that a plane wave runs. F frequencies, A angles."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from cnnlab._choices import UsageError

FINE = 1e-3  # degrees: what is smaller is drawn here, on the logarithmic scale


def orientation_error(
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
    Raises ValueError if the two name other kernels, or lengths don't fit.
    """
    if list(largest) != list(error):
        raise UsageError(f"the same kernels on both sides; got {', '.join(largest)} and {', '.join(error)}")
    for name in largest:
        if (len(largest[name]), len(error[name])) != (len(frequency_F), len(angle_A)):
            raise UsageError(
                f"{name}: {len(frequency_F)} frequencies and {len(angle_A)} angles, but {len(largest[name])} and "
                f"{len(error[name])} errors"
            )
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


def _label(axis, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.set_title(title, fontsize=10, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="0.92")
