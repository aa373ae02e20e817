"""The programs by name: what scripts/*.py and the installed commands call."""

from cnnlab.cli.launch import launch


def train() -> None:
    launch(job="cnnlab.cli.programs.train", config_name="train")


def evaluate() -> None:
    launch(job="cnnlab.cli.programs.evaluate", config_name="evaluate")


def receptive_fields() -> None:
    launch(job="cnnlab.cli.programs.receptive_fields", config_name="receptive_fields")


def report() -> None:
    launch(job="cnnlab.cli.programs.report", config_name="report")


def kernels() -> None:
    launch(job="cnnlab.cli.programs.kernels", config_name="kernels")


def detect_edges() -> None:
    launch(job="cnnlab.cli.programs.detect_edges", config_name="detect_edges")


def benchmark_edges() -> None:
    launch(job="cnnlab.cli.programs.benchmark_edges", config_name="benchmark_edges")


def study() -> None:
    launch(job="cnnlab.cli.programs.study", config_name="study")


def tour() -> None:
    launch(job="cnnlab.cli.programs.tour", config_name="tour")


def search() -> None:
    launch(job="cnnlab.cli.programs.search", config_name="search")
