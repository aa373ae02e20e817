"""From configurations `detector=NAME` to detectors."""

from collections.abc import Mapping, Sequence
from typing import cast

from hydra import compose
from omegaconf import DictConfig
from torch import nn

from cnnlab._choices import UsageError
from cnnlab.cli.check import check
from cnnlab.cli.targets import read
from cnnlab.edges.benchmark.sources import check_names
from cnnlab.edges.contract import Detector


def build_detector(config: DictConfig) -> Detector:
    """The detector that `config` describes.

    Raises UsageError for a class that is no module of an allowed package, and for arguments or a bank that can't be.
    """
    located, values = read("detector", config, nn.Module)
    if not callable(getattr(located, "thinned", None)):
        raise UsageError(f"detector: {located.__name__} is no detector of edges")
    try:
        return cast(Detector, located(**values))
    except UsageError as error:
        raise UsageError(f"detector: {error}") from error


def build_detectors(chosen: Mapping[str, DictConfig], names: Sequence[str]) -> dict[str, Detector]:
    """Those of `chosen`, then those that configurations called `names` describe. UsageError if a name comes twice."""
    configs = dict(chosen)
    check_names([*chosen, *names])
    for name in names:
        composed = compose("benchmark_edges", [f"detector={name}"])
        check(composed, "cnnlab.cli.programs.benchmark_edges")
        configs[name] = composed.detector
    return {name: build_detector(config) for name, config in configs.items()}
