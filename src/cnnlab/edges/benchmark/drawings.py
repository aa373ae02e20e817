"""Photographs beside what people and a network drew in them. H, W photograph, C colour."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

TITLES = ("photograph", "people", "network")


def drawings(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """One row a photograph: image (H, W, C) in [0, 1], the share of people and the network's probability, (H, W)
    each in [0, 1], black on white."""
    assert rows, "a picture needs a photograph"
    heights = [image_HWC.shape[0] / image_HWC.shape[1] for image_HWC, _, _ in rows]
    figure = Figure(figsize=(9.0, 3.0 * sum(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, (image_HWC, share_HW, strength_HW) in zip(axes, rows, strict=True):
        line[0].imshow(image_HWC, vmin=0, vmax=1)
        for axis, map_HW in ((line[1], share_HW), (line[2], strength_HW)):
            axis.imshow(map_HW, cmap="gray_r", vmin=0, vmax=1)
        for axis in line:
            axis.set_axis_off()
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=9)
    return figure
