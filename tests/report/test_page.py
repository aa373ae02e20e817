"""The page as text: what stands in it, what is escaped, and that it loads nothing."""

import json
import math
import re

import pytest
import torch

from cnnlab.report.page import diverging_colours, finite
from cnnlab.report.reported import ReportedRun, collect, render
from cnnlab.report.sections.predictions import common, table

EVIL = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{ 7 * 7 }}", "a & b")
CONFUSION = torch.tensor([[3, 1, 0, 0], [0, 4, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0]])
PREDICTIONS = {
    "split": "test", "images": 10, "accuracy": 0.7, "names": EVIL, "confusion": [(0, 0, 3)], "rows": table(CONFUSION),
    "common": common(CONFUSION, EVIL),
    "errors": [
        {"picture": "data:,", "true": EVIL[0], "predicted": EVIL[1], "confidence": 0.9, "probability": 0.0}
    ],
}  # fmt: skip


def a_run(name: str = "run", summary: dict | None = None, **missing: str) -> ReportedRun:
    return ReportedRun(name, name, summary or {}, [], {}, missing=missing)


def page_of(*runs: ReportedRun, **shown: object) -> str:
    """The page of runs, of which the first shows this in some sections."""
    collected = {key: list(parts) for key, parts in collect(runs, 10**6).items()}
    for key, part in shown.items():
        collected[key][0] = part
    return render(runs, collected)


def fields(label: str, layer: str = "") -> dict:
    shown = {
        "name": layer, "kind": "Conv2d", "unbounded": None, "size": "3", "stride": "1", "padding": "1",
        "grid": [1, 1], "notes": [], "rows": [[0, 2]], "columns": [[0, 2]], "maps": None, "heat": None,
    }  # fmt: skip
    images = [{"picture": "data:,", "words": label}]
    return {"size": [8, 8], "inputs": 1, "total": 1, "images": images, "layers": [shown]}


def test_names_from_users_and_data_are_shown_as_text_and_never_become_markup() -> None:
    summary = {"command": EVIL[1], "data": {"name": EVIL[0], "class_names": EVIL, "image_size": [8, 8]}}
    run = a_run(EVIL[0], summary, snapshots=EVIL[0])
    text = page_of(run, predictions=PREDICTIONS, fields=fields(EVIL[0], EVIL[1]))
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert not re.search(r"<img src=x", text)
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_the_data_block_is_json_that_gives_every_name_back() -> None:
    text = page_of(a_run(), fields=fields(EVIL[1]))
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(block)["sections"]["fields"][0]["images"][0]["words"] == EVIL[1]


def test_a_page_names_no_address_of_the_net_and_forbids_loading() -> None:
    text = page_of(a_run(summary={"status": "completed"}), predictions=PREDICTIONS)
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_a_run_does_not_have_is_said_in_its_sentence() -> None:
    missing = {"network": "No network here.", "data": "No data here.", "snapshots": "No kernels here."}
    for name, sentence in missing.items():
        assert sentence in page_of(a_run(summary={"status": "running"}, **{name: sentence}))
    text = page_of(a_run(summary={"status": "running"}))
    assert "no metrics.csv" in text
    assert "Not a completed run" in text


@pytest.mark.parametrize("summary", [{}, {"status": "completed", "metrics": {"test/accuracy": math.nan}}])
def test_a_poor_record_still_makes_a_page(summary: dict) -> None:
    assert "<h1>run</h1>" in page_of(a_run(summary=summary))


def test_several_runs_stand_in_columns_in_the_order_given() -> None:
    text = page_of(a_run("first", {"seed": 3}), a_run("second", {"seed": 5}))
    assert re.search(r'<th scope="row">seed</th><td>3</td><td>5</td>', text)


def test_the_confusion_table_has_fractions_of_the_rows_and_the_commonest_first() -> None:
    rows = table(CONFUSION)
    assert rows[0][:2] == [(3, 0.75), (1, 0.25)]
    assert rows[2] == [(0, 0.0)] * 4
    confused = [(one["true"], one["predicted"], one["images"]) for one in common(CONFUSION, EVIL)]
    assert confused == [(EVIL[3], EVIL[2], 2), (EVIL[0], EVIL[1], 1)]


def test_more_classes_than_fit_are_a_picture_but_keep_the_list() -> None:
    names = [f"class {number}" for number in range(50)]
    many = {**PREDICTIONS, "names": names, "rows": None, "common": common(torch.eye(50).roll(-1, 1), names)}
    text = page_of(a_run(), predictions=many)
    assert '<canvas class="matrix"' in text
    assert "<td>class 49</td>" in text


def test_numbers_that_json_does_not_know_become_none() -> None:
    assert finite({"a": [math.nan, 1.5, (math.inf,)]}) == {"a": [None, 1.5, [None]]}


def test_zero_is_the_middle_of_the_colour_map_and_the_lightest() -> None:
    colours = diverging_colours()
    assert len(colours) % 2 == 1
    middle = colours[len(colours) // 2]
    assert max(colours, key=sum) == middle
    assert colours[0][2] > colours[0][0]  # negative is blue
    assert colours[-1][0] > colours[-1][2]  # positive is red
