"""File names as a shell gives them, for every option that takes a path."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnnlab.cli.arguments import for_hydra, quoted

NAMES = [
    "Müller.jpg", "My Photo (1).jpg", "a,b.jpg", "x=y.jpg", "[1].jpg", "{a: b}.jpg", "it's.jpg", 'say "x".jpg',
    "100%.jpg", "2024", "null.jpg", "#1.jpg", "~x.jpg", "a\\b.jpg", "ends\\", "写真.jpg", "a:b*c?.jpg", "-x.jpg",
    "true",
]  # fmt: skip


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: "${" not in text))
def test_quotes_are_taken_off_again_by_hydra(text: str) -> None:
    assert OverridesParser.create().parse_override(f"x={quoted(text)}").value() == text


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_it_stands(name: str) -> None:
    (text,) = for_hydra("detect_edges", [f"input={name}"])
    assert OverridesParser.create().parse_override(text).value() == name


def test_several_paths_are_a_list_or_a_sweep() -> None:
    def value(program: str, *arguments: str) -> object:
        return OverridesParser.create().parse_override(for_hydra(program, arguments)[-1]).value()

    assert value("report", "run=[Läufe/a b,'c,d',e]") == ["Läufe/a b", "c,d", "e"]
    assert value("detect_edges", "input=[a].jpg") == "[a].jpg"
    (text,) = for_hydra("detect_edges", ["-m", "input=ä.jpg,b (1).jpg"])[1:]
    assert OverridesParser.create().parse_override(text).sweep_string_iterator
    assert text == "input='ä.jpg','b (1).jpg'"
    Path("a,b").mkdir()
    assert for_hydra("report", ["-m", "run=a,b"])[1:] == ["run='a,b'"]


def test_what_hydra_reads_stays() -> None:
    for text in ("input=null", "input=", "input='a b'", "input=${oc.env:HOME}/x", "grey=true", "model.bank=sobel"):
        assert for_hydra("detect_edges", [text]) == [text]


@pytest.mark.parametrize("name", ["Müller (1), [x]={y}.jpg", "it's.png"])
def test_a_photograph_of_any_name_and_a_folder_of_any_name(here: Callable, name: str) -> None:
    Image.effect_noise((24, 16), 50).save(name)
    outcome = here(f"input={name}", "output=Kanten, neu", "hydra.run.dir=Lauf (1)", program="detect_edges")
    assert (outcome.status, outcome.err) == (0, "")
    assert Path("Kanten, neu", Path(name).stem).with_suffix(".png").is_file() or list(Path("Kanten, neu").glob("*.png"))
    assert Path("Lauf (1)/summary.json").is_file()
