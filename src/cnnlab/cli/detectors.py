"""From configurations `detector=NAME` to detectors."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from hydra import compose
from omegaconf import DictConfig
from torch import nn

from cnnlab._choices import UsageError
from cnnlab._trust import made_by
from cnnlab.cli.check import check
from cnnlab.cli.messages import while_composing
from cnnlab.cli.targets import read
from cnnlab.edges.benchmark.sources import check_names
from cnnlab.edges.contract import Detector, validate_detector


def build_detector(config: DictConfig, trust: Collection[str] = ()) -> Detector:
    """The detector that `config` describes.

    Raises UsageError for a class that is no module of an allowed package, for arguments or a bank that can't be, and
    for one of your own that is not trusted or keeps a law of detectors not.
    """
    if config.get("factory") is not None:
        arguments = {str(name): value for name, value in (config.get("arguments") or {}).items()}
        own = cast(Detector, made_by(str(config.factory), trust, {}, arguments).value)
        validate_detector(own)
        return own
    located, values = read("detector", config, nn.Module)
    if not callable(getattr(located, "thinned", None)):
        raise UsageError(f"detector: {located.__name__} is no detector of edges")
    try:
        return cast(Detector, located(**values))
    except UsageError as error:
        raise UsageError(f"detector: {error}") from error


def build_detectors(
    chosen: Mapping[str, DictConfig], names: Sequence[str], trust: Collection[str] = ()
) -> dict[str, Detector]:
    """Those of `chosen`, then those that configurations called `names` describe. UsageError if a name comes twice."""
    configs = dict(chosen)
    check_names([*chosen, *names])
    for name in names:
        with while_composing("benchmark_edges"):
            composed = compose("benchmark_edges", [f"detector={name}"])
        check(composed, "benchmark_edges")
        configs[name] = composed.detector
    return {name: build_detector(config, trust) for name, config in configs.items()}
