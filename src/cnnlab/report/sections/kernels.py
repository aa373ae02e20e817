"""The first layer: its kernels in every snapshot, and what each one is like at the end.

K kernels, C channels, h by w kernel sides, T epochs shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch
from torch import Tensor, nn

from cnnlab.draw.animation import evenly, uneven
from cnnlab.draw.kernel_pages import called
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.identify import identify, null
from cnnlab.filters.analysis.properties import properties
from cnnlab.nn.contract import LabNetwork
from cnnlab.nn.initialisation.writing import WrittenFilter
from cnnlab.nn.torchvision_net import TorchvisionNet
from cnnlab.report.pictures import as_text
from cnnlab.report.section import ReportedRun, Shown, report_section

SHOWN = 64  # kernels
FRAMES = 61  # epochs


@report_section(
    "Kernels of the first layer",
    50,
    drawn=("epochs", "size", "limits", "brightest", "frames", "colours", "cosines"),
)
def kernels(run: ReportedRun, largest: int) -> Shown | str:
    """The kernels of a run with their names, where its network says what they started as."""
    if not run.snapshots:
        return run.reason("snapshots")
    count = len(next(iter(run.snapshots.values())))
    return frames_and_table(run.snapshots, kernel_names(run.network, count), largest)


def frames_and_table(snapshots: Mapping[int, Tensor], names: Sequence[str] | None, largest: int) -> Shown:
    """epochs, total (kernels of the layer; the first SHOWN are here), size (h, w), channels.

    limits: per epoch the largest weight (mean over channels). common: whether one scale, that ends at the largest of
    `limits`, shows all epochs; where they are `uneven`, some epochs would be blank.
    frames: per epoch the kernels, mean over channels, as base64 of int8, 127 for its limit; (K, h, w) in order.
    colours: for three channels per epoch base64 of uint8 (K, h, w, 3), 128 for zero, 255 for its entry of `brightest`,
    the largest weight of a channel; else None.
    cosines: per epoch the cosine of each kernel with itself at the first epoch. rows: the table, at the last.

    Takes fewer epochs where they would fill more than `largest` characters. UsageError for weights not finite.
    """
    shown = {epoch: kernels_KChw[:SHOWN].float() for epoch, kernels_KChw in sorted(snapshots.items())}
    changes = {row.epoch: row for row in drift(shown)}
    first_KChw = next(iter(shown.values()))
    coloured = first_KChw.shape[1] == 3
    per_epoch = first_KChw[:, 0].numel() * (4 if coloured else 1) * 4 / 3 + 8 * len(first_KChw)
    epochs = evenly(list(shown), max(2, min(FRAMES, int(largest / per_epoch))))
    kernels_TKChw = torch.stack([shown[epoch] for epoch in epochs])
    grey_TKhw = kernels_TKChw.mean(2)
    limits = [float(grey_Khw.abs().max()) or 1.0 for grey_Khw in grey_TKhw]
    brightest = [float(kernels_KChw.abs().max()) or 1.0 for kernels_KChw in kernels_TKChw]
    return {
        "epochs": epochs,
        "total": len(next(iter(snapshots.values()))),
        "size": list(first_KChw.shape[-2:]),
        "channels": first_KChw.shape[1],
        "limits": limits,
        "brightest": brightest,
        "common": not uneven(limits),
        "frames": [
            as_text((grey_Khw / limit * 127).round().to(torch.int8))
            for grey_Khw, limit in zip(grey_TKhw, limits, strict=True)
        ],
        "colours": [_colours(*pair) for pair in zip(kernels_TKChw, brightest, strict=True)] if coloured else None,
        "cosines": [[cosine and round(cosine, 4) for cosine in changes[epoch].cosines] for epoch in epochs],
        "rows": table(shown[epochs[-1]], names, changes[epochs[-1]].cosines),
        "null_95": null(*first_KChw.shape[-2:])[1],
    }


def table(kernels_KChw: Tensor, names: Sequence[str] | None, cosines: Sequence[float | None]) -> list[Shown]:
    """One row per kernel: its number, its name at the start, what it is like, what it resembles, how far it went."""
    described = zip(properties(kernels_KChw), identify(kernels_KChw), cosines, strict=True)
    return [
        {
            "index": index,
            "name": names[index] if names else "",
            "match": called(match),
            "cosine": match.cosine,
            "significant": match.significant,
            "kept": cosine,
            **asdict(shape),
        }
        for index, (shape, match, cosine) in enumerate(described)
    ]


def kernel_names(network: nn.Module | None, count: int) -> Sequence[str] | None:
    """What each kernel of the first layer started as; None where the network doesn't say."""
    if not isinstance(network, LabNetwork):
        return None
    if network.bank is None or network.arguments.get("start") == "random":
        return ["random"] * count
    names = list(network.kernel_names)
    if isinstance(network, TorchvisionNet) and network.stem_report is not None:
        names = [_written(start) for start in network.stem_report.filters]
    return names if len(names) == count else None


def _written(start: WrittenFilter) -> str:
    if start.kernel is None:
        return "random"
    return start.kernel if start.change == "none" else f"{start.kernel}, {start.change}"


def _colours(kernels_KChw: Tensor, strongest: float) -> str:
    colours_KChw = (128 + 127 * kernels_KChw / strongest).round().clamp(0, 255).to(torch.uint8)
    return as_text(colours_KChw.permute(0, 2, 3, 1))
