"""The kernel job: what the kernels of a layer are like, how they changed, and what they answer to."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cnnlab.app.kernel_sources import Layer, layer_of
from cnnlab.app.pictures import save
from cnnlab.app.stimuli import draw_stimuli
from cnnlab.app.tables import print_runs, write_csv
from cnnlab.filters.drift import drift
from cnnlab.filters.identify import Match, fit_gabor, identify
from cnnlab.filters.layer import LayerProperties, layer_properties
from cnnlab.filters.properties import KernelProperties, properties
from cnnlab.filters.spectrum import spectrum
from cnnlab.reports.record import RunRecord
from cnnlab.views.animation import kernel_animation
from cnnlab.views.drift import drift_figure
from cnnlab.views.kernel_pages import kernel_pages, kernel_titles, spectrum_pages, what_they_do
from cnnlab.views.tuning import match_pages, orientation_frequency

MOST_ROWS = 64  # on the screen; kernels.csv has them all


def run(config: DictConfig, folder: Path) -> int:
    """Leave kernels.csv, layer.json in the summary, figures/ and, for a run, the animation in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    layer = layer_of(config)
    record = RunRecord(folder, source=layer.source, layer=layer.name, seed=config.seed)
    like, matches = properties(layer.kernels_KChw), identify(layer.kernels_KChw)
    whole = layer_properties(layer.kernels_KChw)
    rows = _rows(layer, like, matches)
    write_csv(rows, folder / "kernels.csv")
    _draw(layer, like, matches, folder / "figures")
    _draw_changes(layer, folder)
    if layer.subject is not None and config.units > 0:
        draw_stimuli(config, layer.subject, layer.name, folder / "figures")
    shown = [_shown(row) for row in rows[:MOST_ROWS]]
    print_runs(f"kernels of {layer.name} in {layer.source}, the first {len(shown)} of {len(rows)}", shown)
    _print_layer(whole, matches)
    record.finish("completed", kernels=len(rows), properties=_plain(whole))
    print(folder)
    return 0


def _rows(layer: Layer, like: list[KernelProperties], matches: list[Match]) -> list[dict[str, Any]]:
    """One row a kernel: properties, match with its null, Gabor fit, change since the first snapshot."""
    changes = drift(layer.snapshots)[-1].cosines if len(layer.snapshots) > 1 else [None] * len(like)
    fits = fit_gabor(layer.kernels_KChw)
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
        "norm": number("norm"),
        "orientation": number("orientation", ".0f"),
        "cycles/px": number("frequency"),
        "DC": number("dc_share"),
        "separable": number("separability", ".3f"),
        "antisymmetric": number("antisymmetric"),
        "most like": named,
        "cosine": number("match_cosine"),
        "chance, 95 %": number("null_95"),
        "cosine to start": number("cosine_to_start"),
    }


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
            save(figure, figures / (f"{name}.png" if len(found) == 1 else f"{name}_{number:02d}.png"))
    save(orientation_frequency(like, f"what the kernels of {layer.name} are tuned to"), figures / "tuning.png")


def _draw_changes(layer: Layer, folder: Path) -> None:
    if len(layer.snapshots) < 2:
        return
    save(
        drift_figure(drift(layer.snapshots), f"change of {layer.name} during training"),
        folder / "figures" / "drift.png",
    )
    kernel_animation(layer.snapshots, folder / "figures" / "training.gif")
