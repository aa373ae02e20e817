"""A section from a package of one's own: a file with a function, a template and a script, on the page once imported."""

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cnnlab import UsageError
from cnnlab.report import section
from cnnlab.report.reported import ReportedRun, write_report
from cnnlab.report.section import report_section, report_sections

SECTION = """
from cnnlab import UsageError, report_section


@report_section(
    "Energy & more",
    55,
    '<p class="mine">{{ shown.title }}: {{ shown.energies|join(", ") }}</p>',
    'page.section("energy", (root, drawn) => root.append(drawn.energies.length + " bars"));',
    drawn=("energies",),
)
def energy(run, largest):
    if "secret" in run.name:
        return None
    if "broken" in run.name:
        raise UsageError("no energy <today>")
    if not run.snapshots:
        return run.reason("snapshots")
    energies = [float(kernels.square().sum()) for kernels in run.snapshots.values()]
    return {"title": "<b>squares</b> of " + run.name, "energies": energies}
"""
BESIDE = """
from cnnlab import report_section


@report_section("Beside", 15)
def beside(run, largest):
    return {"name": run.name}
"""


@pytest.fixture
def energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file, found on the path and imported, as Python or cnnlab does it for a user; forgotten after the test."""
    (tmp_path / "my_energy_section.py").write_text(SECTION)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(section, "_SECTIONS", dict(section._SECTIONS))
    monkeypatch.delitem(sys.modules, "my_energy_section", raising=False)
    return importlib.import_module("my_energy_section")


def run(name: str, **parts: Any) -> ReportedRun:
    import torch

    snapshots = {0: torch.ones(1, 1, 3, 3), 1: 2 * torch.ones(1, 1, 3, 3)}
    return ReportedRun(name, name, {}, [], **{"snapshots": snapshots, **parts})


def page(tmp_path: Path, *runs: ReportedRun) -> str:
    return write_report(runs, tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_section_is_on_the_page_at_its_place_with_its_script_and_escaped(
    energy: ModuleType, tmp_path: Path
) -> None:
    text = page(tmp_path, run("a"))
    assert '<p class="mine">&lt;b&gt;squares&lt;/b&gt; of a: 9.0, 36.0</p>' in text
    assert '<a href="#energy">Energy &amp; more</a>' in text
    assert re.findall(r'<section id="(\w+)">', text) == [
        "facts",
        "curves",
        "predictions",
        "kernels",
        "energy",
        "fields",
    ]
    assert 'page.section("energy"' in text
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(block)["sections"]["energy"] == [{"energies": [9.0, 36.0]}]


def test_a_run_without_the_section_a_mistake_and_a_missing_part_say_so_or_nothing(
    energy: ModuleType, tmp_path: Path
) -> None:
    text = page(tmp_path, run("secret"), run("broken"), run("empty", snapshots={}, missing={"snapshots": "No <k>."}))
    body = text.partition('<section id="energy">')[2].partition("</section>")[0]
    assert "secret" not in body
    assert "This part can&#39;t be shown: no energy &lt;today&gt;" in body
    assert "No &lt;k&gt;." in body
    assert "#energy" not in page(tmp_path, run("secret"))


def test_the_script_of_the_section_runs_in_a_browser(energy: ModuleType, tmp_path: Path, browser: Any) -> None:
    page(tmp_path, run("a"))
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.find_element("css selector", "#energy .energy").text.endswith("2 bars")


def test_template_and_script_may_lie_beside_the_file(
    energy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_other_section.py").write_text(BESIDE)
    (tmp_path / "my_other_section.html.j2").write_text("<em>{{ shown.name }}</em>")
    (tmp_path / "my_other_section.js").write_text("const lies = 'beside';")
    monkeypatch.delitem(sys.modules, "my_other_section", raising=False)
    importlib.import_module("my_other_section")
    text = page(tmp_path, run("a"))
    assert "<em>a</em>" in text
    assert "const lies = 'beside';" in text
    assert text.index('id="facts"') < text.index('id="beside"') < text.index('id="curves"')


def test_a_name_that_another_module_has_taken_is_refused(energy: ModuleType) -> None:
    def kernels(run: ReportedRun, largest: int) -> None: ...

    with pytest.raises(UsageError, match="'kernels'"):
        report_section("Another", 5, "")(kernels)


def test_without_the_import_there_is_no_such_section() -> None:
    assert "energy" not in [one.key for one in report_sections()]
