"""The tour's figures say what they were given, also where there is little to say."""

import pytest
import torch
from torch import Tensor

from cnnlab.receptive import receptive_fields
from cnnlab.tour.contours import contours_figure
from cnnlab.tour.corners import corners_figure
from cnnlab.tour.derivatives import row_figure
from cnnlab.tour.in_a_row import in_a_row_figure, moved_figure
from cnnlab.tour.learned import FirstLayer, learned_figure
from cnnlab.tour.matrices import matrices_figure
from cnnlab.tour.patterns import Matching, from_place, matching_figure, rotated_figure
from cnnlab.tour.shapes import Detected
from cnnlab.tour.sheet import NARROW, Sheet, scientific
from cnnlab.tour.slide import colour_figure, sliding_figure


def titles(sheet: Sheet) -> list[str]:
    return [place.axis.get_title(loc="left") for place in sheet.places]


def drawn(sheet: Sheet) -> Sheet:
    """Drawn without a warning, wide and narrow."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(sheet).draw()
    sheet.arrange(NARROW)
    FigureCanvasAgg(sheet).draw()
    return sheet


def peak(y: int, x: int) -> Tensor:
    map_HW = torch.zeros(40, 50)
    map_HW[y, x] = 1
    return map_HW


@pytest.fixture
def found() -> Matching:
    image = torch.rand(47, 57)
    return Matching(10, 20, image[10:18, 20:28], image, image, peak(10, 20), peak(30, 5), peak(11, 20))


def test_a_map_finds_the_patch_only_if_its_largest_answer_is_there(found: Matching) -> None:
    even, uneven, normalised = titles(drawn(matching_figure(found)))[2:]
    assert even.endswith(":\nfinds it")
    assert uneven.endswith(":\ndoes not find it")
    assert normalised.endswith(":\nfinds it")
    assert from_place(found.plain_uneven, 10, 20) == 25
    assert "with the shadow 25;" in matching_figure(found).caption
    nothing = found._replace(plain_even=torch.zeros(40, 50), even=torch.zeros(47, 57))
    assert "does not find it" in titles(drawn(matching_figure(nothing)))[2]


def test_how_far_a_rotated_patch_is_found() -> None:
    measured = {
        degrees: {"whole": (1 - degrees / 40, 0.5), "parts": (0.9, 0.5 + degrees / 60)} for degrees in (0, 10, 20, 30)
    }
    whole, parts = titles(drawn(rotated_figure(measured)))
    assert whole.endswith("found up to 10 degrees"), "equal is lost"
    assert parts.endswith("found up to 20 degrees")
    never = {degrees: {"whole": (0.1, 0.5), "parts": (0.9, 0.5)} for degrees in (0, 10)}
    assert titles(rotated_figure(never))[0].endswith("not found")


def test_corners_that_stand_out_are_counted() -> None:
    corner_V2 = torch.tensor([[5.0, 5.0], [20.0, 30.0], [9.0, 9.0]])
    every, one = torch.tensor([True, True, True]), torch.tensor([False, True, False])
    sheet = corners_figure(
        torch.rand(40, 40), corner_V2, Detected("a", peak(5, 5), every), Detected("b", peak(9, 9), one), 7
    )
    assert titles(sheet)[1].endswith("3 of 3 stand out")
    assert titles(sheet)[2] == "the best of 7 single filters\n(b):\n1 of 3 stand out"
    rings = [line for line in sheet.places[2].axis.lines if line.get_marker() == "o"]
    assert [len(ring.get_xdata()) for ring in rings] == [1]
    drawn(sheet)


def test_flat_maps_are_drawn_and_say_zero() -> None:
    photo, flat, kernel = torch.full((3, 40, 60), 0.5), torch.zeros(40, 60), torch.zeros(3, 3)
    assert "is 0" in titles(drawn(sliding_figure(photo, 128 * torch.ones(40, 60), kernel, flat)))[2]
    drawn(colour_figure(photo, kernel.expand(3, 3, 3), flat.expand(3, -1, -1), flat))
    drawn(row_figure(photo, 20, flat[0], flat[0]))
    drawn(contours_figure(photo, flat, flat, flat, flat))
    names = ("first", "second", "composed", "twice", "once", "rectified", "both signs")
    drawn(in_a_row_figure({name: torch.zeros(5, 5) for name in names}))


def test_the_caption_of_the_moved_images_says_if_they_are_not_moved() -> None:
    photo, delta = torch.rand(3, 40, 60), torch.zeros(5, 5)
    delta[1, 1] = 1  # one down, one to the right
    same = {"identity": (delta, photo), "blur": (delta, photo), "sharpen": (delta, photo)}
    moved = photo.roll((1, 1), (1, 2))
    assert (
        "equals the photograph moved 1 down and 1 to the right"
        in moved_figure(photo, {**same, "shift": (delta, moved)}).caption
    )
    assert "differs from the photograph moved" in moved_figure(photo, {**same, "shift": (delta, photo)}).caption


def test_the_weights_of_both_matrices_are_counted() -> None:
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    field = receptive_fields(convolution, (1, 4, 4))[""]
    shared = convolution(torch.eye(16).view(16, 1, 4, 4)).flatten(1).T.detach()
    sheet = drawn(matrices_figure(torch.rand(16, 16) + 1, shared, field, (10, 20)))
    assert titles(sheet)[:2] == ["dense: 16 × 16 =\n256 weights", "convolution: 9 weights,\nwritten 100 times"]  # noqa: RUF001
    assert "would have 40,000 weights" in sheet.caption


@pytest.mark.parametrize(("count", "channels", "side"), [(8, 1, 3), (64, 3, 7), (1, 1, 3)])
def test_first_layers_of_any_shape_are_shown(count: int, channels: int, side: int) -> None:
    kernels = torch.randn(count, channels, side, side)
    sheet = drawn(learned_figure([FirstLayer("x", kernels, kernels, [1.0] * count, 2, None)]))
    assert len(sheet.places[0].axis.child_axes) == 2 * min(count, 16)
    assert ("the first 16 kernels" in sheet.caption) == (count > 16)
    assert f"2 of {count} kernels" in sheet.caption


def test_small_numbers_are_written_as_powers() -> None:
    assert scientific(0) == "0"
    assert scientific(4e12).endswith("10¹²")
