"""Code of one's own, named as `package.module:function`: imported only where its owner said so.

Trusted is what stands on the command line (`trust=my_nets`) or is installed with an entry point in the group `cnnlab`,
never what a configuration or a folder names: those may come from a stranger.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from cnnlab._choices import UsageError, nearest

FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def trusted_factory(name: str, trust: Collection[str]) -> Callable[..., object]:
    """What `name` ("my_nets:resnet20") stands for, its package in `trust` or installed for cnnlab.

    A package is looked for in the working folder too. Raises UsageError, before anything is imported, for one that is
    not trusted, and for a name that isn't there.
    """
    if not isinstance(name, str) or not FACTORY.fullmatch(name):
        raise UsageError(f"a factory is given as package.module:function, such as my_nets:resnet20; got {name!r}")
    module, _, function = name.partition(":")
    package = module.partition(".")[0]
    if package not in trust and package not in _installed():
        raise UsageError(f"{name} is code of {package!r}, which is not trusted; if you trust it, add trust={package}")
    with _working_folder():
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{name}: there is no module {error.name}, neither installed nor in {Path.cwd()}"
            ) from error
    if function not in vars(found):
        raise UsageError(f"there is no {function!r} in {module}{nearest(function, vars(found))}")
    factory = vars(found)[function]
    if not callable(factory):
        raise UsageError(f"{name} is {type(factory).__name__}, which can't be called")
    return factory


def import_trusted(trust: Collection[str]) -> None:
    """Import the packages, so that the families, starts and sections that they register are known.

    Raises UsageError for one that isn't there, and for a name that is none.
    """
    for package in trust:
        if not package.isidentifier():
            raise UsageError(f"trust={package}: the name of a package, such as trust=my_nets")
        with _working_folder():
            try:
                importlib.import_module(package)
            except ModuleNotFoundError as error:
                where = f"neither installed nor in {Path.cwd()}"
                raise UsageError(f"trust={package}: there is no module {error.name}, {where}") from error


class Made(NamedTuple):
    """What a factory made, and the arguments that it took."""

    value: object
    arguments: dict[str, object]


def made_by(name: str, trust: Collection[str], offered: Mapping[str, object], given: Mapping[str, object]) -> Made:
    """What the factory makes of `given` and of those of `offered` that it has parameters for.

    Raises UsageError as `trusted_factory`, and for arguments that it doesn't take.
    """
    factory = trusted_factory(name, trust)
    arguments = {**taken(factory, offered), **given}
    try:
        return Made(factory(**arguments), arguments)
    except TypeError as error:
        raise UsageError(f"{name}: {error}") from error


def taken(factory: Callable[..., object], offered: Mapping[str, object]) -> dict[str, object]:
    """Those of `offered` that the factory has parameters for, all of them where it takes **kwargs."""
    parameters = inspect.signature(factory).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return dict(offered)
    return {name: value for name, value in offered.items() if name in parameters}


def _installed() -> set[str]:
    return {point.module.partition(".")[0] for point in entry_points(group="cnnlab")}


@contextmanager
def _working_folder() -> Iterator[None]:
    """Modules of the working folder are found, behind all others."""
    sys.path.append(str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop()
