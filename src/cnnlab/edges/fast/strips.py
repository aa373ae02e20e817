"""Work on an image strip by strip, so that what lies between its steps stays in the CPU's cache."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

_PIXELS = 2**17  # of one strip: 512 KiB of float32


def by_strips(work: Callable[[Tensor], tuple[Tensor, ...]], padded_BCHW: Tensor, halo: int) -> tuple[Tensor, ...]:
    """`work(padded)`, fields that lose `halo` rows, computed some rows at a time: exactly the same numbers.

    Only on a CPU, and only where no gradient is asked for and nothing is traced: elsewhere the detour has no use,
    and the image is one strip.
    """
    rows = padded_BCHW.shape[-2] - halo
    traced = torch.compiler.is_compiling() or recorded(padded_BCHW)
    if padded_BCHW.device.type != "cpu" or traced:
        return work(padded_BCHW)
    step = max(1, _PIXELS * padded_BCHW.shape[-2] // max(padded_BCHW.numel(), 1))
    if step >= rows:
        return work(padded_BCHW)
    results: tuple[Tensor, ...] = ()
    for start in range(0, rows, step):
        end = min(start + step, rows)
        parts = work(padded_BCHW[..., start : end + halo, :])
        results = results or tuple(part.new_empty(*part.shape[:-2], rows, part.shape[-1]) for part in parts)
        for result, part in zip(results, parts, strict=True):
            result[..., start:end, :] = part
    return results


def recorded(tensor: Tensor) -> bool:
    """Whether a derivative of it is asked for, backward or forward, or one of torch.func's transforms is at work.

    While torch compiles or exports, only the first is seen.
    """
    if torch.is_grad_enabled() and tensor.requires_grad:
        return True
    if torch.compiler.is_compiling():
        return False
    transformed = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return transformed or forward_ad.unpack_dual(tensor).tangent is not None
