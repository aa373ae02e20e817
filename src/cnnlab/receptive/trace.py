"""Receptive fields of every layer of any module, from one forward pass without values."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_flatten_with_path

from cnnlab._choices import UsageError
from cnnlab.receptive._tracer.call import NotJudgedError
from cnnlab.receptive._tracer.geometry import image_geometry
from cnnlab.receptive._tracer.traced import Recorder, Traced
from cnnlab.receptive.field import ReceptiveField, field_of
from cnnlab.receptive.untouched import untouched


def receptive_fields(module: nn.Module, input_shape: Sequence[int]) -> dict[str, ReceptiveField]:
    """The receptive field of every layer that `module` calls in its forward pass, in the order of the calls' ends.

    input_shape: (C, H, W) or (B, C, H, W) of the example; it must be large enough for the forward pass to run,
    else it has no influence, except where a note says so (adaptive pooling to more than one unit,
    align_corners) and for windows of attention that hold the whole map of the example.

    Keys are the names of `named_modules`; the module itself is "". Calls after the first are "name#2", "name#3".
    A layer that returns several tensors has a key for each: "name[0]", "name[features]". Layers whose results
    don't depend on the image (a bias table, say) have none.

    The module is analysed in the mode it is in: BatchNorm in train mode mixes the whole batch, so its field is
    unbounded; call `module.eval()` for the usual answer. Afterwards the module is as it was.

    Borders: padded places count as places of their own, so `box` may reach over the image's border also with
    mirrored padding. ResNet-50's layer4 has size 427 as torchvision builds it, with the stride in the 3x3
    convolution. The published 483 is for the stride in the 1x1 convolution before it (He et al. 2016, CVPR).

    Raises ValueError, with the layer's name, for an operation that can't be judged, for a forward pass that
    fails, and for a wrong shape.
    """
    recorder = Recorder()
    fields: dict[str, ReceptiveField] = {}
    calls: Counter[str] = Counter()

    def returned(name: str, result: Any) -> None:
        calls[name] += 1
        key = name if calls[name] == 1 else f"{name}#{calls[name]}"
        traced = [(path, leaf) for path, leaf in named_leaves(result) if isinstance(leaf, Traced)]
        for reason in (leaf.stale for _, leaf in traced if leaf.stale is not None):
            raise NotJudgedError(reason)
        found = {path: leaf.geometry for path, leaf in traced if leaf.geometry is not None}
        for path, geometry in found.items():
            fields[key if len(found) == 1 else f"{key}[{path}]"] = field_of(geometry, name or "the network itself")

    watched = _watched(module, recorder.layers, returned)
    with untouched(module), torch.inference_mode(False), torch.no_grad(), watched:
        image = _example(module, input_shape, recorder)
        try:
            module(image)
        except NotJudgedError:
            raise
        except Exception as error:
            raise UsageError(_failure(error, recorder.where, input_shape)) from error
    return fields


def _failure(error: Exception, where: str, input_shape: Sequence[int]) -> str:
    hint = ""
    if isinstance(error, TypeError) and "required positional argument" in str(error):
        hint = ". A network of several inputs has to be wrapped in a module that takes the image alone"
    kind = type(error).__name__
    return f"the forward pass fails in {where} for an image {tuple(input_shape)}: {kind}: {error}{hint}"


@contextlib.contextmanager
def _watched(module: nn.Module, layers: list[str], returned: Callable[[str, Any], None]) -> Iterator[None]:
    """Keeps the stack of running layers and tells what each returns, with hooks that are not the module's own."""
    names = {part: name for name, part in module.named_modules()}

    def enter(part: nn.Module, _inputs: Any) -> None:
        if part in names:
            layers.append(names[part])

    def leave(part: nn.Module, _inputs: Any, result: Any) -> None:
        if part in names:
            returned(names[part], result)
            layers.pop()

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _example(module: nn.Module, input_shape: Sequence[int], recorder: Recorder) -> Traced:
    """The image: shape and dtype, no values."""
    shape = tuple(input_shape)
    if len(shape) == 3:
        shape = (2 if any(part.training for part in module.modules()) else 1, *shape)
    if len(shape) != 4 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise UsageError(f"input_shape must be (C, H, W) or (B, C, H, W), all positive; got {tuple(input_shape)}")
    tensors = [*module.parameters(), *module.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    dtype = floating[0].dtype if floating else torch.get_default_dtype()
    device = tensors[0].device if tensors else torch.device("cpu")
    return Traced.of(torch.empty(shape, dtype=dtype, device="meta"), image_geometry(shape), device, recorder)


def check_layer(fields: dict[str, ReceptiveField], layer: str) -> ReceptiveField:
    """`fields[layer]`. Raises ValueError with the nearest name and all names if there is no such layer."""
    if layer in fields:
        return fields[layer]
    near = get_close_matches(layer, fields, n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"no layer {layer!r}{hint} Known layers: {', '.join(map(repr, fields))}")


def named_leaves(result: Any) -> list[tuple[str, Any]]:
    """The tensors (and other values) of a layer's result with their paths: "0", "features", "0.scores"."""
    leaves, _ = tree_flatten_with_path(result)
    return [(".".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path), leaf)
            for path, leaf in leaves]  # fmt: skip
