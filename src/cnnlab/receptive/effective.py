"""The effective receptive field: how much each pixel moves a unit, measured by gradients.

After Luo, Li, Urtasun & Zemel 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural
Networks", NeurIPS. N inputs, B batch, C channel, H, W image.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.receptive.capture import captured
from cnnlab.receptive.field import EffectiveField, ReceptiveField
from cnnlab.receptive.trace import check_layer, receptive_fields
from cnnlab.receptive.untouched import untouched

LEVELS = (50, 80, 95, 99)  # per cent of the energy


def effective_field(
    module: nn.Module,
    layer: str,
    inputs: Tensor | Iterable[Tensor | Sequence[Tensor]],
    unit: tuple[int, int] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> EffectiveField:
    """How much each pixel moves a unit: its mean squared gradient with respect to the pixels of N inputs.

    Args:
        module: The network. It runs in the mode it is in and is as before afterwards.
        layer: A key of `receptive_fields(module, ...)`.
        inputs: (N, C, H, W), or batches of that shape, all of one size; of a batch that is a tuple (image, label) the
            first entry counts. Batches are moved to the module's device and dtype.
        unit: (i, j), a row and a column of the layer's map, all of its channels summed; by default the middle one.
        progress: Called after every batch with the number of inputs done.

    Returns:
        The energy of every pixel, where its middle is, how wide it is, and the theoretical field to compare.

    Raises:
        UsageError: An unknown layer, a unit outside of the map, no inputs, a unit without gradient.

    Source: Luo, Li, Urtasun & Zemel 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural
    Networks", NeurIPS.

    >>> smooth = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    >>> _ = nn.init.constant_(smooth.weight, 1 / 9)
    >>> found = effective_field(nn.Sequential(smooth, smooth), "", random_inputs((1, 9, 9), count=4))
    >>> found.theoretical.size, found.unit, round(found.std[0] ** 2, 4)  # Luo et al.: n (k² - 1) / 12
    ((5, 5), (4, 4), 1.3333)
    """
    energy, count, field = None, 0, None
    with untouched(module), torch.inference_mode(False), torch.enable_grad():
        for batch in [inputs] if isinstance(inputs, Tensor) else inputs:
            image_BCHW = _prepared(module, batch)
            if field is None:
                field = check_layer(receptive_fields(module, image_BCHW.shape[1:]), layer)
                unit = _chosen(field, unit, layer)
            squared_HW = _squared_gradient(module, layer, image_BCHW, field, unit)
            if energy is not None and energy.shape != squared_HW.shape:
                raise UsageError(
                    f"all inputs must have one size; got {tuple(energy.shape)} and {tuple(squared_HW.shape)}"
                )
            energy = squared_HW if energy is None else energy + squared_HW
            count += len(image_BCHW)
            if progress is not None:
                progress(count)
    if energy is None or field is None or count == 0:
        raise UsageError("an effective field needs at least one input; got none")
    return _measured(layer, unit, energy / count, count, field)


def random_inputs(shape: tuple[int, int, int], count: int, seed: int = 0, batch: int = 8) -> Iterator[Tensor]:
    """Images of standard normal noise in batches; the same for a seed.

    Args:
        shape: (C, H, W), positive.
        count: How many images, at least 1.
        seed: Any integer; 0 is one.
        batch: Images in a batch, at least 1.

    Returns:
        An iterator of (up to `batch`, C, H, W) float32 on the CPU.

    Raises:
        UsageError: `shape` has not three numbers, `count` or `batch` is below 1.

    >>> [tuple(image_BCHW.shape) for image_BCHW in random_inputs((3, 8, 8), count=5, batch=4)]
    [(4, 3, 8, 8), (1, 3, 8, 8)]
    """
    if count < 1 or batch < 1 or len(shape) != 3:
        raise UsageError(f"need a shape (C, H, W), count and batch at least 1; got {shape}, {count}, {batch}")
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, batch):
        yield torch.randn(min(batch, count - start), *shape, generator=generator)


def _prepared(module: nn.Module, batch: Tensor | Sequence[Tensor]) -> Tensor:
    image = batch if isinstance(batch, Tensor) else batch[0]
    if image.dim() != 4:
        raise UsageError(f"inputs must be batches (N, C, H, W); got {tuple(image.shape)}")
    like = next((tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point()), image)
    dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
    return image.detach().to(like.device, dtype).clone().requires_grad_()


def _chosen(field: ReceptiveField, unit: tuple[int, int] | None, layer: str) -> tuple[int, int] | None:
    if field.grid is None:
        if unit is not None:
            raise UsageError(f"layer {layer!r} has no map of units, so no unit {unit}")
        return None
    if unit is None:
        return field.grid[0] // 2, field.grid[1] // 2
    if not all(0 <= place < size for place, size in zip(unit, field.grid, strict=True)):
        raise UsageError(f"unit {tuple(unit)} is not in the map of layer {layer!r}, {field.grid[0]} by {field.grid[1]}")
    return unit[0], unit[1]


def _squared_gradient(
    module: nn.Module, layer: str, image_BCHW: Tensor, field: ReceptiveField, unit: tuple[int, int] | None
) -> Tensor:
    """(H, W) float64: squared gradient of the unit, summed over the batch and the input channels."""
    output = captured(module, layer, image_BCHW)
    if unit is not None:
        assert field.grid is not None and field.map_dims is not None  # noqa: PT018
        rows, columns = field.map_dims
        if rows == columns:
            output = output.select(rows, unit[0] * field.grid[1] + unit[1])
        else:
            output = output.movedim((rows, columns), (-2, -1))[..., unit[0], unit[1]]
    if not output.requires_grad:
        raise UsageError(f"layer {layer!r} has no gradient with respect to the image")
    (gradient_BCHW,) = torch.autograd.grad(output.sum(), image_BCHW, allow_unused=True)
    if gradient_BCHW is None:
        raise UsageError(f"layer {layer!r} has no gradient with respect to the image")
    return gradient_BCHW.double().square().sum(dim=(0, 1)).cpu()


def _measured(
    layer: str, unit: tuple[int, int] | None, heat_HW: Tensor, count: int, field: ReceptiveField
) -> EffectiveField:
    peak = heat_HW.max()
    if not heat_HW.isfinite().all():
        raise UsageError(f"the gradient of layer {layer!r}, unit {unit}, is not finite")
    if peak == 0:
        raise UsageError(f"layer {layer!r}, unit {unit}: dead unit, its gradient is 0 for all {count} inputs")
    height, width = heat_HW.shape
    weights_HW = (heat_HW / peak).sqrt()
    weights_HW = weights_HW / weights_HW.sum()
    moments = [
        _moments(weights_HW.sum(dim=1 - axis), torch.arange(size, dtype=torch.float64))
        for axis, size in enumerate((height, width))
    ]
    (y, std_h), (x, std_w) = moments
    energy_HW = heat_HW / peak
    energy_HW = energy_HW / energy_HW.sum()
    rows = torch.arange(height, dtype=torch.float64).unsqueeze(1) - y
    columns = torch.arange(width, dtype=torch.float64).unsqueeze(0) - x
    distance, order = torch.sqrt(rows**2 + columns**2).flatten().sort()
    inside, largest = energy_HW.flatten()[order].cumsum(0), energy_HW.flatten().sort(descending=True).values.cumsum(0)
    area = _theoretical_area(field, unit, height, width)
    radius = {level: float(distance[_first(inside, level)]) for level in LEVELS}
    fraction = {level: (_first(largest, level) + 1) / area for level in LEVELS}
    return EffectiveField(layer, unit, heat_HW, (y, x), (std_h, std_w), radius, fraction, count, field)


def _moments(weights: Tensor, places: Tensor) -> tuple[float, float]:
    mean = (weights * places).sum()
    return float(mean), float((weights * (places - mean) ** 2).sum().sqrt())


def _first(cumulative: Tensor, level: int) -> int:
    """Index of the first entry that reaches `level` per cent, up to rounding."""
    reached = cumulative >= (level / 100) * (1 - 1e-12)
    return int(reached.int().argmax())


def _theoretical_area(field: ReceptiveField, unit: tuple[int, int] | None, height: int, width: int) -> int:
    if unit is None:
        return height * width
    box = field.clipped(*unit, height, width)
    return (box.bottom - box.top + 1) * (box.right - box.left + 1)
