"""The first layer for the report: its kernels in every snapshot, and what each one is like at the end.

K kernels, C channels, h by w kernel sides, T epochs shown.
"""

import base64
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from cnnlab.draw.animation import uneven
from cnnlab.draw.kernel_pages import called
from cnnlab.filters.analysis.drift import drift
from cnnlab.filters.analysis.identify import identify, null
from cnnlab.filters.analysis.properties import properties

SHOWN = 64  # kernels
FRAMES = 61  # epochs


def kernels(snapshots: dict[int, Tensor], names: list[str] | None, largest: int) -> dict[str, Any]:
    """epochs, total (kernels of the layer; the first SHOWN are here), size (h, w), channels, names (or None),
    limits: per epoch the largest weight (mean over channels). common: whether one scale, that ends at the largest of
    `limits`, shows all epochs; where they are `uneven`, some epochs would be blank.
    frames: per epoch the kernels, mean over channels, as base64 of int8, 127 for its limit; (K, h, w) in order.
    colours: for three channels per epoch base64 of uint8 (K, h, w, 3), 128 for zero, 255 for its entry of `brightest`,
    the largest weight of a channel; else None.
    cosines: per epoch the cosine of each kernel with itself at the first epoch. rows: the table, at the last.

    Takes fewer epochs where they would fill more than `largest` characters. ValueError for weights not finite.
    """
    total = len(next(iter(snapshots.values())))
    changes = {row.epoch: row for row in drift({epoch: all_KChw[:SHOWN] for epoch, all_KChw in snapshots.items()})}
    one = next(iter(snapshots.values()))[:SHOWN]
    coloured = one.shape[1] == 3
    per_epoch = one[:, 0].numel() * (4 if coloured else 1) * 4 / 3 + 8 * len(one)
    epochs = _spread(sorted(snapshots), max(2, min(FRAMES, int(largest / per_epoch))))
    kernels_TKChw = torch.stack([snapshots[epoch][:SHOWN].float() for epoch in epochs])
    grey_TKhw = kernels_TKChw.mean(2)
    limits = [float(grey_Khw.abs().max()) or 1.0 for grey_Khw in grey_TKhw]
    brightest = [float(kernels_KChw.abs().max()) or 1.0 for kernels_KChw in kernels_TKChw]
    return {
        "epochs": epochs,
        "total": total,
        "size": list(one.shape[-2:]),
        "channels": one.shape[1],
        "names": names and names[:SHOWN],
        "limits": limits,
        "brightest": brightest,
        "common": not uneven(limits),
        "frames": [
            _text((grey_Khw / limit * 127).round().to(torch.int8))
            for grey_Khw, limit in zip(grey_TKhw, limits, strict=True)
        ],
        "colours": [_text(_colours(*pair)) for pair in zip(kernels_TKChw, brightest, strict=True)]
        if coloured
        else None,
        "cosines": [[_rounded(cosine) for cosine in changes[epoch].cosines] for epoch in epochs],
        "rows": table(snapshots[epochs[-1]][:SHOWN], names, changes[epochs[-1]].cosines),
        "null_95": null(*one.shape[-2:])[1],
    }


def table(kernels_KChw: Tensor, names: list[str] | None, cosines: tuple[float | None, ...]) -> list[dict[str, Any]]:
    """One row a kernel: its number, its name at the start, what it is like, what it resembles, how far it went."""
    rows = []
    described = zip(properties(kernels_KChw), identify(kernels_KChw), cosines, strict=True)
    for index, (shape, match, cosine) in enumerate(described):
        rows.append(
            {
                "index": index,
                "name": names[index] if names else "",
                "match": called(match),
                "cosine": match.cosine,
                "significant": match.significant,
                "kept": cosine,
                **asdict(shape),
            }
        )
    return rows


def kernel_names(network: nn.Module, saved: dict[str, Any], count: int) -> list[str] | None:
    """What each kernel of the first layer started as; None where the network doesn't say."""
    arguments = saved["network"]["arguments"]
    if arguments.get("start") == "random" or saved["network"]["bank"] is None:
        return ["random"] * count
    front_end, report = getattr(network, "front_end", None), getattr(network, "stem_report", None)
    if front_end is not None:
        names = list(front_end.response_names)
    elif report is not None:
        names = [_written(one) for one in report.filters]
    else:
        return None
    return names if len(names) == count else None


def _written(one: Any) -> str:
    if one.kernel is None:
        return "random"
    return one.kernel if one.change == "none" else f"{one.kernel}, {one.change}"


def _spread(values: list[int], most: int) -> list[int]:
    """At most `most` of them, evenly, the first and the last included."""
    if len(values) <= most:
        return values
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _colours(kernels_KChw: Tensor, strongest: float) -> Tensor:
    return (128 + 127 * kernels_KChw / strongest).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _text(numbers: Tensor) -> str:
    return base64.b64encode(numbers.contiguous().numpy().tobytes()).decode()


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)
