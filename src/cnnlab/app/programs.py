"""The programs by name: what scripts/*.py and the installed commands call."""

from cnnlab.app.cli import launch


def train() -> None:
    launch(job="cnnlab.app.train", config_name="train")


def evaluate() -> None:
    launch(job="cnnlab.app.evaluate", config_name="evaluate")
