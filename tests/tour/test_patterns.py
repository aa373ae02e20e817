"""What the tour says of patterns holds: matching with and without normalisation, parts, corners."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linprog

from cnnlab.tour.corners import compared, corners
from cnnlab.tour.patterns import correlation, from_place, match, normalised, parts_together, rotated, shaded
from cnnlab.tour.photograph import photograph
from cnnlab.tour.shapes import (
    SIDE,
    best_single_filter,
    distances,
    shapes,
    single_filters,
    standing_out,
)


@pytest.fixture(scope="module", params=["astronaut", "china"])
def photo_CHW(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    if request.param == "astronaut":
        pytest.importorskip("skimage")
        return photograph()
    from PIL import Image
    from sklearn.datasets import load_sample_image

    path = tmp_path_factory.mktemp("photo") / "china.png"
    Image.fromarray(load_sample_image("china.jpg")).save(path)
    return photograph(str(path))


def test_the_dot_product_fails_in_the_shadow_and_the_normalised_one_does_not(photo_CHW: torch.Tensor) -> None:
    found = match(photo_CHW)
    place = (found.top, found.left)
    assert from_place(found.plain_even, *place) == 0, "in even light the plain dot product is good enough here"
    assert from_place(found.plain_uneven, *place) > 10
    assert from_place(found.normalised_uneven, *place) == 0
    assert float(found.normalised_uneven.max()) > 0.9
    lit = shaded(found.even, found.left, gain=1.0)
    torch.testing.assert_close(lit, found.even, rtol=0, atol=1e-6)


def test_both_correlations_are_those_of_opencv(photo_CHW: torch.Tensor) -> None:
    found = match(photo_CHW)
    scene, patch = found.uneven.numpy(), found.patch.numpy()
    plain = cv2.matchTemplate(scene, patch, cv2.TM_CCOEFF)
    np.testing.assert_allclose(found.plain_uneven.numpy(), plain, atol=2e-3 * np.abs(plain).max())
    contrast_HW = F.avg_pool2d(found.uneven[None].double() ** 2, patch.shape, 1)[0]
    contrast_HW = (contrast_HW - F.avg_pool2d(found.uneven[None].double(), patch.shape, 1)[0] ** 2).sqrt().numpy()
    clear = contrast_HW > 0.01  # OpenCV divides rounding errors by each other where there is no contrast
    expected = cv2.matchTemplate(scene, patch, cv2.TM_CCOEFF_NORMED)
    np.testing.assert_allclose(found.normalised_uneven.numpy()[clear], expected[clear], atol=5e-3)


def test_normalised_correlation_does_not_know_gain_and_offset() -> None:
    generator = torch.Generator().manual_seed(0)
    scene, patch = torch.rand(40, 50, generator=generator), torch.rand(2, 8, 8, generator=generator)
    torch.testing.assert_close(normalised(0.2 * scene + 0.5, patch), normalised(scene, patch), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        correlation(0.2 * scene + 0.5, patch), 0.2 * correlation(scene, patch), rtol=0, atol=1e-4
    )
    assert (normalised(torch.full((20, 20), 0.3), patch) == 0).all()
    assert normalised(scene, patch).abs().max() <= 1 + 1e-5


def test_parts_that_may_move_bear_more_turning_than_the_whole(photo_CHW: torch.Tensor) -> None:
    found = match(photo_CHW)
    lost = {}
    for name in ("whole", "parts"):
        lost[name] = next(degrees for degrees in range(6, 90, 6) if _is_lost(rotated(found, degrees)[name]))
    assert lost["parts"] > lost["whole"] >= 6


def _is_lost(answers: tuple[float, float]) -> bool:
    return answers[0] <= answers[1]


def test_without_slack_the_parts_are_found_where_the_whole_is() -> None:
    generator = torch.Generator().manual_seed(1)
    scene = torch.rand(60, 70, generator=generator)
    patch = scene[20:36, 30:46]
    for slack in (0, 2):
        together = parts_together(scene, patch, slack)
        assert together.shape == (45, 55)
        assert float(together[20, 30]) == pytest.approx(1, abs=1e-4)
    assert from_place(parts_together(scene, patch, 0), 20, 30) == 0


@pytest.fixture(scope="module")
def scene() -> tuple:
    return compared(corners)


def test_every_corner_stands_out_of_the_cascade_and_of_no_single_filter(scene: tuple) -> None:
    _, corner_V2, cascade, best, tried = scene
    assert cascade.stands_out.all()
    assert len(corner_V2) == 21
    assert tried > 150
    assert int(best.stands_out.sum()) <= len(corner_V2) // 2


def test_the_best_single_filter_is_the_best_of_all_that_were_tried(scene: tuple) -> None:
    *_, best, tried = scene
    whole = shapes()
    filters = single_filters(whole)
    assert len(filters) == tried
    some = [name for name in filters if name.startswith(("fitted", "minus log", "sobel", "laplacian", "minus kirsch"))]
    for name in some:
        kernel = filters[name]
        sides = (len(kernel) // 2, (len(kernel) - 1) // 2) * 2
        padded = F.pad(whole.image[None, None], sides, mode="reflect")
        kept = int(standing_out(F.conv2d(padded, kernel[None, None])[0], whole).sum())
        assert kept <= int(best.stands_out.sum()), name


def test_a_single_filter_gets_far_where_all_shapes_are_equally_bright() -> None:
    """What the page concedes: then it may look for bright spots with dark around them."""
    mixed = shapes()
    equal = mixed._replace(image=torch.where((mixed.image - 0.5).abs() > 0.02, 0.9, 0.5))
    best, _ = best_single_filter(equal)
    assert int(best.stands_out.sum()) >= 0.9 * len(equal.corners)
    assert standing_out(corners(equal.image)[None], equal).all()


def test_the_corners_are_where_the_shapes_bend() -> None:
    """An independent look: Harris' measure is large at each of them, and at the disc's rim it is not."""
    whole = shapes()
    harris = torch.from_numpy(cv2.cornerHarris(whole.image.numpy(), 5, 3, 0.05))
    at = torch.stack([harris[near].max() for near in distances(whole) <= 4])
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    rim = (((y - 110.0) ** 2 + (x - 150.0) ** 2).sqrt() - 22).abs() < 2
    assert at.min() > 0
    assert at.median() > 5 * harris[rim].max()


def test_the_cascade_does_not_answer_to_straight_contours_or_even_surfaces() -> None:
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    square = ((y >= 20) & (y < 40) & (x >= 20) & (x < 40)).float()
    strongest = float(corners(square).max())
    for straight in (x, y, x + y, 2 * x - y):
        edge = torch.sigmoid(3 * (straight - straight.mean()))
        assert float(corners(edge)[10:-10, 10:-10].max()) < 0.05 * strongest
    assert float(corners(torch.full((60, 60), 0.4)).abs().max()) < 1e-6


def windows(side: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Bright and dark corners on grey, in all four directions, and even surfaces."""
    low = np.arange(side) < side // 2
    quadrants = [np.outer(a, b).astype(float) for a in (low, ~low) for b in (low, ~low)]
    return [sign * quadrant for quadrant in quadrants for sign in (1, -1)], [np.zeros((side, side))]


@pytest.mark.parametrize("side", [3, 5, 9])
def test_no_filter_and_threshold_take_bright_and_dark_corners_and_no_even_surface(side: int) -> None:
    """Proven by linear programming: the inequalities have no solution, and with bright corners alone they have."""
    taken, refused = windows(side)

    def solvable(accepted: list[np.ndarray]) -> bool:
        rows = [np.r_[-window.ravel(), -1.0] for window in accepted] + [np.r_[w.ravel(), 1.0] for w in refused]
        limits = [-1.0] * len(accepted) + [0.0] * len(refused)
        found = linprog(np.zeros(side * side + 1), np.array(rows), limits, bounds=(None, None), method="highs")
        assert found.status in (0, 2), found.message
        return found.status == 0

    assert not solvable(taken)
    assert solvable(taken[::2]), "bright corners alone can be told from even surfaces"
