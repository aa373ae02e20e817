"""Which filter families there are, what their parameters are, and how a new one is added. Imports no torch: quick.

The package's own families are read from their source files, which imports nothing; others are known once the module
that defines them is imported.
"""

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import TypeVar

from cnnlab._choices import UsageError, check_choice

Builder = TypeVar("Builder", bound=Callable[..., object])
# Files of the package's own families, in the order of the listing.
_MODULES = ("stencils", "gaussian", "laplacian", "gabor", "steerable", "compass", "cosine", "simple", "learned")


@dataclass(frozen=True)
class Family:
    """`defaults` of all parameters as source text, '' where one is required; no `build` before `module` is imported."""

    module: str
    summary: str
    defaults: dict[str, str]
    build: Callable[..., object] | None = None

    @property
    def parameters(self) -> list[str]:
        """What an expression may give."""
        return [name for name in self.defaults if name != "patches"]

    @property
    def needs_patches(self) -> bool:
        """It is learned from image patches, which its parameter `patches` takes."""
        return "patches" in self.defaults


_defined: dict[str, Family] = {}  # by the decorators that have run


def family(summary: str) -> Callable[[Builder], Builder]:
    """Decorator: makes a function a filter family of the function's name, described by `summary` in the listing.

    The function takes keyword parameters only and returns a `FilterBank`; from now on `bank("mine(size=5)")` builds
    it and `listing()` shows it, and `validate_family("mine")` checks that it keeps the laws of all families. A
    parameter called `patches` receives image patches, (N, c, h, w) float.

    Args:
        summary: What the family is, in a line.

    Returns:
        The decorator, which leaves the function as it is.

    Raises:
        UsageError: By the decorator: other parameters, no function, or a name that another module has taken.

    >>> import torch
    >>> from cnnlab.filters import FilterBank, bank, family
    >>> @family("difference of two neighbours, half a pixel off")
    ... def step() -> FilterBank:
    ...     return FilterBank(torch.tensor([[[[-1.0, 1.0]]]], dtype=torch.float64), ("step_dx",), "textbook")
    >>> bank("step + step")
    FilterBank(2 kernels of 1 x 2: step_dx, step2_dx)
    """

    def register(build: Builder) -> Builder:
        if not isinstance(build, FunctionType):
            raise UsageError(f"a filter family is a function, as by def; got {build!r}")
        name, module = build.__name__, build.__module__
        taken = families().get(name)
        if taken and taken.module != module:
            raise UsageError(f"a filter family {name!r} is there already, in {taken.module}; take another name")
        _defined[name] = Family(module, summary, _defaults_of(build), build)
        return build

    return register


def families() -> dict[str, Family]:
    """All by name, the package's own first."""
    return {**_in_package(), **_defined}


def find(name: str) -> Family:
    """The family called `name`; UsageError with all names and the nearest one if there is none."""
    known = families()
    check_choice("filter family", name, known)
    return known[name]


def builder(name: str) -> Callable[..., object]:
    """The function that builds a family; imports its module if need be."""
    entry = find(name)
    if entry.build:
        return entry.build
    build = getattr(import_module(entry.module), name)
    assert callable(build), "the source says that it is a function"
    return build


def check_parameters(name: str, parameters: list[str]) -> None:
    """UsageError with the valid names and the nearest one if a family does not take a parameter."""
    for parameter in parameters:
        check_choice(f"parameter of {name}", parameter, find(name).parameters)


def listing() -> str:
    """One line per family: how it is called with its defaults, and what it is.

    Families of your own (see `family`) come last, once the module that defines them is imported.

    Returns:
        Lines such as `sobel(size=3, ...): first derivative, ...`, to be printed; it needs no torch.

    >>> print(listing().splitlines()[2])
    sobel(size=3, normalise='ramp', orientations=None): first derivative, binomial smoothing across; size 3, 5 or 7
    """
    lines = []
    for name, entry in families().items():
        parameters = (f"{key}={entry.defaults[key]}" for key in entry.parameters)
        lines.append(f"{name}({', '.join(parameters)}): {entry.summary}")
    return "\n".join(lines)


@cache
def _in_package() -> dict[str, Family]:
    return {
        node.name: Family(f"cnnlab.filters.{module}", summary, _defaults_in(node.args))
        for module in _MODULES
        for node in ast.parse(Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and (summary := _summary(node.decorator_list))
    }


def _summary(decorators: list[ast.expr]) -> str | None:
    """What `@family` says; None for a function that is no family."""
    for decorator in decorators:
        match decorator:
            case ast.Call(func=ast.Name(id="family"), args=[ast.Constant(value=str(summary))]):
                return summary
    return None


def _defaults_in(arguments: ast.arguments) -> dict[str, str]:
    """Of a function in a source file."""
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {argument.arg: "" if default is None else ast.unparse(default) for argument, default in pairs}


def _defaults_of(build: FunctionType) -> dict[str, str]:
    """Of a function that is there. UsageError for parameters that are not given by keyword."""
    parameters = inspect.signature(build).parameters.values()
    wrong = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    if wrong:
        raise UsageError(
            f"the filter family {build.__name__!r} must take its parameters by keyword only, "
            f"as in {build.__name__}(*, size: int = 3); not so: {', '.join(wrong)}"
        )
    return {each.name: "" if each.default is each.empty else repr(each.default) for each in parameters}
