"""What the benchmark found, on the screen and on disk. T threshold, B resample of the images."""

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.bootstrap import SCORES, interval
from cnnlab.edges.benchmark.curves import Curve, precision_recall
from cnnlab.edges.benchmark.published import PUBLISHED
from cnnlab.edges.benchmark.scores import Point, Scores, f_measure


@dataclass(frozen=True, eq=False)
class Result:
    """A detector's scores, each of them for every resample, and the best point of each image by its name."""

    name: str
    facts: dict[str, Any]
    scores: Scores
    resamples: dict[str, np.ndarray]  # (B,) by score
    own: dict[str, Point]

    def values(self) -> dict[str, float]:
        found = self.scores
        return {"ods": found.ods.f, "ois": found.ois.f, "ap": found.ap, "r50": found.r50}


def write_results(folder: Path, facts: dict[str, Any], results: list[Result], people: Any) -> None:
    """benchmark.json, benchmark.csv, figures/precision_recall.png."""
    published = [one._asdict() for one in PUBLISHED]
    content = {
        **facts,
        "resamples": len(next(iter(results[0].resamples.values()))),
        "detectors": {result.name: _plain(result) for result in results},
        "differences": differences(results),
        "people": None if people is None else _people(people),
        "published_on_test": published,
    }
    write_text(folder / "benchmark.json", json.dumps(content, indent=2) + "\n")
    write_csv([row for result in results for row in _curve(result)], folder / "benchmark.csv")
    curves = [_drawn(result) for result in results]
    title = f"BSDS500 {facts['split']}, {_images(facts)}"
    figure = precision_recall(curves, [(one.label, one.ods) for one in PUBLISHED], people, title)
    save_figure(figure, folder / "figures" / "precision_recall.png")


def differences(results: list[Result]) -> list[dict[str, Any]]:
    """Every two detectors: the difference of each score, and its interval over the same resamples."""
    found = []
    for one, other in combinations(results, 2):
        row: dict[str, Any] = {"detector": one.name, "minus": other.name}
        for score in SCORES:
            low, high = interval(one.resamples[score] - other.resamples[score])
            row[score] = {"difference": one.values()[score] - other.values()[score], "low": low, "high": high}
        found.append(row)
    return found


def print_results(facts: dict[str, Any], results: list[Result], people: Any) -> None:
    """A table of scores with 95 % intervals, and one of paired differences where there are several detectors."""
    rows = [_shown(result) for result in results]
    print_runs(f"{facts['split']}, {_images(facts)}: scores with 95 % intervals", rows)
    if len(results) > 1:
        shown = []
        for row in differences(results):
            words = {score.upper(): _with_interval(*row[score].values(), sign="+") for score in SCORES}
            shown.append({"difference": f"{row['detector']} - {row['minus']}", **words})
        print_runs("differences on the same images, with 95 % intervals", shown)
    if people is not None:
        print(
            "people, each against the others: F {f:.4f}, precision {precision:.4f}, recall {recall:.4f}".format(
                **_people(people)
            )
        )


def _images(facts: dict[str, Any]) -> str:
    return f"{facts['images']} photograph{'' if facts['images'] == 1 else 's'}"


def _shown(result: Result) -> dict[str, Any]:
    values, ods = result.values(), result.scores.ods
    scores = {score.upper(): _with_interval(values[score], *interval(result.resamples[score])) for score in SCORES}
    at = {"threshold": f"{ods.threshold:.3f}", "precision": f"{ods.precision:.3f}", "recall": f"{ods.recall:.3f}"}
    return {"detector": result.name, **scores, **at}


def _with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.4f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _plain(result: Result) -> dict[str, Any]:
    points = {"ods": result.scores.ods._asdict(), "ois": result.scores.ois._asdict()}
    points |= {"ap": {"value": result.scores.ap}, "r50": {"value": result.scores.r50}}
    for score in SCORES:
        points[score] |= dict(zip(("low", "high"), interval(result.resamples[score]), strict=True))
    return {**points, **result.facts, "images": {stem: point._asdict() for stem, point in result.own.items()}}


def _curve(result: Result) -> list[dict[str, Any]]:
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


def _people(people: tuple[float, float]) -> dict[str, float]:
    recall, precision = people
    return {"f": float(f_measure(np.float64(precision), np.float64(recall))), "precision": precision, "recall": recall}
