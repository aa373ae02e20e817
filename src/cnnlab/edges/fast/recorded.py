"""Whether a computation must stay one that torch can follow."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


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
