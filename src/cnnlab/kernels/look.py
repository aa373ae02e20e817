"""A layer looked at: its table, its pictures, and what its units respond to, in one folder."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cnnlab._choices import UsageError
from cnnlab._tables import write_csv
from cnnlab.draw.animation import evenly, kernel_animation
from cnnlab.draw.kernel_pages import kernel_pages, kernel_titles, spectrum_pages, what_they_do
from cnnlab.draw.saving import save_figure
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.spectrum import spectrum
from cnnlab.kernels.attribution import draw_attribution
from cnnlab.kernels.drift import drift_figure
from cnnlab.kernels.sources import Layer
from cnnlab.kernels.stimuli import draw_stimuli
from cnnlab.kernels.table import Row, Table, print_table, table_of
from cnnlab.kernels.tuning import match_pages, orientation_frequency
from cnnlab.receptive.attribution import check_methods
from cnnlab.runs.record import RunRecord, recorded

MOST_DRAWN = 240  # kernels; of a larger layer some of each kind


def look_at_kernels(
    layer: Layer,
    folder: Path,
    *,
    units: int = 8,
    steps: int = 200,
    attribution: Sequence[str] = (),
    deeper: bool = False,
    seed: int = 0,
) -> list[Row]:
    """Leave kernels.csv, summary.json, figures/ and, for a run, the animation in `folder`; print the table.

    Of the first `units` channels come the patches that they respond to most and, by `steps` of gradient ascent, an
    image that maximises each (0: none). `attribution`: methods of `receptive.attribution`. `deeper`: response maps of
    the next layers too. `seed`: that of the images, for summary.json. Returns the rows of kernels.csv.
    """
    if attribution:
        check_methods(attribution)
    if attribution and layer.subject is None:
        raise UsageError("attribution: a bare file of weights gives no predictions; give run=FOLDER or model=NAME")
    folder.mkdir(parents=True, exist_ok=True)
    record, figures = RunRecord(folder, source=layer.source, layer=layer.name, seed=seed), folder / "figures"
    with recorded(record, folder):
        table = table_of(layer)
        write_csv(table.rows, folder / "kernels.csv")
        _draw(layer, table, figures)
        _draw_changes(layer, figures)
        if layer.subject is not None and units > 0:
            draw_stimuli(layer.subject, layer.name, figures, units=units, steps=steps, deeper=deeper)
        if layer.subject is not None and attribution:
            draw_attribution(layer.subject, attribution, figures / "attribution.png")
        print_table(layer, table)
        whole = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(table.whole).items()
        }
        record.finish("completed", kernels=len(table.rows), properties=whole)
    return table.rows


def _draw(layer: Layer, table: Table, figures: Path) -> None:
    order, titles = what_they_do(table.properties, table.matches), kernel_titles(table.matches)
    order = evenly(order, MOST_DRAWN)
    which = f" ({len(order)} of {len(titles)})" if len(order) < len(titles) else ""
    spectra_KRR, named = spectrum(layer.kernels_KChw[order]), [titles[index] for index in order]
    pages = {
        "kernels": kernel_pages(layer.kernels_KChw, titles, order, f"kernels of {layer.name}{which}"),
        "spectra": spectrum_pages(spectra_KRR, named, None, f"spectra of {layer.name}{which}"),
        "matches": match_pages(table.matches, order),
    }
    for name, drawn in pages.items():
        for number, figure in enumerate(drawn, start=1):
            save_figure(figure, figures / (f"{name}.png" if len(drawn) == 1 else f"{name}_{number:02d}.png"))
    heading = f"what the kernels of {layer.name} are tuned to"
    save_figure(orientation_frequency(table.properties, heading), figures / "tuning.png")


def _draw_changes(layer: Layer, figures: Path) -> None:
    if len(layer.snapshots) < 2:
        return
    heading = f"change of {layer.name} during training"
    save_figure(drift_figure(drift(layer.snapshots), heading), figures / "drift.png")
    kernel_animation(layer.snapshots, figures / "training.gif")
