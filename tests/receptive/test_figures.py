"""What a notebook shows of receptive fields."""

import torch
from torch import Tensor, nn

from cnnlab.receptive import receptive_fields
from cnnlab.receptive.figures import DRAWN, boxes, overview, spread


def fields_of(*layers: nn.Module) -> dict:
    return receptive_fields(nn.Sequential(*layers).eval(), (3, 24, 40))


class Gaps(nn.Module):
    """The middle unit is in a gap and sees nothing."""

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.conv_transpose2d(image, torch.ones(3, 3, 1, 1), stride=2)[..., 1:, 1:]


def test_fields_are_a_dictionary_that_draws_itself() -> None:
    fields = fields_of(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, (5, 3), 2), nn.AdaptiveAvgPool2d(1))
    assert list(fields) == ["0", "1", "2", ""]
    assert fields == dict(fields)
    assert fields.input_shape == (1, 3, 24, 40)
    assert fields._repr_png_().startswith(b"\x89PNG")


def test_the_drawn_boxes_are_those_of_the_middle_units() -> None:
    fields = fields_of(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, (5, 3), 2), nn.AdaptiveAvgPool2d(1))
    for axis in (overview(fields, (24, 40)).axes[1], boxes(torch.rand(3, 24, 40), fields, ["0", "1", "2"]).axes[0]):
        drawn = {patch.get_label(): patch for patch in axis.patches[1:]}
        assert list(drawn) == ["0: 3 x 3", "1: 7 x 5"]
        box = fields["1"].box(fields["1"].grid[0] // 2, fields["1"].grid[1] // 2)
        assert drawn["1: 7 x 5"].get_xy() == (box.left - 0.5, box.top - 0.5)
        assert (drawn["1: 7 x 5"].get_width(), drawn["1: 7 x 5"].get_height()) == (5, 7)


def test_a_middle_unit_that_sees_nothing_has_no_box() -> None:
    fields = receptive_fields(nn.Sequential(Gaps()), (3, 3, 3))
    assert boxes(torch.rand(1, 3, 3), fields, ["0"]).axes[0].patches[1:] == []


def test_a_few_layers_stand_for_many_from_the_first_to_the_last() -> None:
    names = spread(fields_of(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(40))))
    assert len(names) == DRAWN
    assert (names[0], names[-1]) == ("0", "39")
