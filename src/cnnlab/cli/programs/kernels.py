"""The kernel job: what the kernels of a layer are like, how they changed, and what they answer to."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.animation import kernel_animation
from cnnlab.draw.kernel_pages import kernel_pages, kernel_titles, spectrum_pages, what_they_do
from cnnlab.draw.saving import save_figure
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.identify import GaborFit, Match, fit_gabor, identify
from cnnlab.filters.analysis.layer import LayerProperties, layer_properties
from cnnlab.filters.analysis.properties import KernelProperties, properties
from cnnlab.filters.analysis.spectrum import spectrum
from cnnlab.kernels.attribution import draw_attribution
from cnnlab.kernels.drift import drift_figure
from cnnlab.kernels.sources import Layer, layer_of
from cnnlab.kernels.stimuli import draw_stimuli
from cnnlab.kernels.tuning import match_pages, orientation_frequency
from cnnlab.receptive.attribution import check_methods
from cnnlab.runs.record import RunRecord

MOST_ROWS = 64  # on the screen; kernels.csv has them all
AT_ONCE = 64  # kernels described between two steps of the progress bar


def run(config: DictConfig, folder: Path) -> int:
    """Leave kernels.csv, layer.json in the summary, figures/ and, for a run, the animation in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    methods = list(config.attribution or [])
    if methods:
        check_methods(methods)
    layer = layer_of(config)
    if methods and layer.subject is None:
        raise UsageError("attribution: a bare file of weights gives no answers; give run=FOLDER or model=NAME")
    record = RunRecord(folder, source=layer.source, layer=layer.name, seed=config.seed)
    like, matches, fits = describe(layer.kernels_KChw)
    whole = layer_properties(layer.kernels_KChw)
    rows = _rows(layer, like, matches, fits)
    write_csv(rows, folder / "kernels.csv")
    _draw(layer, like, matches, folder / "figures")
    _draw_changes(layer, folder)
    if layer.subject is not None and config.units > 0:
        draw_stimuli(config, layer.subject, layer.name, folder / "figures")
    if layer.subject is not None and methods:
        draw_attribution(layer.subject, methods, folder / "figures" / "attribution.png")
    shown = without_dashes([_shown(row) for row in rows[:MOST_ROWS]])
    print_runs(f"kernels of {layer.name} in {layer.source}, the first {len(shown)} of {len(rows)}", shown)
    _print_layer(whole, matches)
    record.finish("completed", kernels=len(rows), properties=_plain(whole))
    print(folder)
    return 0


def describe(kernels_KChw: Tensor) -> tuple[list[KernelProperties], list[Match], list[GaborFit | None]]:
    """Properties, match and Gabor fit of each kernel."""
    like, matches, fits = [], [], []
    for part_KChw in track(kernels_KChw.split(AT_ONCE), description="kernels", transient=True):
        like += properties(part_KChw)
        matches += identify(part_KChw)
        fits += fit_gabor(part_KChw)
    return like, matches, fits


def _rows(
    layer: Layer, like: list[KernelProperties], matches: list[Match], fits: list[GaborFit | None]
) -> list[dict[str, Any]]:
    """One row a kernel: properties, match with its null, Gabor fit, change since the first snapshot."""
    changes = drift(layer.snapshots)[-1].cosines if len(layer.snapshots) > 1 else [None] * len(like)
    rows = []
    for index, (one, match, fit, change) in enumerate(zip(like, matches, fits, changes, strict=True)):
        found = {f"match_{name}": value for name, value in asdict(match).items() if not name.startswith("null")}
        null = {"null_mean": match.null_mean, "null_95": match.null_95}
        gabor = {"gabor_r2": fit.r2 if fit else None, "gabor_frequency": fit.frequency if fit else None}
        name = layer.names[index] if index < len(layer.names) else ""
        rows.append(
            {"kernel": index, "started_as": name, **asdict(one), **found, **null, **gabor, "cosine_to_start": change}
        )
    return rows


def _shown(row: dict[str, Any]) -> dict[str, str]:
    def number(name: str, form: str = ".2f") -> str:
        return "-" if row[name] is None else format(row[name], form)

    named = row["match_name"] if row["match_significant"] else f"({row['match_name']}, no better than chance)"
    return {
        "kernel": str(row["kernel"]),
        "started as": row["started_as"] or "-",
        "norm": number("norm"),
        "orientation": number("orientation", ".0f"),
        "cycles/px": number("frequency"),
        "DC": number("dc_fraction"),
        "separable": number("separability", ".3f"),
        "antisymmetric": number("antisymmetric"),
        "most like": named,
        "cosine": number("match_cosine"),
        "chance, 95 %": number("null_95"),
        "cosine to start": number("cosine_to_start"),
    }


def without_dashes(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Without the columns that have nothing to say: what a kernel started as is not known of every network."""
    kept = [name for name in rows[0] if any(row[name] != "-" for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]


def _print_layer(whole: LayerProperties, matches: list[Match]) -> None:
    def pairs(found: Any) -> str:
        return ", ".join(f"{pair.first}-{pair.second}" for pair in found[:20]) or "none"

    named = sum(match.significant for match in matches)
    print(f"dead: {', '.join(map(str, whole.dead)) or 'none'}")
    print(f"duplicates: {pairs(whole.duplicates)}   negated pairs: {pairs(whole.negated)}")
    print(
        f"effective rank {whole.effective_rank:.2f}, variance entropy {whole.variance_entropy:.3f}, "
        f"sparsity {whole.sparsity:.3f}; {named} of {len(matches)} kernels are more like an analytic filter than "
        f"95 % of random ones of their size"
    )


def _plain(whole: LayerProperties) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(whole).items()}


def _draw(layer: Layer, like: list[KernelProperties], matches: list[Match], figures: Path) -> None:
    order, titles = what_they_do(like, matches), kernel_titles(matches)
    pages = {
        "kernels": kernel_pages(layer.kernels_KChw, titles, order, f"kernels of {layer.name}"),
        "spectra": spectrum_pages(spectrum(layer.kernels_KChw), titles, order, f"spectra of {layer.name}"),
        "matches": match_pages(matches, order),
    }
    for name, found in pages.items():
        for number, figure in enumerate(found, start=1):
            save_figure(figure, figures / (f"{name}.png" if len(found) == 1 else f"{name}_{number:02d}.png"))
    save_figure(orientation_frequency(like, f"what the kernels of {layer.name} are tuned to"), figures / "tuning.png")


def _draw_changes(layer: Layer, folder: Path) -> None:
    if len(layer.snapshots) < 2:
        return
    save_figure(
        drift_figure(drift(layer.snapshots), f"change of {layer.name} during training"),
        folder / "figures" / "drift.png",
    )
    kernel_animation(layer.snapshots, folder / "figures" / "training.gif")
