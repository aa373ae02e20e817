"""Which filter families there are and what they may be asked. Imports no torch: answers at once."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cnnlab._choices import check_choice


@dataclass(frozen=True)
class Family:
    """Where a family is built (`module:function`, the module beside this file) and what it is."""

    builder: str
    summary: str
    needs_patches: bool = False


FAMILIES = {
    "central": Family("stencils:central", "central differences, accuracy 2, 4 or 6, first or second derivative"),
    "prewitt": Family("stencils:prewitt", "first derivative, box smoothing across"),
    "sobel": Family("stencils:sobel", "first derivative, binomial smoothing across; size 3, 5 or 7"),
    "scharr": Family("stencils:scharr", "first derivative, 3 10 3 across: closest to isotropic at 3 x 3"),
    "farid": Family("stencils:farid", "Farid-Simoncelli first derivative, optimised for rotation; size 5 or 7"),
    "roberts": Family("stencils:roberts", "Roberts cross: 2 x 2 differences along the diagonals"),
    "gaussian": Family("gaussian:gaussian", "Gaussian and its derivatives of any order, at any scales"),
    "laplacian": Family("laplacian:laplacian", "Laplacian on 4 or 8 neighbours"),
    "log": Family("laplacian:log", "Laplacian of Gaussian, at any scales"),
    "dog": Family("laplacian:dog", "difference of Gaussians, at any scales"),
    "gabor": Family("gabor:gabor", "Gabor kernels of one phase, at any wavelengths and orientations"),
    "quadrature": Family("gabor:quadrature", "Gabor pairs (even, odd) whose norm is the local energy"),
    "steerable": Family("steerable:steerable", "second-order steerable Gaussian: basis or orientations"),
    "steerable_pair": Family("steerable:steerable_pair", "Freeman-Adelson pairs (G2, H2), any orientations"),
    "kirsch": Family("compass:kirsch", "Kirsch compass kernels, eight directions"),
    "robinson": Family("compass:robinson", "Robinson compass kernels, eight directions, 3 or 5 levels"),
    "frei_chen": Family("compass:frei_chen", "Frei-Chen orthonormal basis: edges, lines and the mean"),
    "dct": Family("cosine:dct", "orthonormal cosine basis (DCT-II) of a square patch"),
    "identity": Family("simple:identity", "leaves the image as it is"),
    "shift": Family("simple:shift", "moves the image by (dy, dx) pixels"),
    "box": Family("simple:box", "mean of a square neighbourhood"),
    "sharpen": Family("simple:sharpen", "image minus a multiple of its Laplacian"),
    "pca": Family("learned:pca", "principal components of image patches", needs_patches=True),
    "whitening": Family("learned:whitening", "whitening filters of image patches (ZCA or PCA)", needs_patches=True),
}


def family(name: str) -> Family:
    """The family called `name`; ValueError with all names and the nearest one if there is none."""
    check_choice("filter family", name, FAMILIES)
    return FAMILIES[name]


@cache
def defaults(name: str) -> dict[str, str]:
    """Parameters of a family and their defaults as source text ('' where required).

    Read from the builder's signature in its source file, which imports nothing.

    >>> defaults("sobel")["size"]
    '3'
    """
    module, function = family(name).builder.split(":")
    tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8"))
    (definition,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    arguments = definition.args
    assert not arguments.args, f"{function} must take keyword parameters only"
    return {
        argument.arg: "" if default is None else ast.unparse(default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }


def check_parameters(name: str, given: list[str]) -> None:
    """ValueError with the valid names and the nearest one if a family does not take a parameter."""
    known = [parameter for parameter in defaults(name) if parameter != "patches"]
    for parameter in given:
        check_choice(f"parameter of {name}", parameter, known)


def listing() -> str:
    """One line per family: how it is called with its defaults, and what it is."""
    lines = []
    for name, entry in FAMILIES.items():
        parameters = (f"{key}={text}" for key, text in defaults(name).items() if key != "patches")
        lines.append(f"{name}({', '.join(parameters)}): {entry.summary}")
    return "\n".join(lines)
