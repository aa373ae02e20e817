"""The benchmark of one image: maps whose counts are known, and people against people, whose F is published."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.morphology import thin

from cnnlab.data.boundaries.berkeley import photographs, read_boundaries
from cnnlab.edges.benchmark.evaluation import evaluate_map, evaluate_people
from cnnlab.edges.benchmark.matching import _assign
from cnnlab.edges.benchmark.results import PUBLISHED
from cnnlab.edges.benchmark.scores import summarise

SIDE = 100  # pixels: the tolerance is 1.06 of them


def lines(*rows: int) -> np.ndarray:
    """(H, W) bool with lines from side to side."""
    map_HW = np.zeros((SIDE, SIDE), dtype=bool)
    map_HW[list(rows)] = True
    return map_HW


def test_a_line_of_one_annotator_counts_for_precision_and_recall_is_summed_over_all() -> None:
    boundaries_AHW = np.stack([lines(20), lines(20, 60), lines(80)])
    counts = evaluate_map(0.5 * lines(21, 40), boundaries_AHW, thresholds=9)
    np.testing.assert_array_equal(counts.predicted_T, [200] * 5 + [0] * 4)  # 0.5 is at the threshold of 0.5
    np.testing.assert_array_equal(counts.hits_T, [100] * 5 + [0] * 4)  # row 21, once, though two drew row 20
    np.testing.assert_array_equal(counts.found_T, [200] * 5 + [0] * 4)
    np.testing.assert_array_equal(counts.drawn_T, [400] * 9)


def test_one_pixel_is_within_the_tolerance_and_two_are_not() -> None:
    assert 1 < 0.0075 * math.hypot(SIDE, SIDE) < 2
    for shift, hits in ((0, 100), (1, 100), (2, 0)):
        assert evaluate_map(1.0 * lines(50 + shift), lines(50)[None], thresholds=1).hits_T == [hits]


def test_the_same_drawing_is_found_whole() -> None:
    drawn_HW = thin(np.random.default_rng(0).random((60, 80)) < 0.2)
    scores = summarise([evaluate_map(drawn_HW.astype(float), drawn_HW[None])])
    assert (scores.ods.f, scores.ois.f, scores.r50) == (1, 1, 1)


def test_the_map_is_thinned_at_each_threshold_anew() -> None:
    ramp_HW = np.zeros((SIDE, SIDE))
    ramp_HW[48:53] = np.array([0.2, 0.4, 0.9, 0.4, 0.2])[:, None]
    thick = evaluate_map(ramp_HW, lines(50)[None], thresholds=9, thin=False)
    np.testing.assert_array_equal(thick.predicted_T, [500, 500, 300, 300] + [100] * 5)
    thinned = evaluate_map(ramp_HW, lines(50)[None], thresholds=9)
    for threshold, predicted in zip(np.arange(1, 10) / 10, thinned.predicted_T, strict=True):
        assert predicted == thin(ramp_HW >= threshold).sum() <= 100


def test_every_threshold_is_counted_alone() -> None:
    generator = np.random.default_rng(2)
    strength_HW = np.round(generator.random((40, 50)), 1)  # few values: most thresholds repeat the one before
    boundaries_AHW = generator.random((3, 40, 50)) < 0.1
    whole = evaluate_map(strength_HW, boundaries_AHW)
    for step in (0, 9, 10, 11, 49, 98):
        alone = evaluate_map((strength_HW >= (step + 1) / 100).astype(float), boundaries_AHW, thresholds=1)
        assert [column[step] for column in whole.plain().values()] == [column[0] for column in alone.plain().values()]


def test_turning_image_and_drawings_changes_at_most_ties() -> None:
    drawn_AHW = np.stack([lines(20), lines(22, 60)])
    strength_HW = 0.7 * lines(21, 40, 61)
    upright, turned = (
        evaluate_map(np.rot90(strength_HW, k), np.rot90(drawn_AHW, k, axes=(1, 2)), thresholds=3) for k in (0, 1)
    )
    np.testing.assert_array_equal(upright.found_T, turned.found_T)


@pytest.mark.parametrize(
    ("strength_HW", "boundaries_AHW", "thresholds", "words"),
    [
        (np.zeros((4, 5)), np.zeros((1, 5, 4), dtype=bool), 9, "4x5, the drawings are 5x4"),
        (np.full((4, 5), 1.5), np.zeros((1, 4, 5), dtype=bool), 9, r"\[0, 1\]; got 1.5"),
        (np.full((4, 5), np.nan), np.zeros((1, 4, 5), dtype=bool), 9, r"\[0, 1\]"),
        (np.zeros((4, 5)), np.zeros((4, 5), dtype=bool), 9, r"\(A, H, W\) bool"),
        (np.zeros((4, 5)), np.zeros((0, 4, 5), dtype=bool), 9, r"\(A, H, W\) bool"),
        (np.zeros((4, 5)), np.zeros((1, 4, 5)), 9, r"\(A, H, W\) bool"),
        (np.zeros((4, 5)), np.zeros((1, 4, 5), dtype=bool), 0, "thresholds=0"),
    ],
)
def test_what_can_not_be_counted_is_refused(strength_HW, boundaries_AHW, thresholds, words) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate_map(strength_HW, boundaries_AHW, thresholds)


def test_a_single_pixel_is_an_image() -> None:
    counts = evaluate_map(np.ones((1, 1)), np.ones((1, 1, 1), dtype=bool))
    assert counts.hits_T.tolist() == counts.found_T.tolist() == [1] * 99


def test_people_who_draw_the_same_agree_and_others_do_not() -> None:
    agreed = evaluate_people(np.stack([lines(20)] * 3))
    assert (agreed.hits_T[0], agreed.predicted_T[0], agreed.found_T[0], agreed.drawn_T[0]) == (300, 300, 600, 600)
    apart = evaluate_people(np.stack([lines(20), lines(60)]))
    assert (apart.hits_T[0], apart.found_T[0]) == (0, 0)
    with pytest.raises(ValueError, match="at least two; got 1"):
        evaluate_people(lines(20)[None])


def test_people_on_the_validation_photographs_are_where_the_distribution_draws_them(data_root: Path) -> None:
    """The one point that the official program and this one can be compared at here: the distribution's plots mark
    people at (0.700762, 0.897659), measured on these 100 photographs. All thinning, matching and counting is in it."""
    found = [evaluate_people(read_boundaries(one.truth)) for one in photographs(data_root, "val")]
    point = summarise(found).ods
    assert (point.recall, point.precision) == pytest.approx((0.700762, 0.897659), abs=0.0005)


def test_published_points_have_a_source_or_say_in_pictures_that_they_have_none() -> None:
    assert {one.name: one.ods for one in PUBLISHED} == {
        "human": 0.803, "Canny": 0.611, "Sobel": 0.539, "gPb": 0.729, "HED": 0.788, "PiDiNet": 0.807
    }  # fmt: skip
    assert [one.name for one in PUBLISHED if not one.source] == ["Sobel"]
    assert [one.label for one in PUBLISHED if "no source" in one.label] == ["Sobel (no source)"]


def test_without_numba_the_same_functions_give_the_same_counts() -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np; from cnnlab._compiled import COMPILED; from cnnlab.edges.benchmark.evaluation import *\n"
        "g = np.random.default_rng(0); s, b = g.random((25, 30)), g.random((2, 25, 30)) < 0.15\n"
        "assert not COMPILED and 'torch' not in sys.modules\n"
        "print(evaluate_map(s, b, thresholds=5).plain())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    generator = np.random.default_rng(0)
    strength_HW, boundaries_AHW = generator.random((25, 30)), generator.random((2, 25, 30)) < 0.15
    assert done.stdout.strip() == str(evaluate_map(strength_HW, boundaries_AHW, thresholds=5).plain()), done.stderr
    assert hasattr(_assign, "py_func"), "the tests run compiled"
