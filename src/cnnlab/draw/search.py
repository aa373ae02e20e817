"""What a search found: the trials in their order, and the score against every option."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab._choices import UsageError


def search_history(
    scores: Sequence[float],
    options: Mapping[str, Sequence[object]],
    logarithmic: Sequence[str],
    importance: Mapping[str, float],
) -> Figure:
    """The first panel: `scores` (higher is better) in order, with the best so far. Then one panel an option: the
    score against its value in that trial, numbers on an axis (`logarithmic` names those with a logarithmic one),
    text as categories. `importance`: an option's share of the variance, for the titles; may be empty.
    """
    if not scores:
        raise UsageError("there are no scores to draw")
    figure = Figure(figsize=(3.6 * (1 + len(options)), 3.4), layout="constrained")
    axes = figure.subplots(1, 1 + len(options), squeeze=False, sharey=True)[0]
    axes[0].plot(range(1, len(scores) + 1), scores, "o", markersize=4, label="trial")
    axes[0].plot(range(1, len(scores) + 1), np.maximum.accumulate(scores), drawstyle="steps-post", label="best so far")
    axes[0].set(xlabel="trial", ylabel="validation accuracy")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend(fontsize=8)
    best = int(np.argmax(scores))
    for axis, (name, values) in zip(axes[1:], options.items(), strict=True):
        axis.plot(values, scores, "o", markersize=4)
        axis.plot(values[best : best + 1], scores[best : best + 1], "o", markersize=9, fillstyle="none", color="C3")
        share = f", importance {importance[name]:.2f}" if name in importance else ""
        axis.set(xlabel=name, title=f"{name}{share}")
        if name in logarithmic:
            axis.set_xscale("log")
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure
