"""Panels flow: none leaves the sheet, none covers another, whatever the width."""

import pytest
import torch

from cnnlab.tour.sheet import NARROW, WIDE, Sheet, show_kernel, show_signed, signed, sized


def boxes(sheet: Sheet) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right, top of each panel with its margins, in inches."""
    width, height = sheet.get_size_inches()
    found = []
    for place in sheet.places:
        box = place.axis.get_position()
        found.append(
            (
                box.x0 * width - place.left,
                box.y0 * height - place.bottom,
                box.x1 * width + place.right,
                box.y1 * height + place.top,
            )
        )
    return found


@pytest.mark.parametrize("width", [WIDE, NARROW, 2.5])
@pytest.mark.parametrize("sizes", [[(3, 3)] * 5, [(2, 1), (4, 4), (1, 3), (20, 2)], [(4.5, 1)]])
def test_panels_lie_inside_and_apart(sizes: list[tuple[float, float]], width: float) -> None:
    sheet = Sheet()
    for number, size in enumerate(sizes):
        sheet.panel(*size, "a\nb", ticks=number % 2 == 0, bar=number % 3 == 0, row=number == 3)
    found = boxes(sheet.arrange(width))
    high = sheet.get_figheight()
    assert sheet.get_figwidth() == width
    for number, (left, bottom, right, top) in enumerate(found):
        assert left >= -1e-6
        assert right <= width + 1e-6
        assert bottom >= -1e-6
        assert top <= high + 1e-6
        for other in found[:number]:
            assert right <= other[0] + 1e-6 or left >= other[2] - 1e-6 or top <= other[1] + 1e-6


def test_a_narrow_sheet_has_more_rows_and_a_wide_one_again_as_few() -> None:
    sheet = Sheet()
    for _ in range(3):
        sheet.panel(3, 3)
    wide = boxes(sheet.arrange(WIDE))
    assert len({box[1] for box in wide}) == 1
    assert len({round(box[1], 3) for box in boxes(sheet.arrange(NARROW))}) == 3
    assert boxes(sheet.arrange(WIDE)) == wide


def test_zero_is_the_middle_of_every_signed_map() -> None:
    sheet = Sheet()
    axis = sheet.panel(2, 2, bar=True)
    limit = show_signed(axis, torch.tensor([[-1.0, 0.5], [0.25, 0.0]]))
    low, high = axis.images[0].get_clim()
    assert (low, high) == (-limit, limit)
    red, green, blue, _ = axis.images[0].to_rgba(torch.zeros(1, 1).numpy())[0, 0]
    assert min(red, green, blue) > 0.95
    show_signed(sheet.panel(2, 2), torch.zeros(2, 2))
    show_kernel(sheet.panel(1, 1), torch.zeros(3, 3), ".0f")
    assert signed(-0.4, ".0f") == "0"


def test_a_panel_keeps_the_proportions_of_its_image() -> None:
    width, height = sized(torch.zeros(100, 200), 3.0)
    assert width / height == pytest.approx(2)
    assert width * height == pytest.approx(9)
