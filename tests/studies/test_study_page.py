"""The page of a study as text: what stands in it, where intervals are drawn, what is escaped."""

import math
import re
from dataclasses import replace

import pytest

from cnnlab.draw.charts import Chart, lines_of
from cnnlab.draw.forests import Compared, Forest
from cnnlab.studies.html import Arm, HeatMap, StudyPage, Table, render_study, styles

EVIL = ("<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{ 7 * 7 }}")


def small(**change: object) -> StudyPage:
    more = [Arm(f"arm {number}", "one more", "more", "bank") for number in range(8)]
    arms = (Arm("plain", "as it is", "plain", "reference"), Arm("sobel", "edges", "sobel", "bank"), *more)
    return replace(StudyPage("name", "why?", [], {}, arms, "plain", ["100 images"]), **change)


def compared(low: float, high: float, **change: object) -> Compared:
    clear = low > 0 or high < 0
    row = Compared("sobel", "plain", "100 images", (low + high) / 2, low, high, 16, "said", clear, clear)
    return replace(row, **change)


def places(text: str) -> list[dict[str, float]]:
    """Of every bar of the forests (not of the key above them): left and width, in per cent."""
    found = re.findall(r'class="bar" style="left:([\d.]+)%;width:([\d.]+)%"', text)
    return [{"left": float(left), "width": float(width)} for left, width in found]


def test_every_section_of_a_whole_study_is_there_and_the_file_is_small(study_page: StudyPage) -> None:
    text = render_study(study_page)
    for section in (
        "results",
        "arms",
        "differences",
        "curves",
        "sizes",
        "corruptions",
        "drift",
        "table",
        "power",
        "repeat",
    ):
        assert f'id="{section}"' in text
        assert f'href="#{section}"' in text
    assert len(text) < 8_000_000
    assert study_page.question in text
    assert len(places(text)) == 2 * 2 * 11
    assert text.count("<script") == text.count("</script>") == 2
    assert "http" not in re.sub(r"http-equiv|w3\.org", "", text)


def test_an_empty_study_still_makes_a_page_and_says_why_parts_are_missing() -> None:
    missing = {"differences": "One seed has no interval.", "curves": "No curves.", "results": "Nothing yet."}
    text = render_study(small(missing=missing))
    assert all(sentence in text for sentence in missing.values())
    for section in ("sizes", "corruptions", "drift", "table", "power"):
        assert f'id="{section}"' not in text


def test_names_from_users_never_become_markup() -> None:
    arms = (Arm("plain", EVIL[2], "plain", "reference"), Arm(EVIL[0], EVIL[1], EVIL[0], "bank"))
    row = compared(0.1, 0.5, arm=EVIL[0], words=EVIL[1], condition=EVIL[2])
    text = render_study(
        small(
            name=EVIL[1], question=EVIL[0], arms=arms, conditions=[EVIL[2]], facts={EVIL[0]: EVIL[1]},
            forests=[Forest(EVIL[0], EVIL[1], 1.0, "higher", EVIL[0], [row])],
            curves=[Chart(EVIL[0], EVIL[1], EVIL[0], lines_of({EVIL[0]: [(0, 1, 1, 1)]}))],
            corruptions=[HeatMap(EVIL[0], [EVIL[1]], [(EVIL[0], 1)], [EVIL[1]], [(EVIL[0], [(1.0, True, EVIL[1])])])],
            table=Table([EVIL[0]], [None], [[EVIL[1]]]), commands=[(EVIL[0], EVIL[1])], limits=[EVIL[1]],
            hypotheses=[(EVIL[0], EVIL[1], "supported")],
        )
    )  # fmt: skip
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in text


def test_an_interval_is_drawn_where_it_lies_and_zero_between_the_sides() -> None:
    ends = {"arm 0": (-1, 1), "arm 1": (1, 2), "arm 2": (-2, -1)}
    rows = [compared(*interval, arm=arm) for arm, interval in ends.items()]
    text = render_study(small(forests=[Forest("accuracy", "points", 1.0, "higher", "", rows)]))
    zero = float(re.search(r'class="zero" style="left:([\d.]+)%', text)[1])
    shade = re.search(r'class="shade" style="left:([\d.]+)%;width:([\d.]+)%;?"></span><span class="zero"', text)
    assert zero == pytest.approx(float(shade[1]) + float(shade[2]) / 2, abs=0.02)
    around, above, below = places(text)
    assert around["left"] + around["width"] / 2 == pytest.approx(zero, abs=0.02)
    assert above["left"] - zero == pytest.approx(around["width"] / 2, abs=0.03)
    assert below["left"] + below["width"] == pytest.approx(around["left"], abs=0.03)
    assert above["width"] == pytest.approx(around["width"] / 2, abs=0.03)


@pytest.mark.parametrize(
    ("better", "low", "tone"),
    [("higher", 0.2, "better"), ("higher", -0.9, "worse"), ("lower", 0.2, "worse"), ("higher", -0.2, "none")],
)
def test_the_tone_follows_the_interval_and_which_side_is_better(better: str, low: float, tone: str) -> None:
    text = render_study(small(forests=[Forest("loss", "", 1.0, better, "", [compared(low, low + 0.6)])]))
    assert f'class="cell tone-{tone}"' in text
    assert text.index("← worse" if better == "higher" else "← better") > 0


def test_one_arm_far_off_is_cut_and_leaves_the_others_room() -> None:
    rows = [compared(-0.3, 0.4, arm=f"arm {number}") for number in range(6)] + [compared(-60, -50)]
    text = render_study(small(forests=[Forest("accuracy", "points", 1.0, "higher", "", rows)]))
    assert places(text)[0]["width"] > 8
    assert 'class="cut left"' in text
    assert "−60.00" in text  # noqa: RUF001


def test_a_comparison_of_one_seed_or_one_not_run_is_shown_without_a_bar() -> None:
    row = compared(math.nan, math.nan, mean=0.4, seeds=1)
    text = render_study(
        small(conditions=["100 images", "all"], forests=[Forest("accuracy", "points", 1.0, "higher", "", [row])])
    )
    assert [place["width"] for place in places(text)] == [0.0]
    assert "not run" in text
    assert "nan" not in text


POINTS = [(0, 1.0, 0.5, 1.5), (9, 2.0, 1.5, 2.5), (99, 3.0, 2.5, 3.5)]


def test_a_bank_and_its_controls_share_a_colour_and_differ_in_their_line() -> None:
    lines = {"bank": "", "permuted": "dashed", "shuffled": "dotted", "mine": "dashdot"}
    arms = [Arm("plain", "", "plain", "reference"), *(Arm(kind, "", "sobel", kind, lines[kind]) for kind in lines)]
    assert list(styles(arms).values()) == [(0, ""), (1, ""), (1, "dashed"), (1, "dotted"), (1, "dashdot")]


def test_the_table_keeps_the_numbers_to_sort_by_and_shows_them_rounded() -> None:
    table = Table(["arm", "accuracy", "steps"], [None, 2, 0], [["sobel", 97.12345, None]])
    text = render_study(small(table=table))
    assert '<td data-value="97.12345" class="r">97.12</td>' in text
    assert '<td data-value="" class="r">–</td>' in text  # noqa: RUF001
    assert "<button" in text[text.index('id="table"') : text.index('id="repeat"')]
