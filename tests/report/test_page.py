"""The page as text: what stands in it, what is escaped, and that it loads nothing."""

import json
import math
import re

import pytest

from cnnlab.draw.charts import chart
from cnnlab.report.page import RunPage, confusion_table, diverging_colours, finite, render

EVIL = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{ 7 * 7 }}", "a & b")


def answers(names: tuple[str, ...] = EVIL, confusion: tuple = ((0, 0, 3), (0, 1, 1), (1, 1, 4), (3, 2, 2))) -> dict:
    mistake = {"picture": "data:image/png;base64,", "true": names[0], "answer": names[1], "confidence": 0.9, "share": 0}
    return {
        "split": "test",
        "images": 10,
        "accuracy": 0.7,
        "names": list(names),
        "confusion": list(confusion),
        "mistakes": [mistake],
    }


def test_names_from_users_and_data_are_shown_as_text_and_never_become_markup() -> None:
    evil_summary = {"command": EVIL[1], "data": {"name": EVIL[0], "class_names": EVIL, "image_size": [8, 8]}}
    fields = {
        "size": [8, 8],
        "inputs": 1,
        "total": 1,
        "images": [{"picture": "data:,", "label": EVIL[0]}],
        "layers": [
            {"name": EVIL[1], "kind": "Conv2d", "unbounded": None, "size": "3", "stride": "1", "padding": "1",
             "grid": [1, 1], "notes": [], "rows": [[0, 2]], "columns": [[0, 2]], "maps": None, "heat": None}
        ],
    }  # fmt: skip
    text = render([RunPage(EVIL[0], EVIL[1], evil_summary, {}, answers(), None, fields, {"kernels": EVIL[0]})])
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert not re.search(r"<img src=x", text)
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_the_data_block_is_json_that_gives_every_name_back() -> None:
    fields = {"size": [1, 1], "inputs": 1, "total": 0, "images": [{"picture": "", "label": EVIL[1]}], "layers": []}
    text = render([RunPage("run", "run", {}, fields=fields, missing={"answers": "gone", "kernels": "gone"})])
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(block)["runs"][0]["fields"]["images"][0]["label"] == EVIL[1]


def test_a_page_names_no_address_of_the_net_and_forbids_loading() -> None:
    text = render([RunPage("run", "run", {"status": "completed"}, answers=answers())])
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_a_run_does_not_have_is_said_in_its_sentence() -> None:
    missing = {
        "curves": "No curves here.",
        "answers": "No data here.",
        "kernels": "No kernels here.",
        "fields": "Nope.",
    }
    text = render([RunPage("run", "run", {"status": "running"}, missing=missing)])
    assert all(sentence in text for sentence in missing.values())
    assert "Not a completed run" in text


@pytest.mark.parametrize("summary", [{}, {"status": "completed", "metrics": {"test/accuracy": math.nan}}])
def test_a_poor_record_still_makes_a_page(summary: dict) -> None:
    assert "<h1>run</h1>" in render([RunPage("run", "run", summary)])


def test_several_runs_stand_in_columns_in_the_order_given() -> None:
    runs = [RunPage(name, name, {"seed": seed}) for name, seed in (("first", 3), ("second", 5))]
    text = render(runs)
    assert re.search(r'<th scope="row">seed</th><td>3</td><td>5</td>', text)


def test_the_confusion_table_has_shares_of_the_rows_and_the_commonest_first() -> None:
    table = confusion_table(answers())
    assert table["rows"][0][:2] == [(3, 0.75), (1, 0.25)]
    assert table["rows"][2] == [(0, 0.0)] * 4
    assert [(one["true"], one["answer"], one["images"]) for one in table["often"]] == [
        (EVIL[3], EVIL[2], 2),
        (EVIL[0], EVIL[1], 1),
    ]


def test_more_classes_than_fit_are_no_table_but_keep_the_list() -> None:
    table = confusion_table(answers(tuple(map(str, range(50))), ((0, 49, 2),)))
    assert table["rows"] is None
    assert table["often"][0]["answer"] == "49"


def test_numbers_that_json_does_not_know_become_none() -> None:
    assert finite({"a": [math.nan, 1.5, (math.inf,)]}) == {"a": [None, 1.5, [None]]}


def test_zero_is_the_middle_of_the_colour_map_and_the_lightest() -> None:
    colours = diverging_colours()
    assert len(colours) % 2 == 1
    middle = colours[len(colours) // 2]
    assert max(colours, key=sum) == middle
    assert colours[0][2] > colours[0][0]  # negative is blue
    assert colours[-1][0] > colours[-1][2]  # positive is red


def test_a_curve_falls_where_its_values_fall_and_ends_at_the_right() -> None:
    drawn = chart("loss", [("training", [(1, 1.0), (2, 0.1), (3, 0.01)], 0, "training")], many=False, mark=None)
    (x1, y1), (x2, y2), (x3, y3) = drawn.lines[0].dots
    assert drawn.logarithmic
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y2 - y1 == pytest.approx(y3 - y2, abs=0.2)  # equal factors, equal steps
    assert y1 < y3  # y grows down


@pytest.mark.parametrize(
    "points", [[], [(1, 0.5)], [(1, math.nan), (2, 0.0)], [(1, 1e-9), (2, 1e9)], [(1, 3.0), (2, 3.0)], [(1, -2.0)]]
)
@pytest.mark.parametrize("quantity", ["loss", "accuracy"])
def test_any_curve_can_be_drawn_inside_of_the_picture(quantity: str, points: list) -> None:
    drawn = chart(quantity, [("training", points, 0, "training")], many=False, mark=0.5)
    assert all(52 <= x <= 428 and 14 <= y <= 238 for x, y in drawn.lines[0].dots)
    assert all(14 <= y <= 238.5 for y, _ in drawn.ticks_y)
