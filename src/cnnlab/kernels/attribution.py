"""Which pixels the network's own answers came from."""

from collections.abc import Sequence
from pathlib import Path

import torch

from cnnlab._choices import UsageError
from cnnlab.draw.saving import save_figure
from cnnlab.kernels.attribution_maps import attribution_maps
from cnnlab.kernels.subject import Subject
from cnnlab.receptive.attribution import SIGNED, attribute, map_layer

IMAGES = 4


def draw_attribution(subject: Subject, methods: Sequence[str], path: Path) -> None:
    """`path`: the first IMAGES images beside the maps of `methods`, all for the class that the network says."""
    if not subject.class_names:
        raise UsageError(f"attribution: {subject.name} tells no classes, so there is no answer to explain")
    inputs_NCHW = subject.inputs()[:IMAGES]
    with torch.no_grad():
        share_NK = subject.network(inputs_NCHW).float().softmax(1)
    sure_N, answer_N = share_NK.max(1)
    maps = attribute(subject.network, inputs_NCHW, answer_N, methods)
    layer = map_layer(subject.network, inputs_NCHW) if "grad_cam" in methods else ""
    named = {f"{name} of {layer}" if name == "grad_cam" else name: found for name, found in maps.items()}
    titles = [
        f"says {subject.class_names[answer]}, {100 * sure:.0f} %"
        for answer, sure in zip(answer_N.tolist(), sure_N.tolist(), strict=True)
    ]
    save_figure(attribution_maps(list(subject.images_NCHW[:IMAGES]), named, titles, SIGNED), path)
