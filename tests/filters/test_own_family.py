"""A filter family in a package of one's own: used, listed, checked, and a wrong one refused in words."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

from cnnlab._choices import UsageError
from cnnlab.filters import bank, families, listing, validate_family

GOOD = '''
"""Differences between pixels that lie apart."""

import torch

from cnnlab.filters import FilterBank, family
from cnnlab.filters.parameters import odd
from cnnlab.filters.stencils import rescaled


@family("difference of the two outermost pixels")
def apart(*, size: int = 3, normalise: str = "ramp") -> FilterBank:
    odd("apart", "size", size, least=3)
    row = torch.zeros(1, 1, 1, size, dtype=torch.float64)
    row[..., 0], row[..., -1] = -1 / (size - 1), 1 / (size - 1)
    return rescaled("apart", FilterBank(row, ("apart_dx",), "a thought"), normalise)
'''


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes a package with a module of this text and imports it; after the test it is forgotten."""
    monkeypatch.setattr(families, "_defined", dict(families._defined))
    package = tmp_path / "kernels_of_mine"

    def write_and_import(text: str) -> None:
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "apart.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        import_module(f"{package.name}.apart")

    yield write_and_import
    for module in [module for module in sys.modules if module.startswith(package.name)]:
        del sys.modules[module]


def test_a_family_of_ones_own_is_valid_in_expressions_listed_and_checked_once_it_is_imported(imported) -> None:
    with pytest.raises(UsageError, match="unknown filter family 'apart'"):
        bank("apart")
    imported(GOOD)
    validate_family("apart")
    assert bank("apart(size=5) + sobel[dx]").names == ("apart_dx", "sobel_dx")
    assert torch.equal(bank("apart", size=5).kernels, bank("apart(size=5)").kernels)
    assert listing().splitlines()[-1] == "apart(size=3, normalise='ramp'): difference of the two outermost pixels"


def test_its_mistakes_are_refused_as_those_of_all_families(imported) -> None:
    imported(GOOD)
    for text, message in (
        ("apar", r"unknown filter family 'apar' \(did you mean 'apart'\?\)"),
        ("apart(siz=5)", r"unknown parameter of apart 'siz' \(did you mean 'size'\?\); valid: size, normalise"),
        ("apart(size=4)", "apart: size=4 is not valid; valid: an odd integer from 3"),
    ):
        with pytest.raises(UsageError, match=message):
            bank(text)


def test_a_family_that_is_learned_gets_its_patches(imported) -> None:
    imported(
        """
import torch
from cnnlab.filters import FilterBank, family

@family("the mean patch")
def mean_patch(*, patches: torch.Tensor) -> FilterBank:
    return FilterBank(patches.double().mean((0, 1))[None, None], ("mean_patch",), "patches")
"""
    )
    validate_family("mean_patch")
    with pytest.raises(UsageError, match=r"needs patches=.* for mean_patch"):
        bank("mean_patch")
    assert listing().endswith("mean_patch(): the mean patch")


