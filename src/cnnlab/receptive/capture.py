"""The output of one layer in one forward pass, which ends there."""

import re
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from cnnlab.receptive.trace import named_leaves

_KEY = re.compile(r"(?P<name>.*?)(#(?P<call>\d+))?(\[(?P<path>.*)\])?")


class _Reached(Exception):  # noqa: N818 - not an error: it ends the forward pass
    """The layer has returned."""


def captured(module: nn.Module, layer: str, image_BCHW: Tensor) -> Tensor:
    """What the layer returned, with its graph. `layer` is a key of `receptive_fields`: "name#2[path]"."""
    key = _KEY.fullmatch(layer)
    target = dict(module.named_modules())[key["name"]]
    left, found = [int(key["call"] or 1)], []

    def leave(part: nn.Module, _inputs: Any, result: Any) -> None:
        if part is target:
            left[0] -= 1
            if left[0] == 0:
                leaves = [(path, leaf) for path, leaf in named_leaves(result) if isinstance(leaf, Tensor)]
                wanted = [leaf for path, leaf in leaves if key["path"] in (None, path)]
                found.append(wanted[0])
                raise _Reached

    handle = register_module_forward_hook(leave)
    try:
        module(image_BCHW)
    except _Reached:
        pass
    finally:
        handle.remove()
    assert found, f"{layer} was not called"
    return found[0]
