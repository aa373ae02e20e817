"""What the benchmark found, on the screen and on disk. T threshold, B resample of the images."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cnnlab._choices import check_choice
from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.boundaries import Curve, precision_recall
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.bootstrap import interval
from cnnlab.edges.benchmark.counting import Settings
from cnnlab.edges.benchmark.scores import Point, Scores, f_measure

Interval = tuple[float, float, float]  # a value, and the ends of its 95 % interval


class Published(NamedTuple):
    """What others reached on the 200 test photographs: a name, ODS, and where it is printed; None: nobody could say."""

    name: str
    ods: float
    source: str | None

    @property
    def label(self) -> str:
        """Its name in a picture, which says of a figure without a source that it has none."""
        return self.name if self.source else f"{self.name} (no source)"


# Sobel's is quoted here and there; neither a paper nor a program that gives it was found.
PUBLISHED = (
    Published("Sobel", 0.539, None),
    Published("Canny", 0.611, "table of Liu et al., Richer Convolutional Features for Edge Detection, PAMI 2019"),
    Published("gPb", 0.729, "gPb-UCM of Arbelaez et al., PAMI 2011, in the table of Liu et al., PAMI 2019"),
    Published("HED", 0.788, "Xie & Tu, Holistically-Nested Edge Detection, IJCV 2017"),
    Published("human", 0.803, "Arbelaez et al., PAMI 2011: leave one annotator out; three digits in Su et al."),
    Published("PiDiNet", 0.807, "Su et al., Pixel Difference Networks for Efficient Edge Detection, ICCV 2021"),
)


@dataclass(frozen=True, eq=False)
class Result:
    """A detector's scores, each of them for every resample, and the best point of each image by its name."""

    name: str
    facts: Mapping[str, object]
    scores: Scores
    resamples: Mapping[str, np.ndarray]  # (B,) by score
    own: Mapping[str, Point]

    def values(self) -> dict[str, float]:
        scores = self.scores
        return {"ods": scores.ods.f, "ois": scores.ois.f, "ap": scores.ap, "r50": scores.r50}

    def intervals(self) -> dict[str, Interval]:
        return {name: (value, *interval(self.resamples[name])) for name, value in self.values().items()}


@dataclass(frozen=True, eq=False)
class Results:
    """Of all detectors on the same photographs; `results["sobel"].scores.ods.f`."""

    split: str
    images: int
    seed: int  # of the resamples
    settings: Settings
    results: tuple[Result, ...]
    human: tuple[float, float] | None  # recall and precision of leave one annotator out

    def __getitem__(self, name: str) -> Result:
        check_choice("detector", name, [result.name for result in self.results])
        return next(result for result in self.results if result.name == name)

    @property
    def facts(self) -> dict[str, object]:
        """What the numbers follow from, besides the predictions."""
        rules = {name: getattr(self.settings, name) for name in ("thresholds", "tolerance", "thin")}
        return {"split": self.split, "images": self.images, "seed": self.seed, **rules}

    def differences(self) -> Iterator[tuple[Result, Result, dict[str, Interval]]]:
        """Every two detectors: the difference of each score, and its interval over the same resamples."""
        for one, other in combinations(self.results, 2):
            yield (
                one,
                other,
                {
                    name: (value - other.values()[name], *interval(one.resamples[name] - other.resamples[name]))
                    for name, value in one.values().items()
                },
            )

    def figure(self) -> Figure:
        """Precision over recall, beside what is published."""
        published = [(one.label, one.ods) for one in PUBLISHED]
        title = f"BSDS500 {self.split}, {self._count()}"
        return precision_recall([_drawn(result) for result in self.results], published, self.human, title)

    def write(self, folder: Path) -> None:
        """benchmark.json, benchmark.csv, figures/precision_recall.png."""
        content = {
            **self.facts,
            "resamples": len(next(iter(self.results[0].resamples.values()))),
            "detectors": {result.name: _plain(result) for result in self.results},
            "differences": [
                {"detector": one.name, "minus": other.name}
                | {name: dict(zip(("difference", "low", "high"), row, strict=True)) for name, row in scores.items()}
                for one, other, scores in self.differences()
            ],
            "people": None if self.human is None else _agreement(*self.human),
            "published_on_test": [one._asdict() for one in PUBLISHED],
        }
        write_text(folder / "benchmark.json", json.dumps(content, indent=2) + "\n")
        write_csv([row for result in self.results for row in _curve(result)], folder / "benchmark.csv")
        save_figure(self.figure(), folder / "figures" / "precision_recall.png")

    def print(self) -> None:
        """A table of scores with 95 % intervals, and one of paired differences where there are several detectors."""
        rows = [_row(result) for result in self.results]
        print_runs(f"{self.split}, {self._count()}: scores with 95 % confidence intervals", rows)
        differences = [
            {"difference": f"{one.name} - {other.name}"}
            | {name.upper(): "{:+.4f} ({:+.3f} to {:+.3f})".format(*row) for name, row in scores.items()}
            for one, other, scores in self.differences()
        ]
        if differences:
            print_runs("differences on the same images, with 95 % confidence intervals", differences)
        if self.human is not None:
            words = "F {f:.4f}, precision {precision:.4f}, recall {recall:.4f}".format(**_agreement(*self.human))
            print(f"human agreement (leave one annotator out): {words}")

    def _count(self) -> str:
        return f"{self.images} photograph{'' if self.images == 1 else 's'}"


def _row(result: Result) -> dict[str, object]:
    ods = result.scores.ods
    scores = {name.upper(): "{:.4f} ({:.3f} to {:.3f})".format(*row) for name, row in result.intervals().items()}
    at = {"threshold": f"{ods.threshold:.3f}", "precision": f"{ods.precision:.3f}", "recall": f"{ods.recall:.3f}"}
    return {"detector": result.name, **scores, **at}


def _plain(result: Result) -> dict[str, object]:
    points: dict[str, dict[str, object]] = {
        "ods": result.scores.ods._asdict(), "ois": result.scores.ois._asdict(),
        "ap": {"value": result.scores.ap}, "r50": {"value": result.scores.r50},
    }  # fmt: skip
    for name, (_, low, high) in result.intervals().items():
        points[name] |= {"low": low, "high": high}
    return {**points, **result.facts, "images": {stem: point._asdict() for stem, point in result.own.items()}}


def _curve(result: Result) -> list[dict[str, object]]:
    scores = result.scores
    f_T = f_measure(scores.precision_T, scores.recall_T)
    columns = zip(scores.thresholds_T, scores.precision_T, scores.recall_T, f_T, strict=True)
    names = ("threshold", "precision", "recall", "f")
    return [{"detector": result.name, **dict(zip(names, map(float, row), strict=True))} for row in columns]


def _drawn(result: Result) -> Curve:
    """Without the thresholds at which nothing is predicted: precision is no number there."""
    scores = result.scores
    some_T = scores.precision_T + scores.recall_T > 0
    best = (scores.ods.recall, scores.ods.precision)
    return Curve(result.name, scores.recall_T[some_T], scores.precision_T[some_T], best, scores.ods.f)


def _agreement(recall: float, precision: float) -> dict[str, float]:
    f = f_measure(np.array(precision), np.array(recall))
    return {"f": float(f), "precision": precision, "recall": recall}