KERNEL = "torch.tensor([[[[-0.5, 0.0, 0.5]]]], dtype=torch.float64)"
LAWS = {
    "has no default": ("*, size: int", f'FilterBank({KERNEL}, ("wrong",), "test")'),
    "must return a FilterBank, got Tensor": ("", KERNEL),
    "kernels must be finite float64": ("", 'FilterBank(torch.ones(1, 1, 3, 3), ("wrong",), "test")'),
    "need as many different names": ("", f'FilterBank({KERNEL}, ("wrong", "wrong"), "test")'),
    "two calls differ; right: one seed": ("", 'FilterBank(torch.rand(1, 1, 3, 3).double(), ("wrong",), "test")'),
    "a kernel is called 'dx'; right: 'wrong', or 'wrong_dx'": ("", f'FilterBank({KERNEL}, ("dx",), "test")'),
    "its source is empty": ("", f'FilterBank({KERNEL}, ("wrong",), " ")'),
    "require gradients": ("", f'FilterBank({KERNEL}.requires_grad_(), ("wrong",), "test")'),
    "'wrong_2' is zero everywhere": ("", f'FilterBank({KERNEL} * 0, ("wrong_2",), "test")'),
    "'wrong_dx' is -1 to growth along x, 0 to growth across it": (
        "",
        f'FilterBank(-{KERNEL}, ("wrong_dx",), "test")',
    ),
    "'wrong_dy' is 0 to growth along y, 1 to growth across it": ("", f'FilterBank({KERNEL}, ("wrong_dy",), "test")'),
    "'wrong_dx' is 1 to growth along x, 0 to growth across it and 0.3": (
        "",
        f'FilterBank({KERNEL} + 0.1, ("wrong_dx",), "test")',
    ),
    "normalise='ramp' the response to a constant, or else to a unit ramp of 'wrong_dx' is 2; right: 1": (
        '*, normalise: str = "ramp"',
        f'FilterBank(2 * {KERNEL}, ("wrong_dx",), "test")',
    ),
    "normalise='integers' the distance from integers of 'wrong' is 0.5; right: 0": (
        '*, normalise: str = "ramp"',
        f'FilterBank({KERNEL}, ("wrong",), "test")',
    ),
    "normalise='l2' the L2 norm of 'wrong' is 2": (
        '*, normalise: str = "l2"',
        'FilterBank(torch.ones(1, 1, 2, 2).double() / (4 if normalise == "ramp" else 1), ("wrong",), "test")',
    ),
    r"bank\('wrong', size='\?'\) ends in TypeError": (
        "*, size: int = 3",
        'FilterBank(torch.ones(1, 1, size, size).double(), ("wrong",), "test")',
    ),
    r"bank\('wrong', size='\?'\) is accepted": ("*, size: int = 3", f'FilterBank({KERNEL}, ("wrong",), "test")'),
}


@pytest.mark.parametrize("message", LAWS)
def test_a_family_that_breaks_a_law_is_refused_with_what_is_right(imported, message: str) -> None:
    parameters, result = LAWS[message]
    imported(
        "import torch\nfrom cnnlab.filters import FilterBank, family\n\n"
        f'@family("breaks a law")\ndef wrong({parameters}):\n    return {result}\n'
    )
    with pytest.raises(UsageError, match=message):
        validate_family("wrong")


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("def sobel(*, size=3)", "'sobel' is there already, in cnnlab.filters.stencils; take another name"),
        ("def mine(size)", r"by keyword only, as in mine\(\*, size: int = 3\); not so: size"),
        ("def mine(*, size=3, **more)", "not so: more"),
    ],
)
def test_a_name_that_is_taken_and_parameters_without_names_are_refused_at_the_import(
    imported, definition: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        imported(f'from cnnlab.filters import family\n\n@family("wrong")\n{definition}:\n    ...\n')
    assert "mine" not in families.families()


def test_a_family_may_be_defined_again_where_it_was_defined() -> None:
    """As a cell of a notebook that is run twice; and no torch is needed to define or to misspell one."""
    program = """
import sys
from cnnlab.filters import check_expression, family, listing

for summary in ("first", "second"):
    @family(summary)
    def mine(*, size: int = 3):
        ...

check_expression("mine(size=7) + sobel")
assert listing().endswith("mine(size=3): second")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", families._in_package())
def test_every_family_of_ours_keeps_the_laws_and_is_read_from_its_source_as_it_is(name: str) -> None:
    validate_family(name)
    assert families._in_package()[name].defaults == families._defaults_of(families.builder(name))


def test_no_family_of_ours_is_left_out_of_the_listing() -> None:
    folder = Path(families.__file__).parent
    with_families = {path.stem for path in folder.glob("*.py") if "\n@family(" in path.read_text()}
    assert with_families == set(families._MODULES)
