"""The confusion matrix. K class."""

from matplotlib.figure import Figure
from torch import Tensor

NUMBERED = 20  # more classes than this have no room for numbers


def fractions(confusion_KK: Tensor) -> Tensor:
    """(K, K) float64 on the CPU: of the images of the true class; rows without an image are 0."""
    counts = confusion_KK.cpu().double()
    return counts / counts.sum(1, keepdim=True).clamp_min(1)


def confusion_matrix(confusion_KK: Tensor, names: list[str]) -> Figure:
    """Rows: the true class; columns: the prediction; colour: the fraction of the row; number: images."""
    fraction = fractions(confusion_KK)
    side = min(12.0, 2.2 + 0.42 * len(names))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(fraction.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, shrink=0.8, label="fraction of the true class")
    axis.set(xlabel="prediction", ylabel="true class")
    if len(names) <= 60:
        short = [name if len(name) <= 16 else f"{name[:15]}…" for name in names]
        axis.set_xticks(range(len(names)), short, rotation=45, ha="right", fontsize=8)
        axis.set_yticks(range(len(names)), short, fontsize=8)
    if len(names) <= NUMBERED:
        for row in range(len(names)):
            for column in range(len(names)):
                if count := int(confusion_KK[row, column]):
                    colour = "white" if fraction[row, column] > 0.5 else "black"
                    axis.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=7)
    return figure
