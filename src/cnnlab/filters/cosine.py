"""Cosine basis. n patch side."""

import math

import torch

from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.parameters import choice, integer


@family("orthonormal cosine basis (DCT-II) of a square patch")
def dct(*, size: int = 3, dc: bool = True) -> FilterBank:
    """DCT-II of a size x size patch: size² orthonormal kernels `dct_v_u` with v half-waves down and u across.

    Correlated with a patch they give `scipy.fft.dctn(patch, norm="ortho")`, in row order. Ahmed, Natarajan &
    Rao 1974, IEEE Trans. Comput. C-23(1). `dct_0_1` falls along x: the cosine's sign, not a derivative's.
    `size` at least 2, even too; `dc=False` leaves out the constant kernel, and all others respond with 0 to a
    constant.
    """
    integer("dct", "size", size, 2, 32)
    choice("dct", "dc", dc, (True, False))
    place = torch.arange(size, dtype=torch.float64) + 0.5
    waves = torch.cos(math.pi / size * (place - 0.5).unsqueeze(1) * place) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    kernels = torch.einsum("vy,ux->vuyx", waves, waves).reshape(-1, 1, size, size)
    names = tuple(f"dct_{v}_{u}" for v in range(size) for u in range(size))
    bank = FilterBank(kernels, names, "DCT-II, Ahmed, Natarajan & Rao 1974, IEEE Trans. Comput. C-23(1)")
    return bank if dc else bank[1:]
