"""The Berkeley boundary benchmark of detectors, and of maps of any program. A annotator, H height, W width."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab._choices import UsageError
from cnnlab._compiled import COMPILED
from cnnlab._parallel import cores, shown
from cnnlab.data.boundaries.berkeley import Photograph, photographs, read_boundaries
from cnnlab.edges.benchmark.bootstrap import draws, resampled
from cnnlab.edges.benchmark.counting import Settings, Work, counted
from cnnlab.edges.benchmark.evaluation import THRESHOLDS, TOLERANCE
from cnnlab.edges.benchmark.results import Result, Results
from cnnlab.edges.benchmark.scores import summarise
from cnnlab.edges.benchmark.sources import Source, check_truths, sources_of
from cnnlab.edges.contract import Detector

COUNTS = Path("outputs/benchmark_edges/counts")


def benchmark_edges(
    root: str | Path,
    detectors: Detector | Mapping[str, Detector] | None = None,
    predictions: str | Path | Sequence[str | Path] = (),
    *,
    split: str = "val",
    limit: int | None = None,
    grey: bool = False,
    device: str = "auto",
    thresholds: int = THRESHOLDS,
    tolerance: float = TOLERANCE,
    thin: bool = True,
    people: bool = True,
    resamples: int = 2000,
    processes: int | None = None,
    cache: str | Path | None = COUNTS,
    seed: int = 0,
) -> Results:
    """ODS, OIS, AP and R50 of the boundaries that detectors, and other programs, find in photographs of BSDS500.

    root: holds images/SPLIT and groundTruth/SPLIT, as the distribution unpacks. detectors: one, or several by name.
    predictions: a folder of PNG maps named as the photographs, white 1, or several. limit: so many photographs only,
    the first by name. grey: detect in the luma alone. device: cpu, cuda or auto, of the detectors.
    thresholds: so many, k / (thresholds + 1). tolerance: the largest distance between partners, a fraction of the
    diagonal. thin: thin the predicted pixels at each threshold. people: human agreement (leave one annotator out), too.
    resamples, seed: of the photographs, behind the 95 % intervals. processes: None: one on each core.
    cache: a folder where counts are kept, and read when they are needed again; None: nowhere.
    Raises UsageError, before anything is counted, for what is missing, doesn't fit or can't be.

    Martin, Fowlkes, Malik, PAMI 2004; Arbelaez, Maire, Fowlkes, Malik, PAMI 2011.

    >>> from cnnlab import EdgeDetector, benchmark_edges
    >>> results = benchmark_edges("BSDS500", {"default": EdgeDetector()}, limit=10)  # doctest: +SKIP
    >>> results["default"].scores.ods.f  # doctest: +SKIP
    """
    numbers = {"limit": limit, "thresholds": thresholds, "resamples": resamples, "processes": processes}
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise UsageError(f"{name}={value}: 1 or more")
    if not 0 <= tolerance <= 1:
        raise UsageError(f"tolerance={tolerance}: a fraction of the diagonal, 0 to 1")
    folder = None if cache is None else Path(cache).expanduser()
    settings = Settings(thresholds, float(tolerance), thin, folder, processes or cores())
    chosen = photographs(Path(root), split)[:limit]
    sizes = {one.stem: read_boundaries(one.truth).shape[1:] for one in chosen}
    check_truths(chosen, sizes)
    folders = [predictions] if isinstance(predictions, str | Path) else predictions
    sources = sources_of(detectors, folders, chosen, sizes, device=device, grey=grey)
    if not COMPILED:
        print("numba is not installed: this will take about fifty times as long. pip install numba")
    draws_BI = draws(len(chosen), resamples, seed)
    results = [_result(source, chosen, settings, draws_BI) for source in sources]
    agreement = _human_agreement(chosen, settings) if people else None
    return Results(split, len(chosen), seed, settings, tuple(results), agreement)


def _result(source: Source, chosen: list[Photograph], settings: Settings, draws_BI: np.ndarray) -> Result:
    counts = list(shown(counted(_works(source, chosen), settings), len(chosen), source.name))
    own = {photograph.stem: summarise([count]).ods for photograph, count in zip(chosen, counts, strict=True)}
    return Result(source.name, source.facts, summarise(counts), resampled(counts, draws_BI), own)


def _works(source: Source, chosen: list[Photograph]) -> Iterator[Work]:
    for photograph in chosen:
        yield source.map_of(photograph), read_boundaries(photograph.truth)


def _human_agreement(chosen: list[Photograph], settings: Settings) -> tuple[float, float] | None:
    """Recall and precision of each annotator against the others; None where no image has two."""
    drawings = [drawing_AHW for one in chosen if len(drawing_AHW := read_boundaries(one.truth)) > 1]
    works: Iterator[Work] = ((None, drawing_AHW) for drawing_AHW in drawings)
    counts = list(shown(counted(works, settings), len(drawings), "human agreement"))
    if not counts:
        return None
    best = summarise(counts).ods
    return best.recall, best.precision
