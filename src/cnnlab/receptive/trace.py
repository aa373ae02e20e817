"""Receptive fields of every layer of any module, from one forward pass without values."""

import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from cnnlab._choices import UsageError, nearest
from cnnlab.receptive._tracer.call import NotJudgedError
from cnnlab.receptive._tracer.geometry import image_geometry
from cnnlab.receptive._tracer.traced import Recorder, Traced
from cnnlab.receptive.field import ReceptiveField, field_of
from cnnlab.receptive.results import named_leaves
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
    unbounded; call `module.eval()` for the usual one. Afterwards the module is as it was.

    Borders: padded places count as places of their own, so `box` may reach over the image's border also with
    mirrored padding. ResNet-50's layer4 has size 427 as torchvision builds it, with the stride in the 3x3
    convolution. The published 483 is for the stride in the 1x1 convolution before it (He et al. 2016, CVPR).

    Raises ValueError, with the layer's name, for an operation that can't be judged, for a forward pass that
    fails, and for a wrong shape.
    """
    recorder = Recorder()
    fields: dict[str, ReceptiveField] = {}
    calls: Counter[str] = Counter()

    def returned(name: str, result: object) -> None:
        calls[name] += 1
        key = name if calls[name] == 1 else f"{name}#{calls[name]}"
        traced = [(path, leaf) for path, leaf in named_leaves(result) if isinstance(leaf, Traced)]
        for reason in (leaf.stale for _, leaf in traced if leaf.stale is not None):
            raise NotJudgedError(reason)
        mapped = {path: leaf.geometry for path, leaf in traced if leaf.geometry is not None}
        for path, geometry in mapped.items():
            fields[key if len(mapped) == 1 else f"{key}[{path}]"] = field_of(geometry, name or "the network itself")

    watched = _watched(module, recorder.layers, returned)
    with untouched(module), torch.inference_mode(False), torch.no_grad(), watched:
        image = _example(module, input_shape, recorder)
        try:
            module(image)
        except UsageError:
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
def _watched(module: nn.Module, layers: list[str], returned: Callable[[str, object], None]) -> Iterator[None]:
    """Keeps the stack of running layers and tells what each returns, with hooks that are not the module's own."""
    names = {part: name for name, part in module.named_modules()}

    def enter(part: nn.Module, _inputs: object) -> None:
        if part in names:
            layers.append(names[part])

    def leave(part: nn.Module, _inputs: object, result: object) -> None:
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
    batch, channels, height, width = _shape_of(input_shape, any(part.training for part in module.modules()))
    tensors = [*module.parameters(), *module.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    dtype = floating[0].dtype if floating else torch.get_default_dtype()
    device = tensors[0].device if tensors else torch.device("cpu")
    image = torch.empty(batch, channels, height, width, dtype=dtype, device="meta")
    return Traced.of(image, image_geometry((batch, channels, height, width)), device, recorder)


def _shape_of(input_shape: object, training: bool) -> tuple[int, int, int, int]:
    """(B, C, H, W); of a network in train mode two images, since some norms refuse a single one."""
    if isinstance(input_shape, torch.Tensor):
        raise UsageError(f"input_shape is (channels, height, width), got an image: pass {tuple(input_shape.shape)}")
    try:
        sizes = [operator.index(size) for size in input_shape] if isinstance(input_shape, Iterable) else []
    except TypeError:
        sizes = []
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise UsageError(f"input_shape is (channels, height, width), got {input_shape}")
    batch = sizes[0] if len(sizes) == 4 else 2 if training else 1
    return batch, sizes[-3], sizes[-2], sizes[-1]


def check_layer(fields: dict[str, ReceptiveField], layer: str) -> ReceptiveField:
    """`fields[layer]`. Raises ValueError with the nearest name and all names if there is no such layer."""
    if layer in fields:
        return fields[layer]
    raise UsageError(f"unknown layer {layer!r}{nearest(layer, fields)}; valid: {', '.join(map(repr, fields))}")
