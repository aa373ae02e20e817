"""The page of a study as text: what stands in it, where intervals are drawn, what is escaped."""

import math
import re
from dataclasses import replace

import pytest

from cnnlab.draw.bands import axis_of, band_chart
from cnnlab.studies.html import Arm, Compared, Curves, Forest, HeatMap, StudyPage, Table, render_study, styles

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
        "answers",
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
    missing = {"differences": "One seed has no interval.", "curves": "No curves.", "answers": "Nothing yet."}
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
            curves=[Curves(EVIL[0], EVIL[1], EVIL[0], {EVIL[0]: [(0, 1, 1, 1)]})],
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


@pytest.mark.parametrize("ends", [[], [0.0], [math.nan], [-1e-9, 1e-9], [5, 6], [-1e6, 3]])
def test_any_axis_holds_zero_and_ticks_in_order(ends: list[float]) -> None:
    axis = axis_of(ends, 1.0)
    assert axis.low < -0.99 < 0.99 < axis.high
    assert [place for place, _ in axis.ticks] == sorted(place for place, _ in axis.ticks)
    assert all(0 <= place <= 100 for place, _ in axis.ticks)
    assert "0" in [words for _, words in axis.ticks]


def test_a_comparison_of_one_seed_or_one_not_run_is_shown_without_a_bar() -> None:
    row = compared(math.nan, math.nan, mean=0.4, seeds=1)
    text = render_study(
        small(conditions=["100 images", "all"], forests=[Forest("accuracy", "points", 1.0, "higher", "", [row])])
    )
    assert [place["width"] for place in places(text)] == [0.0]
    assert "not run" in text
    assert "nan" not in text


POINTS = [(0, 1.0, 0.5, 1.5), (9, 2.0, 1.5, 2.5), (99, 3.0, 2.5, 3.5)]


def test_a_curve_rises_where_its_values_do_and_its_band_lies_about_it() -> None:
    drawn = band_chart("accuracy", "step", "accuracy", [(3, "sobel", POINTS)], spread=True)
    (line,) = drawn.lines
    places = [tuple(map(float, place)) for place in re.findall(r"([\d.]+) ([\d.]+)", line.path)]
    edge = [tuple(map(float, place)) for place in re.findall(r"([\d.]+) ([\d.]+)", line.area)]
    assert line.arm == 3
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.2)  # 1 + step: 1, 10, 100
    for (x, y), (x_low, low), (x_high, high) in zip(places, edge[:3], edge[:2:-1], strict=True):
        assert x == x_low == x_high
        assert low > y > high  # y grows down
    assert line.points[1][1:] == ("9", "2 (1.5 to 2.5)")
    assert "0" in [words for _, words in drawn.ticks_x]
    assert drawn.note == "logarithmic axis"


@pytest.mark.parametrize(
    "points",
    [[], [(5, 0.5, 0.5, 0.5)], [(0, math.nan, 0, 0), (1, 1.0, math.nan, math.nan)], [(3, 1, 1, 1), (4, 1, 1, 1)]],
)
@pytest.mark.parametrize("spread", [True, False])
def test_any_curve_can_be_drawn(points: list, spread: bool) -> None:
    drawn = band_chart("accuracy", "step", "accuracy", [(0, "sobel", points)], spread)
    assert "nan" not in str(drawn.lines)
    assert all(14 <= y <= 238 for y, _ in drawn.ticks_y)
    assert all(52 <= x <= 428 for x, _ in drawn.ticks_x)
    assert render_study(small(curves=[Curves("accuracy", "step", "accuracy", {"sobel": points}, spread)]))


def test_a_bank_and_its_controls_share_a_colour_and_differ_in_their_line() -> None:
    kinds = ("bank", "permuted", "shuffled")
    arms = [Arm("plain", "", "plain", "reference"), *(Arm(kind, "", "sobel", kind) for kind in kinds)]
    assert styles(arms) == ["s0", "s1", "s1 dashed", "s1 dotted"]


def test_the_table_keeps_the_numbers_to_sort_by_and_shows_them_rounded() -> None:
    table = Table(["arm", "accuracy", "steps"], [None, 2, 0], [["sobel", 97.12345, None]])
    text = render_study(small(table=table))
    assert '<td data-value="97.12345" class="r">97.12</td>' in text
    assert '<td data-value="" class="r">–</td>' in text  # noqa: RUF001
    assert "<button" in text[text.index('id="table"') : text.index('id="repeat"')]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"forests": [Forest("a", "", 1.0, "higher", "", [compared(0, 1, arm="sobl")])]}, r"unknown arms \['sobl'\]"),
        ({"forests": [Forest("a", "", 1.0, "higher", "", [compared(0, 1, condition="9")])]}, r"conditions \['9'\]"),
        ({"curves": [Curves("a", "x", "y", {"gabor": POINTS})]}, r"unknown arms \['gabor'\]"),
        ({"reference": "zero"}, r"unknown arms \['zero'\]; the study has arm 0,"),
        ({"arms": (Arm("plain", "", "plain", "nice"),)}, r"unknown kinds of arms \['nice'\]; the study has bank,"),
        (
            {"forests": [Forest("a", "", 1.0, "higher", "", [compared(0, 1)] * 2)]},
            "sobel against plain, 100 images, twice",
        ),
    ],
)
def test_a_name_that_the_study_does_not_have_is_told(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        render_study(small(**change))


@pytest.mark.parametrize("ends", [[], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0], [math.nan], [-3.0, 0.0, 0.0]])
def test_an_axis_has_a_width_also_where_no_difference_matters_and_most_are_0(ends: list[float]) -> None:
    axis = axis_of(ends, 0.0)
    assert axis.low < 0 < axis.high or axis.low < axis.high
    assert all(axis.low <= end <= axis.high for end in ends if math.isfinite(end))
    assert axis.ticks
