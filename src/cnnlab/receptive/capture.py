"""The output of one layer in one forward pass, which ends there."""

import re

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from cnnlab._choices import UsageError, check_choice
from cnnlab.receptive.results import named_leaves

_KEY = re.compile(r"(?P<name>.*?)(#(?P<call>\d+))?(\[(?P<path>.*)\])?")


class _Reached(Exception):  # noqa: N818 - not an error: it ends the forward pass
    """The layer has returned."""


def captured(module: nn.Module, layer: str, image_BCHW: Tensor) -> Tensor:
    """What the layer returned, with its graph; the pass ends there. `layer` is a key of `receptive_fields`.

    Of "name#2[path]" that is the second call's tensor at `path`; without a path the first tensor. Raises UsageError
    for an unknown layer and for one that returns no such tensor.
    """
    key = _KEY.fullmatch(layer)
    assert key is not None, layer
    parts = dict(module.named_modules())
    if key["name"] not in parts:
        check_choice("layer", key["name"], list(filter(None, parts)))
    left, results = int(key["call"] or 1), list[Tensor]()

    def leave(part: nn.Module, _inputs: object, result: object) -> None:
        nonlocal left
        if part is parts[key["name"]]:
            left -= 1
            if left == 0:
                leaves = [(path, leaf) for path, leaf in named_leaves(result) if isinstance(leaf, Tensor)]
                results.extend(leaf for path, leaf in leaves if key["path"] in (None, path))
                raise _Reached

    handle = register_module_forward_hook(leave)
    try:
        module(image_BCHW)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not results:
        raise UsageError(f"layer {layer!r} {'returns no such tensor' if left == 0 else 'is not called'}")
    return results[0]
