"""The benchmark job: how well detectors, or maps of any program, find the boundaries that people drew."""

import os
from collections.abc import Iterable
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab.cli.configs import trusted
from cnnlab.cli.detectors import build_detectors
from cnnlab.cli.interruption import interrupted_with
from cnnlab.edges.benchmark.benchmark import benchmark_edges
from cnnlab.runs.record import RunRecord, recorded

OPTIONS = (
    *("split", "limit", "grey", "device", "thresholds", "tolerance", "thin", "people", "resamples", "processes"),
    *("cache", "seed"),
)


def run(config: DictConfig, folder: Path) -> int:
    """Leave benchmark.json, benchmark.csv and figures/precision_recall.png in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    if config.data.get("name") != "bsds500":
        raise UsageError(f"data: {config.data.get('name')} has no boundaries; take data=bsds500")
    alone = config.get("detector")
    chosen = {} if alone is None else {str(HydraConfig.get().runtime.choices["detector"]): alone}
    detectors = build_detectors(chosen, listed(config.detectors), trusted(config))
    record = RunRecord(folder, sources=[*detectors, *listed(config.predictions)])
    kept = "" if config.cache is None else f"; what was counted is kept in {config.cache}: the same command goes on"
    with interrupted_with(f"interrupted{kept}"), recorded(record, folder):
        options = {name: config[name] for name in OPTIONS}
        results = benchmark_edges(str(config.data.root), detectors, listed(config.predictions), **options)
        results.write(folder)
        record.finish("completed", **results.facts, ods={one.name: one.scores.ods.f for one in results.results})
    results.print()
    print(folder)
    return 0


def listed(value: object) -> list[str]:
    """One value, or several, or none."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [str(one) for one in value]
    return [] if value is None else [str(value)]
