"""Classes and words that were renamed: folders of an earlier version name them as they were called then."""

import re
from collections.abc import Mapping

# Whoever gives the old one is told the new one; folders of an earlier version go on.
CHOICES = {"edge_released": "edge_unfrozen", "edge_spanned": "edge_fixed_basis"}  # of model
WORDS = {  # options and values
    "release_epoch": "unfreeze_epoch",
    "released": "unfrozen",
    "spanned": "fixed_basis",
}
RENAMED = {
    "cnnlab.app.sweep.SweepTable": "cnnlab.cli.sweep.SweepTable",
    "cnnlab.data.boundaries.BoundaryData": "cnnlab.data.boundaries.module.BoundaryData",
    "cnnlab.data.module.ImageData": "cnnlab.data.images.module.ImageData",
    "cnnlab.training.boundary_task.BoundaryTask": "cnnlab.training.tasks.boundaries.BoundaryTask",
    "cnnlab.training.task.ClassificationTask": "cnnlab.training.tasks.classification.ClassificationTask",
}


def current_target(target: str) -> str:
    """The name that a class has today.

    >>> current_target("cnnlab.data.module.ImageData"), current_target("torch.optim.SGD")
    ('cnnlab.data.images.module.ImageData', 'torch.optim.SGD')
    """
    return RENAMED.get(target, target)


def current_text(text: str) -> str:
    """An option or an arm in today's words.

    >>> current_text("model.release_epoch=2"), current_text("jet/permuted@released:2")
    ('model.unfreeze_epoch=2', 'jet/permuted@unfrozen:2')
    """
    return re.sub(rf"\b({'|'.join(WORDS)})\b", lambda match: WORDS[match[1]], text)


def current_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a network in today's words."""
    named = {WORDS.get(name, name): value for name, value in arguments.items()}
    mode = named.get("mode")
    return {**named, "mode": current_text(mode)} if isinstance(mode, str) else named
