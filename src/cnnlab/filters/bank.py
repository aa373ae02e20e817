"""Filter banks. K kernels of h by w, correlated and never flipped; x grows right, y grows down."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError, nearest
from cnnlab.filters.expression import Call, Key, Node, Pick, calls, parse
from cnnlab.filters.families import builder, check_parameters, find
from cnnlab.filters.normalisation import scaled
from cnnlab.filters.rotation import angle_names, angles, resampled, steered

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class FilterBank:
    """Kernels with names and a source: what `bank` returns. A notebook shows it as a picture.

    Args:
        kernels: (K, 1, h, w) float64, finite, to be correlated with an image.
        names: K different words such as "sobel_dx".
        source: Where the kernels come from: a paper, a book.
        vectors: Indices of kernels whose responses form one vector, whose Euclidean norm is one magnitude: (dy, dx) of
            a gradient, (even, odd) of a quadrature pair.

    Raises:
        UsageError: The arguments contradict each other or that.

    Two banks are joined by `+`; `bank["dx"]`, `bank[0]` and `bank[:2]` choose kernels; `len(bank)` is K.

    >>> step = FilterBank(torch.tensor([[[[-1.0, 1.0]]]], dtype=torch.float64), ("step",), "Roberts 1963")
    >>> step.normalised("l1").kernels.tolist()
    [[[[-0.5, 0.5]]]]
    """

    kernels: Tensor
    names: tuple[str, ...]
    source: str
    vectors: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.kernels.shape)
        if self.kernels.ndim != 4 or shape[1] != 1 or 0 in shape:
            raise UsageError(f"kernels must be (K, 1, h, w) and not empty, got {shape}")
        if self.kernels.dtype != torch.float64 or not self.kernels.isfinite().all():
            raise UsageError(f"kernels must be finite float64, got {self.kernels.dtype}")
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "vectors", tuple(tuple(vector) for vector in self.vectors))
        if len(self.names) != shape[0] or len(set(self.names)) != shape[0]:
            raise UsageError(f"{shape[0]} kernels need as many different names, got {self.names}")
        for vector in self.vectors:
            if not vector or len(set(vector)) != len(vector) or not set(vector) <= set(range(shape[0])):
                raise UsageError(f"a vector holds different indices from 0 to {shape[0] - 1}, got {vector}")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        height, width = self.kernels.shape[-2:]
        return f"FilterBank({len(self)} kernels of {height} x {width}: {', '.join(self.names)})"

    def figure(self) -> "Figure":
        """One panel per kernel (the first 64) under its name and largest weight: red is positive, blue negative."""
        from cnnlab.filters.picture import kernel_panels

        return kernel_panels(self.kernels.detach().cpu(), self.names)

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        png = BytesIO()
        self.figure().savefig(png, format="png")
        return png.getvalue()

    def __add__(self, other: "FilterBank") -> "FilterBank":
        """Both banks, one after the other; smaller kernels are padded with zeros about their centre.

        A name that is taken gets a number after its first word (`sobel2_dx`). UsageError if one side is even
        and the other odd: such kernels have no common centre.
        """
        if not isinstance(other, FilterBank):
            return NotImplemented
        height, width = (max(pair) for pair in zip(self.kernels.shape[-2:], other.kernels.shape[-2:], strict=True))
        kernels = torch.cat([embedded(bank.kernels, height, width) for bank in (self, other)])
        names = list(self.names)
        for name in other.names:
            names.append(_free_name(name, names))
        source = self.source if other.source == self.source else f"{self.source} + {other.source}"
        shifted = tuple(tuple(index + len(self) for index in vector) for vector in other.vectors)
        return FilterBank(kernels, tuple(names), source, self.vectors + shifted)

    def __getitem__(self, keys: Key | tuple[Key, ...]) -> "FilterBank":
        """Some kernels, by index, slice or name; vectors stay where all of their kernels do.

        A name is a full name or an ending that only one kernel has: `bank["dx"]`. UsageError otherwise.
        """
        chosen: list[int] = []
        for key in keys if isinstance(keys, tuple) else (keys,):
            chosen += self._indices(key)
        if not chosen or len(set(chosen)) != len(chosen):
            raise UsageError(f"select at least one kernel and none twice, got {keys!r} of {', '.join(self.names)}")
        place = {index: position for position, index in enumerate(chosen)}
        vectors = (tuple(place[i] for i in vector) for vector in self.vectors if set(vector) <= set(chosen))
        return FilterBank(self.kernels[chosen], tuple(self.names[i] for i in chosen), self.source, tuple(vectors))

    def select(self, *names: str) -> "FilterBank":
        """The kernels of these names (or unambiguous endings such as "dx"), in this order."""
        return self[names]

    def normalised(self, how: str) -> "FilterBank":
        """Each kernel times a positive factor: "ramp", "integers", "l2" or "l1", as in `normalisation.py`."""
        kernels = torch.stack([scaled(kernel, how) for kernel in self.kernels[:, 0]]).unsqueeze(1)
        return replace(self, kernels=kernels, source=f"{self.source}; {how}")

    def rotated(self, orientations: int) -> "FilterBank":
        """Each kernel at θ_k = kπ/n, k = 0 .. n - 1, from +x towards +y, named by degrees ("sobel_t45").

        A vector (…_dy, …_dx) is steered exactly, into n kernels; any other kernel is rotated about its centre
        by interpolation (exact for multiples of 90°). UsageError if n is no positive integer or a kernel to
        rotate is not square.
        """
        if type(orientations) is not int or orientations < 1:
            raise UsageError(f"orientations must be an integer of at least 1, got {orientations!r}")
        pairs = {vector[1]: vector[0] for vector in self.vectors if self._is_gradient(vector)}
        groups, names = [], []
        for index, name in enumerate(self.names):
            if index in pairs.values():
                continue  # steered together with its dx
            stem = name.removesuffix("_dx") if index in pairs else name
            pair = self.kernels[[pairs.get(index, index), index], 0]
            for angle, suffix in zip(angles(orientations), angle_names(orientations), strict=True):
                plain = resampled(self.kernels[index : index + 1], angle)[0, 0]
                groups.append(steered(pair, angle) if index in pairs else plain)
                names.append(f"{stem}_{suffix}")
        return FilterBank(torch.stack(groups).unsqueeze(1), tuple(names), f"{self.source}; rotated")

    def _is_gradient(self, vector: tuple[int, ...]) -> bool:
        names = [self.names[index] for index in vector]
        return len(names) == 2 and names[0].endswith("_dy") and names[1] == names[0].removesuffix("dy") + "dx"

    def _indices(self, key: Key) -> list[int]:
        if isinstance(key, slice):
            return list(range(len(self)))[key]
        if isinstance(key, str):
            return [self._index_of(key)]
        if type(key) is not int or not -len(self) <= key < len(self):
            raise UsageError(f"no kernel {key!r}; valid: 0 to {len(self) - 1}, or {', '.join(self.names)}")
        return [key % len(self)]

    def _index_of(self, name: str) -> int:
        if name in self.names:
            return self.names.index(name)
        matches = [index for index, known in enumerate(self.names) if known.endswith(f"_{name}")]
        if len(matches) == 1:
            return matches[0]
        endings = [known.rpartition("_")[2] for known in self.names]
        problem = "several kernels end in" if matches else "no kernel is called"
        raise UsageError(f"{problem} {name!r}{nearest(name, [*self.names, *endings])}; valid: {', '.join(self.names)}")


def embedded(kernels_K1hw: Tensor, height: int, width: int) -> Tensor:
    """Kernels padded with zeros to (height, width), centres kept; UsageError if the parity differs."""
    rows, columns = height - kernels_K1hw.shape[-2], width - kernels_K1hw.shape[-1]
    if rows % 2 or columns % 2:
        small, large = tuple(kernels_K1hw.shape[-2:]), (height, width)
        raise UsageError(f"kernels of {small} and {large} have no common centre; sides must be all odd or all even")
    return F.pad(kernels_K1hw, (columns // 2, columns // 2, rows // 2, rows // 2))


def joined(banks: Iterable[FilterBank]) -> FilterBank:
    """All banks, one after the other, as by `+`."""
    first, *rest = banks
    return sum(rest, start=first)


def bank(expression: str, *, patches: Tensor | None = None, **parameters: object) -> FilterBank:
    """The bank that an expression names.

    Args:
        expression: A family, with parameters or without ("sobel", "sobel(size=5)"); a sum, in which smaller kernels
            are padded about their centre ("sobel + laplacian"); some kernels by name, index or slice ("sobel[dx]",
            "gabor[0:2]"). `listing()` has all families; lengths are in pixels.
        patches: Image patches, (N, c, h, w) float, for the families that are learned from them: pca, whitening.
        parameters: Those of a single family: `bank("sobel", size=5)` is `bank("sobel(size=5)")`.

    Returns:
        The kernels, (K, 1, h, w) float64, with their names and the source of each family. They are correlated, never
        flipped; x grows right, y grows down; by default the response of a first derivative to a unit ramp is 1.

    Raises:
        UsageError: An unknown family or parameter (with the nearest one), a value that the family refuses, parameters
            beside more than one bare family, or patches that are missing or of no use.

    >>> bank("sobel + laplacian")
    FilterBank(3 kernels of 3 x 3: sobel_dy, sobel_dx, laplacian)
    >>> bank("sobel(normalise=integers)[dx]").kernels.tolist()
    [[[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]]]
    """
    tree = parse(expression)
    if parameters:
        if not isinstance(tree, Call) or tree.parameters:
            names = ", ".join(parameters)
            raise UsageError(f"parameters ({names}) go with one bare family name; write them inside {expression!r}")
        check_parameters(tree.family, list(parameters))
        tree = Call(tree.family, parameters)
    learned = [call.family for call in calls(tree) if find(call.family).needs_patches]
    if bool(learned) != (patches is not None):
        need = f"needs patches=, (N, c, h, w), for {', '.join(learned)}" if learned else "takes no patches"
        raise UsageError(f"the bank {expression!r} {need}")
    return _built(tree, patches)


def _built(node: Node, patches: Tensor | None) -> FilterBank:
    if isinstance(node, Pick):
        return _built(node.of, patches)[node.keys]
    if isinstance(node, Call):
        data = {"patches": patches} if find(node.family).needs_patches else {}
        built = builder(node.family)(**node.parameters, **data)
        if not isinstance(built, FilterBank):
            raise UsageError(f"the filter family {node.family!r} must return a FilterBank, got {type(built).__name__}")
        return built
    return _built(node.left, patches) + _built(node.right, patches)


def _free_name(name: str, taken: list[str]) -> str:
    first, underscore, rest = name.partition("_")
    number, candidate = 2, name
    while candidate in taken:
        candidate = f"{first}{number}{underscore}{rest}"
        number += 1
    return candidate
