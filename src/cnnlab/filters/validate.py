"""What every filter family keeps, as one function. h by w kernel sides."""

import math
from typing import NoReturn

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank, bank
from cnnlab.filters.families import find
from cnnlab.filters.normalisation import NORMALISATIONS, TOLERANCE, responses


def validate_family(name: str, *, patches: Tensor | None = None) -> None:
    """Checks that a filter family keeps the laws of all families, one of your own (see `family`) as well as ours.

    - Every parameter has a default, and a value that makes no sense is refused with a UsageError.
    - It returns a `FilterBank` (which checks shapes, float64, finite weights and different names itself), the same one
      at every call, with a source, without gradients and without kernels of zeros.
    - Each kernel is called like the family (`mine`) or begins so (`mine_dx`).
    - Kernels called `..._dx` or `..._dy` are first derivatives, correlated and never flipped: the response to intensity
      that grows along that axis is positive, to a constant and to growth along the other axis 0.
    - A parameter `normalise` keeps its word. "ramp": smoothing kernels sum to 1 (or -1), first derivatives respond with
      1 to a unit ramp along their direction. "l2", "l1": the norm is 1. "integers": every weight is an integer. A form
      that the family refuses isn't checked.

    Args:
        name: The family, whose module is imported.
        patches: (N, c, h, w) float, for a family that is learned; by default 200 smooth ones of 5 by 5 pixels.

    Raises:
        UsageError: The first law that is broken, with an example of what is right.

    >>> validate_family("sobel")
    """
    entry = find(name)
    for parameter in entry.parameters:
        if not entry.defaults[parameter]:
            _fail(name, f"the parameter {parameter!r} has no default", f"bank({name!r}) works as it stands")
    given = (_smooth_patches() if patches is None else patches) if entry.needs_patches else None
    built = _built_alike(name, given)
    _check_labels(name, built)
    for kernel, weights_hw in zip(built.names, built.kernels[:, 0], strict=True):
        _check_direction(name, kernel, weights_hw)
    for how in NORMALISATIONS if "normalise" in entry.parameters else ():
        _check_form(name, how, given)
    for parameter in entry.parameters:
        _check_refusal(name, parameter, given)


def _fail(name: str, problem: str, right: str) -> NoReturn:
    raise UsageError(f"the filter family {name!r} breaks a law: {problem}; right: {right}")


def _smooth_patches() -> Tensor:
    noise = torch.rand(200, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1)


def _built_alike(name: str, patches: Tensor | None) -> FilterBank:
    """The family with its defaults; what is drawn at random comes out otherwise under another seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = bank(name, patches=patches)
        torch.manual_seed(1)
        second = bank(name, patches=patches)
    if first.names != second.names or not torch.equal(first.kernels, second.kernels):
        _fail(name, "two calls differ", "one seed makes one result: generator=torch.Generator().manual_seed(seed)")
    return first


def _check_labels(name: str, built: FilterBank) -> None:
    for kernel in built.names:
        if kernel != name and not kernel.startswith(f"{name}_"):
            _fail(name, f"a kernel is called {kernel!r}", f"{name!r}, or {name + '_dx'!r}")
    if not built.source.strip():
        _fail(name, "its source is empty", "FilterBank(kernels, names, 'Sobel & Feldman 1968')")
    if built.kernels.requires_grad:
        _fail(name, "its kernels require gradients", "FilterBank(kernels.detach(), names, source)")
    for kernel, weights_hw in zip(built.names, built.kernels[:, 0], strict=True):
        if not weights_hw.any():
            _fail(name, f"the kernel {kernel!r} is zero everywhere", "leave it out")


def _check_direction(name: str, kernel: str, weights_hw: Tensor) -> None:
    axis = kernel.rpartition("_")[2]
    if axis not in ("dx", "dy"):
        return
    dy, dx = responses(weights_hw, 1)
    along, across = (dx, dy) if axis == "dx" else (dy, dx)
    constant = responses(weights_hw, 0)[0]
    if constant or across or along <= 0:
        found = f"{along:g} to growth along {axis[1]}, {across:g} to growth across it and {constant:g} to a constant"
        _fail(name, f"the response of {kernel!r} is {found}", "positive, 0 and 0, as that of [-1, 0, 1] is along x")


def _check_form(name: str, how: str, patches: Tensor | None) -> None:
    try:
        built = bank(name, patches=patches, normalise=how)
    except UsageError:
        return  # a form that this family doesn't have
    for kernel, weights_hw in zip(built.names, built.kernels[:, 0], strict=True):
        size, wanted = _size(weights_hw, how)
        if abs(size - wanted) > TOLERANCE:
            right = f'{wanted:g}, as FilterBank(...).normalised("{how}") makes it'
            _fail(name, f"with normalise={how!r} the {_MEASURES[how]} of {kernel!r} is {size:g}", right)


_MEASURES = {
    "ramp": "response to a constant, or else to a unit ramp",
    "integers": "distance from integers",
    "l2": "L2 norm",
    "l1": "L1 norm",
}


def _size(weights_hw: Tensor, how: str) -> tuple[float, float]:
    """What is 1 (or 0) in this form, and which of the two it must be."""
    if how == "integers":
        return float((weights_hw - weights_hw.round()).abs().max()), 0.0
    if how == "ramp":
        lowest = abs(responses(weights_hw, 0)[0]) or math.hypot(*responses(weights_hw, 1))
        return lowest, 1.0 if lowest else 0.0  # second derivatives and higher ones are measured otherwise
    return float(torch.linalg.vector_norm(weights_hw, ord=2 if how == "l2" else 1)), 1.0


def _check_refusal(name: str, parameter: str, patches: Tensor | None) -> None:
    call = f"bank({name!r}, {parameter}='?')"
    right = "raise cnnlab.UsageError with what is valid, or use a check of cnnlab.filters.parameters"
    try:
        bank(name, patches=patches, **{parameter: "?"})
    except UsageError:
        return
    except Exception as error:
        _fail(name, f"{call} ends in {type(error).__name__}: {error}", right)
    _fail(name, f"{call} is accepted", right)
