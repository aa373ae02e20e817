"""The picture of attributions: every image has its row, and zero is the middle of what has a sign."""

import torch

from cnnlab.kernels.attribution import attribution_maps

MAPS = {
    "saliency": torch.rand(2, 3, 6, 5),
    "integrated_gradients": torch.tensor([1, 1e-3]).view(2, 1, 1, 1) * torch.randn(2, 3, 6, 5),
}


def test_zero_is_the_middle_of_signed_maps_and_the_beginning_of_the_others() -> None:
    figure = attribution_maps(torch.rand(2, 3, 6, 5), MAPS, ["a", "b"], ["integrated_gradients"])
    shown = [axis.images[0] for axis in figure.axes if axis.images]
    assert len(shown) == 6
    for row in range(2):
        _, saliency, signed = shown[3 * row : 3 * row + 3]
        assert (saliency.norm.vmin, signed.norm.vmin, signed.norm.vmax) == (0, -1, 1)
        for image, name in ((saliency, "saliency"), (signed, "integrated_gradients")):
            drawn, given = torch.tensor(image.get_array()), MAPS[name][row].double().sum(0)
            torch.testing.assert_close(drawn / drawn.abs().max(), given / given.abs().max())
            assert 0.9 < float(drawn.abs().max()) < 1.5, "each over its own largest, but for a few pixels"


def test_a_map_of_zeros_is_drawn_and_a_grey_image_too() -> None:
    figure = attribution_maps(torch.rand(1, 1, 4, 4), {"grad_cam": torch.zeros(1, 1, 4, 4)}, ["c"], [])
    assert float(figure.axes[1].images[0].get_array().max()) == 0
