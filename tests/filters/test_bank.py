"""Laws of banks: composition, selection, normalisation, errors. h by w kernel sides."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters import FilterBank, bank
from cnnlab.filters.normalisation import scaled
from cnnlab.filters.rotation import steered

PATCHES = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
DERIVATIVES = [
    "central",
    "central(order=2)",
    "prewitt",
    "sobel",
    "scharr",
    "farid",
    "roberts",
    "gaussian(order=3)",
]
DERIVATIVES += [
    "laplacian",
    "log",
    "dog",
    "steerable",
    "steerable_pair",
    "kirsch",
    "robinson",
    "gabor",
    "quadrature",
]


@pytest.mark.parametrize("expression", DERIVATIVES)
@pytest.mark.parametrize("how", ["l1", "l2"])
def test_every_derivative_responds_with_zero_to_a_constant_in_every_form(expression: str, how: str) -> None:
    for result in (bank(expression), bank(expression).normalised(how)):
        scale = result.kernels.abs().sum(dim=(-2, -1))
        assert (result.kernels.sum(dim=(-2, -1)).abs() < 1e-13 * scale.clamp(min=1)).all()


@pytest.mark.parametrize("expression", ["sobel", "laplacian", "gabor", "dct", "box", "shift", "kirsch"])
def test_the_norms_of_normalised_kernels_are_one(expression: str) -> None:
    plain = bank(expression)
    for how, order in (("l1", 1), ("l2", 2)):
        norms = torch.linalg.vector_norm(plain.normalised(how).kernels, ord=order, dim=(-2, -1))
        torch.testing.assert_close(norms, torch.ones_like(norms))


RAMP_FORM = [
    "central(accuracy=4)",
    "central(order=2)",
    "sobel(size=7)",
    "farid",
    "roberts",
    "laplacian(neighbours=8)",
]
RAMP_FORM += ["log", "dog", "gaussian", "gaussian(order=1)", "gaussian(order=2)", "kirsch", "box", "identity"]


@pytest.mark.parametrize("expression", RAMP_FORM)
def test_ramp_normalisation_undoes_any_scale(expression: str) -> None:
    original = bank(expression)
    scrambled = FilterBank(original.kernels * 7.3, original.names, original.source)
    torch.testing.assert_close(scrambled.normalised("ramp").kernels, original.kernels)


@settings(deadline=None, max_examples=40)
@given(angle=st.floats(-4, 4), kind=st.sampled_from(["gaussian(order=1)", "gaussian(order=2, sigma=2)", "sobel"]))
def test_ramp_normalisation_does_not_depend_on_the_direction_of_a_kernel(angle: float, kind: str) -> None:
    kernel = steered(bank(kind).kernels[:, 0], angle)
    torch.testing.assert_close(scaled(kernel * 5, "ramp"), kernel, atol=1e-12, rtol=1e-9)


def test_normalisations_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"farid: normalise='integers'.*no multiple of small integers"):
        bank("farid", normalise="integers")
    with pytest.raises(ValueError, match="no ramp normalisation"):
        bank("gaussian", order=3).normalised("ramp")
    with pytest.raises(ValueError, match="valid: ramp, integers, l2, l1"):
        bank("sobel").normalised("max")
    with pytest.raises(ValueError, match="zeros"):
        FilterBank(torch.zeros(1, 1, 3, 3).double(), ("none",), "test").normalised("l2")


def test_a_sum_embeds_small_kernels_in_the_middle_and_shifts_the_vectors() -> None:
    total = bank("laplacian + sobel(size=5) + quadrature(size=7, orientations=1)")
    assert total.kernels.shape == (5, 1, 7, 7)
    assert total.vectors == ((1, 2), (3, 4))
    assert torch.equal(total.kernels[:1, :, 2:5, 2:5], bank("laplacian").kernels)
    assert torch.equal(total.kernels[1:3, :, 1:6, 1:6], bank("sobel", size=5).kernels)
    assert total.kernels[0].abs().sum() == bank("laplacian").kernels.abs().sum()
    assert "Sobel" in total.source
    assert "Gabor" in total.source


def test_names_stay_different_when_a_family_comes_twice() -> None:
    total = bank("sobel + sobel(size=5) + sobel(size=7)")
    assert total.names == ("sobel_dy", "sobel_dx", "sobel2_dy", "sobel2_dx", "sobel3_dy", "sobel3_dx")
    assert total.rotated(1).names == ("sobel_t0", "sobel2_t0", "sobel3_t0")


def test_kernels_of_odd_and_even_sides_are_not_added() -> None:
    with pytest.raises(ValueError, match="no common centre"):
        bank("sobel + roberts")
    assert bank("roberts + dct(size=4)").kernels.shape == (18, 1, 4, 4)


def test_selection_takes_names_endings_indices_and_slices_and_keeps_whole_vectors() -> None:
    total = bank("laplacian + sobel")
    assert total.select("dx").names == ("sobel_dx",)
    assert total.select("dx", "sobel_dy").vectors == ((1, 0),)
    assert total["dx"].vectors == ()
    assert total[1:].vectors == ((0, 1),)
    assert total[-1, 0].names == ("sobel_dx", "laplacian")
    assert torch.equal(total[-1, 0].kernels, total.kernels[[2, 0]])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("dz", "no kernel is called 'dz'"),
        ("sobel_dz", "did you mean 'sobel_d"),
        (3, "0 to 2"),
        (True, "no kernel True"),
        ((0, 0), "none twice"),
        (slice(9, 12), "at least one"),
    ],
)
def test_a_selection_that_is_not_there_is_refused(keys: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bank("laplacian + sobel")[keys]


def test_an_ambiguous_ending_is_refused() -> None:
    with pytest.raises(ValueError, match="several kernels end in 'dx'"):
        bank("sobel + scharr").select("dx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": torch.zeros(2, 3, 3).double()}, r"\(K, 1, h, w\)"),
        ({"kernels": torch.zeros(2, 3, 3, 3).double()}, r"\(K, 1, h, w\)"),
        ({"kernels": torch.zeros(2, 1, 3, 3)}, "float64"),
        ({"kernels": torch.full((2, 1, 3, 3), math.inf).double()}, "finite"),
        ({"names": ("a", "a")}, "different names"),
        ({"names": ("a",)}, "different names"),
        ({"vectors": ((0, 2),)}, "indices from 0 to 1"),
        ({"vectors": ((0, 0),)}, "indices from 0 to 1"),
        ({"vectors": ((),)}, "indices from 0 to 1"),
    ],
)
def test_a_bank_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    fields = {
        "kernels": torch.zeros(2, 1, 3, 3).double(),
        "names": ("a", "b"),
        "source": "test",
        "vectors": ((0, 1),),
    }
    FilterBank(**fields)
    with pytest.raises(ValueError, match=message):
        FilterBank(**{**fields, **change})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("sobel(size=4)", r"sobel: size=4 is not valid; valid: 3, 5, 7"),
        ("sobel(normalise=l3)", r"valid: ramp, integers, l2, l1"),
        ("sobel(normalise=integer)", "did you mean 'integers'"),
        ("sobel(orientations=0)", r"sobel: orientations=0 is not valid; valid: an integer from 1 to 360"),
        ("gabor(orientations=1000000000)", "from 1 to 360"),
        ("box(size=1000000001)", "from 1 to 1001"),
        ("dog(sigma=0.1)", "are the same on 3 taps"),
        ("central(accuracy=2.0)", r"valid: 2, 4, 6"),
        ("gaussian(sigma=0)", r"gaussian: sigma=0 is not valid.*from 0.1 to 100"),
        ("gaussian(sigma=(1, 1))", "different numbers"),
        ("gaussian(order=-1)", "an integer from 0 to 20"),
        ("gaussian(size=4)", "odd integer"),
        ("gaussian(order=4, size=3)", "odd integer from 5 to 1001"),
        ("gaussian(orientations=4)", "None for order 0"),
        ("gabor(wavelength=1)", r"gabor: wavelength=1 is not valid"),
        (f"gabor(phase=1{'0' * 400})", "a finite number"),
        ("gabor(zero_mean=1)", "valid: True, False"),
        ("log(size=4)", r"^log: size=4"),
        ("dog(ratio=1)", "dog: ratio=1"),
        ("robinson(levels=4)", "valid: 3, 5"),
        ("dct(size=1)", "from 2 to 32"),
        ("shift(dx=nan)", "shift: dx='nan'"),
        ("steerable(sigma=0.2)", "from 0.7 to 100"),
    ],
)
def test_a_refused_value_names_family_parameter_value_and_what_is_valid(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bank(expression)


def test_parameters_work_in_the_call_and_in_the_expression_alike_but_not_in_both() -> None:
    called, written = bank("sobel", size=5, normalise="l2"), bank("sobel(size=5, normalise=l2)")
    assert torch.equal(called.kernels, written.kernels)
    assert called.names == written.names
    for expression in ("sobel + laplacian", "sobel(size=5)", "sobel[0]"):
        with pytest.raises(ValueError, match="one bare family name"):
            bank(expression, normalise="l2")
    with pytest.raises(ValueError, match="did you mean 'size'"):
        bank("sobel", siz=5)


def test_patches_go_to_the_learned_families_of_a_sum_and_are_refused_elsewhere() -> None:
    total = bank("dct(size=4) + pca(components=3)", patches=PATCHES)
    assert total.names[-3:] == ("pca_0", "pca_1", "pca_2")
    with pytest.raises(ValueError, match="takes no patches"):
        bank("sobel", patches=PATCHES)
    with pytest.raises(ValueError, match=r"needs patches=.* for pca"):
        bank("dct(size=4) + pca")


@pytest.mark.parametrize("first", ["import cnnlab.filters.bank", "from cnnlab.filters.bank import FilterBank", ""])
def test_the_function_bank_is_reached_whichever_module_was_imported_first(first: str) -> None:
    check = f"{first}\nfrom cnnlab.filters import bank\nassert len(bank('sobel')) == 2"
    subprocess.run([sys.executable, "-c", check], check=True)
