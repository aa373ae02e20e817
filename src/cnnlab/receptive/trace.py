"""Receptive fields of every layer of any module, from one forward pass without values."""

import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ReceptiveFields(dict[str, ReceptiveField]):
    """Layer name -> field, in the order of the calls' ends: what `receptive_fields` returns.

    A notebook shows it as a picture. input_shape: (B, C, H, W) of the example.
    """

    input_shape: tuple[int, int, int, int]

    def figure(self) -> "Figure":
        """Sizes over depth, and what the middle units of a few layers see of an image of the example's size."""
        from cnnlab.receptive.figures import overview

        return overview(self, self.input_shape[2:])

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        png = BytesIO()
        self.figure().savefig(png, format="png")
        return png.getvalue()


def receptive_fields(module: nn.Module, input_shape: Sequence[int]) -> ReceptiveFields:
    """The receptive field of every layer that `module` calls in its forward pass: size, stride, padding and centre.

    Exact, from one forward pass without values, in which every operation of torch says which positions it reads; a
    pixel that gets weight 0 (a bilinear place on a pixel exactly) is not seen. Layers may share weights, skip, branch,
    cut into windows or be plain functions. Convention: Araujo, Norris & Sim 2019, "Computing Receptive Fields of
    Convolutional Neural Networks", Distill (doi 10.23915/distill.00021).

    Args:
        module: Any network that takes one image. It is analysed in the mode it is in: BatchNorm in train mode mixes the
            whole batch, so its field is unbounded; call `module.eval()` for the usual one. Afterwards it is as it was.
        input_shape: (C, H, W) or (B, C, H, W) of an example in pixels. It must be large enough for the forward pass,
            else it has no influence, except where a note says so (adaptive pooling to more than one unit, branches of
            different strides, align_corners) and for windows of attention that hold the whole map of the example.

    Returns:
        A dictionary in the order of the calls' ends. Keys are the names of `named_modules`; the module itself is "".
        Calls after the first are "name#2", "name#3". A layer that returns several tensors (in a tuple, a mapping, a
        dataclass ...) has a key for each: "name[0]", "name[features]". Layers whose results don't depend on the image
        (a bias table, say) have none. A layer that may see everything is `unbounded` and says why.

    Raises:
        UsageError: An operation depends on values of the image, the forward pass fails, the shape is wrong.

    Padded places count as places of their own, so `box` may reach over the image's border also with mirrored padding.
    ResNet-50's layer4 has size 427 as torchvision builds it, with the stride in the 3x3 convolution. The published 483
    is for the stride in the 1x1 convolution before it (He et al. 2016, CVPR).

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    >>> field = receptive_fields(network, (3, 32, 32))["2"]
    >>> field.size, field.stride, field.padding, field.centre
    ((8, 8), (2, 2), (3, 3), (0.5, 0.5))
    >>> field.box(4, 5)
    Box(top=5, left=7, bottom=12, right=14)
    """
    recorder = Recorder()
    fields = ReceptiveFields()
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
        batch, channels, height, width = image.shape
        fields.input_shape = batch, channels, height, width
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


def check_layer(fields: Mapping[str, ReceptiveField], layer: str) -> ReceptiveField:
    """`fields[layer]`. Raises UsageError with the nearest name and all names if there is no such layer.

    >>> check_layer(receptive_fields(nn.Sequential(nn.Identity()), (3, 8, 8)), "1")
    Traceback (most recent call last):
    cnnlab.UsageError: unknown layer '1'; valid: '0', ''
    """
    if layer in fields:
        return fields[layer]
    raise UsageError(f"unknown layer {layer!r}{nearest(layer, fields)}; valid: {', '.join(map(repr, fields))}")
