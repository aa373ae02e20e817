"""The programs by name: what scripts/*.py and the installed commands call."""

from cnnlab.app.cli import launch


def train() -> None:
    launch(job="cnnlab.app.train", config_name="train")


def evaluate() -> None:
    launch(job="cnnlab.app.evaluate", config_name="evaluate")


def receptive_fields() -> None:
    launch(job="cnnlab.app.receptive_fields", config_name="receptive_fields")


def report() -> None:
    launch(job="cnnlab.app.report", config_name="report")


def kernels() -> None:
    launch(job="cnnlab.app.kernels", config_name="kernels")


def detect_edges() -> None:
    launch(job="cnnlab.app.detect_edges", config_name="detect_edges")


def benchmark_edges() -> None:
    launch(job="cnnlab.app.benchmark_edges", config_name="benchmark_edges")


def study() -> None:
    launch(job="cnnlab.app.study", config_name="study")


def tour() -> None:
    launch(job="cnnlab.app.tour", config_name="tour")


def search() -> None:
    launch(job="cnnlab.app.search", config_name="search")
