"""Classes that were renamed: configurations and folders of an earlier version name them as they were called then."""

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
