"""The language of banks: what it reads, what it refuses, and that it needs no torch."""

import contextlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters import check_expression, listing, needs_patches
from cnnlab.filters.expression import Call, Pick, Sum, parse
from cnnlab.filters.families import families


def test_a_tree_says_what_was_written() -> None:
    tree = parse("sobel(size=5, normalise=l2) + gaussian(sigma=(1, 2.5))[0:2, dx, 't22.5', -1]")
    keys = (slice(0, 2), "dx", "t22.5", -1)
    smooth = Pick(Call("gaussian", {"sigma": (1, 2.5)}), keys)
    assert tree == Sum(Call("sobel", {"size": 5, "normalise": "l2"}), smooth)


def test_a_sum_may_be_bracketed_broken_into_lines_and_picked_from() -> None:
    assert parse("(sobel\n + laplacian)[0]") == Pick(Sum(Call("sobel"), Call("laplacian")), (0,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "named by an expression"),
        ("   ", "named by an expression"),
        (None, "named by an expression"),
        ("sobl", "did you mean 'sobel'"),
        ("sobel + laplasian", "did you mean 'laplacian'"),
        ("zzzzzz", "valid: central, prewitt"),
        ("sobel(siz=5)", "unknown parameter of sobel 'siz' \\(did you mean 'size'"),
        ("pca(patches=3)", "unknown parameter of pca 'patches'"),
        ("sobel(5)", "given by name"),
        ("sobel(**{'size': 5})", "given by name"),
        ("sobel(*[5])", "given by name"),
        ("sobel(size=5, size=7)", "given twice"),
        ("sobel +", "cannot read the bank"),
        ("sobel(size=", "cannot read the bank"),
        ("sobel - laplacian", "cannot read 'sobel - laplacian'"),
        ("2 * sobel", "cannot read"),
        ("-sobel", "cannot read"),
        ("'sobel'", "cannot read"),
        ("sobel.kernels", "cannot read"),
        ("sobel()()", "cannot read"),
        ("[sobel]", "cannot read"),
        ("sobel, laplacian", "cannot read"),
        ("lambda: sobel", "cannot read"),
        ("sobel(size=3 + 2)", "must be a literal"),
        ("sobel(size=__import__('os').getpid())", "must be a literal"),
        ("sobel(size={[]: 1})", "must be a literal"),
        ("sobel[1.5]", "a subscript holds"),
        ("sobel[True]", "a subscript holds"),
        ("sobel[dx:dy]", "a subscript holds"),
        ("(" * 500 + "sobel" + ")" * 500, "cannot read|too deep"),
        ("sobel\x00", "null"),
    ],
)
def test_what_is_no_bank_is_refused_with_a_reason(text: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_expression(text)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="sobel+()[]=,.:'53 \\\n", max_size=30))
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):  # any other exception fails
        check_expression(text)


def test_a_long_sum_is_read_or_refused_with_a_value_error() -> None:
    assert isinstance(parse(" + ".join(["sobel"] * 100)), Sum)
    with pytest.raises(ValueError, match="too deep"):
        parse(" + ".join(["sobel"] * 100_000))


def test_the_families_learned_from_data_say_so() -> None:
    assert needs_patches("sobel + pca(components=4)[0]")
    assert not needs_patches("sobel + dct")


def test_the_listing_has_one_line_for_each_family_with_its_defaults() -> None:
    lines = listing().splitlines()
    assert [line.partition("(")[0] for line in lines] == list(families())
    assert lines[2].startswith("sobel(size=3, normalise='ramp', orientations=None): ")
    assert not any("patches=" in line for line in lines)


def test_a_typo_is_answered_and_the_families_are_listed_without_torch() -> None:
    program = """
import sys
from cnnlab.filters import check_expression, listing
assert "whitening(" in listing()
try:
    check_expression("sobel(size=5) + laplacain")
except ValueError as error:
    assert "did you mean 'laplacian'" in str(error), error
else:
    raise AssertionError("the typo was accepted")
assert not {"torch", "numpy", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
