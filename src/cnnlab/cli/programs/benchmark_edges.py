"""The benchmark job: how well detectors, or maps of any program, find the boundaries that people drew."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab._compiled import COMPILED
from cnnlab._parallel import cores, shown
from cnnlab.data.boundaries.berkeley import Photograph, photographs, read_boundaries
from cnnlab.edges.benchmark.bootstrap import draws, resampled
from cnnlab.edges.benchmark.counting import Settings, Work, counted
from cnnlab.edges.benchmark.evaluation import Counts, summarise
from cnnlab.edges.benchmark.results import Result, print_results, write_results
from cnnlab.edges.benchmark.sources import Source, sources_of
from cnnlab.runs.record import RunRecord, recorded


def run(config: DictConfig, folder: Path) -> int:
    """Leave benchmark.json, benchmark.csv and figures/precision_recall.png in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    settings = _settings(config)
    chosen = photographs(Path(str(config.data.root)), config.split)[: config.limit]
    sizes = {one.stem: read_boundaries(one.truth).shape[1:] for one in chosen}
    sources = sources_of(config, chosen, sizes)
    if not COMPILED:
        print("numba is not installed: this will take about fifty times as long. pip install numba")
    facts = {"split": config.split, "images": len(chosen), "seed": config.seed, **_rules(settings)}
    record = RunRecord(folder, sources=[source.name for source in sources], **facts)
    with _how_to_go_on(settings), recorded(record, folder):
        draws_BI = draws(len(chosen), config.resamples, config.seed)
        results = [_result(source, chosen, settings, draws_BI) for source in sources]
        people = _people(chosen, settings) if config.people else None
        write_results(folder, facts, results, people)
        record.finish("completed", ods={result.name: result.scores.ods.f for result in results})
    print_results(facts, results, people)
    print(folder)
    return 0


@contextmanager
def _how_to_go_on(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT
        kept = f"; what was counted is kept in {settings.folder}: the same command goes on" if settings.folder else ""
        raise KeyboardInterrupt(f"interrupted{kept}", number) from None


def _settings(config: DictConfig) -> Settings:
    for name, least in (("limit", 1), ("thresholds", 1), ("resamples", 1), ("processes", 1)):
        if config[name] is not None and config[name] < least:
            raise UsageError(f"{name}={config[name]}: {least} or more")
    if not 0 <= config.tolerance <= 1:
        raise UsageError(f"tolerance={config.tolerance}: a fraction of the diagonal, 0 to 1")
    if config.data.get("name") != "bsds500":
        raise UsageError(f"data: {config.data.get('name')} has no boundaries; take data=bsds500")
    kept = None if config.cache is None else Path(str(config.cache)).expanduser()
    return Settings(config.thresholds, float(config.tolerance), config.thin, kept, config.processes or cores())


def _rules(settings: Settings) -> dict[str, Any]:
    return {"thresholds": settings.thresholds, "tolerance": settings.tolerance, "thin": settings.thin}


def _result(source: Source, chosen: list[Photograph], settings: Settings, draws_BI: np.ndarray) -> Result:
    counts = list(shown(counted(_works(source, chosen), settings), len(chosen), source.name))
    own = {one.stem: summarise([count]).ods for one, count in zip(chosen, counts, strict=True)}
    return Result(source.name, source.facts, summarise(counts), resampled(counts, draws_BI), own)


def _works(source: Source, chosen: list[Photograph]) -> Iterator[Work]:
    for photograph in chosen:
        boundaries_AHW = read_boundaries(photograph.truth)
        strength_HW = source.map_of(photograph)
        if strength_HW.shape != boundaries_AHW.shape[1:]:
            sizes = ("x".join(map(str, shape)) for shape in (strength_HW.shape, boundaries_AHW.shape[1:]))
            raise UsageError("{} is {} pixels, but its boundaries are {}".format(photograph.image, *sizes))
        yield strength_HW, boundaries_AHW


def _people(chosen: list[Photograph], settings: Settings) -> tuple[float, float] | None:
    """Recall and precision of the annotators, each against the others; None where no image has two."""
    drawings = (read_boundaries(photograph.truth) for photograph in chosen)
    works: Iterator[Work] = ((None, drawing_AHW) for drawing_AHW in drawings if len(drawing_AHW) > 1)
    counts: list[Counts] = list(shown(counted(works, settings), len(chosen), "people"))
    if not counts:
        return None
    best = summarise(counts).ods
    return best.recall, best.precision
