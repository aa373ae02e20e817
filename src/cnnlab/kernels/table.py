"""A layer in numbers: one row per kernel, and all of them together. K, C kernel, channel, h, w sides."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.progress import track

from cnnlab._choices import UsageError
from cnnlab._tables import print_runs
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.identify import GaborFit, Match, identify_and_fit
from cnnlab.filters.analysis.layer import LayerProperties, Pair, layer_properties
from cnnlab.filters.analysis.properties import KernelProperties, properties
from cnnlab.kernels.sources import Layer

MOST_ROWS = 64  # on the screen; kernels.csv has them all
MOST_PAIRS = 20  # on the screen
MOST_WEIGHTS = 2**27  # of a layer: 1 GiB in double precision
AT_ONCE = 2**15  # pixels of kernels described between two steps of the progress bar
Row = dict[str, object]


@dataclass(frozen=True)
class Table:
    """What `properties` and `identify_and_fit` say of each kernel, what `layer_properties` say, and the rows."""

    properties: list[KernelProperties]
    matches: list[Match]
    whole: LayerProperties
    rows: list[Row]


def table_of(layer: Layer) -> Table:
    """UsageError for a layer with more than MOST_WEIGHTS weights."""
    kernels_KChw = layer.kernels_KChw
    if kernels_KChw.numel() > MOST_WEIGHTS:
        shape = " x ".join(map(str, kernels_KChw.shape))
        raise UsageError(f"layer: {layer.name} has {shape} weights, more than {MOST_WEIGHTS / 1e6:.0f} million")
    own, matches, fits = list[KernelProperties](), list[Match](), list[GaborFit | None]()
    at_once = max(16, min(512, AT_ONCE // kernels_KChw[0, 0].numel()))
    for part_KChw in track(kernels_KChw.split(at_once), description="kernels", transient=True):
        own += properties(part_KChw)
        some_matches, some_fits = identify_and_fit(part_KChw)
        matches += some_matches
        fits += some_fits
    return Table(own, matches, layer_properties(kernels_KChw), _rows(layer, own, matches, fits))


def _rows(
    layer: Layer, own: Sequence[KernelProperties], matches: Sequence[Match], fits: Sequence[GaborFit | None]
) -> list[Row]:
    """Properties, match with its null, Gabor fit, change since the first snapshot."""
    changes = drift(layer.snapshots)[-1].cosines if len(layer.snapshots) > 1 else [None] * len(own)
    rows = []
    for index, (like, match, fit, change) in enumerate(zip(own, matches, fits, changes, strict=True)):
        named = {f"match_{name}": value for name, value in asdict(match).items() if not name.startswith("null")}
        null = {"null_mean": match.null_mean, "null_95": match.null_95}
        gabor = {"gabor_r2": fit.r2 if fit else None, "gabor_frequency": fit.frequency if fit else None}
        start = layer.names[index] if index < len(layer.names) else ""
        first = {"kernel": index, "started_as": start}
        rows.append({**first, **asdict(like), **named, **null, **gabor, "cosine_to_start": change})
    return rows


def print_table(layer: Layer, table: Table) -> None:
    """The first MOST_ROWS rows, and the layer as a whole."""
    shown = without_dashes([_shown(row) for row in table.rows[:MOST_ROWS]])
    print_runs(f"kernels of {layer.name} in {layer.source}, the first {len(shown)} of {len(table.rows)}", shown)
    named, whole = sum(match.significant for match in table.matches), table.whole
    print(f"dead: {', '.join(map(str, whole.dead)) or 'none'}")
    print(f"duplicates: {_listed(whole.duplicates)}   negated pairs: {_listed(whole.negated)}")
    print(
        f"effective rank {whole.effective_rank:.2f}, variance entropy {whole.variance_entropy:.3f}, "
        f"sparsity {whole.sparsity:.3f}; {named} of {len(table.matches)} kernels are more like an analytic filter than "
        f"95 % of random ones of their size"
    )


def _listed(pairs: Sequence[Pair]) -> str:
    return ", ".join(f"{pair.first}-{pair.second}" for pair in pairs[:MOST_PAIRS]) or "none"


def _shown(row: Row) -> dict[str, str]:
    def number(name: str, form: str = ".2f") -> str:
        return "-" if row[name] is None else format(row[name], form)

    named = row["match_name"] if row["match_significant"] else f"({row['match_name']}, no better than chance)"
    return {
        "kernel": str(row["kernel"]),
        "started as": str(row["started_as"] or "-"),
        "norm": number("norm"),
        "orientation": number("orientation", ".0f"),
        "cycles/px": number("frequency"),
        "DC": number("dc_fraction"),
        "separable": number("separability", ".3f"),
        "antisymmetric": number("antisymmetric"),
        "most like": str(named),
        "cosine": number("match_cosine"),
        "chance, 95 %": number("null_95"),
        "cosine to start": number("cosine_to_start"),
    }


def without_dashes(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Without the columns that have nothing to say: what a kernel started as is not known of every network."""
    kept = [name for name in rows[0] if any(row[name] != "-" for row in rows)]
    return [{name: row[name] for name in kept} for row in rows]
