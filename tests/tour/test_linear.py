"""What the tour says of linear maps holds: as matrices, as sliding dot products, moved, and one after the other."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import torch
import torch.nn.functional as F

from cnnlab.tour.in_a_row import in_a_row, moved
from cnnlab.tour.matrices import two_matrices
from cnnlab.tour.photograph import photograph
from cnnlab.tour.slide import slide, slide_in_colour, three_places


@pytest.fixture(scope="module")
def photo_CHW() -> torch.Tensor:
    return photograph()


@pytest.mark.parametrize("side", [5, 8])
def test_the_sparse_matrix_times_the_flat_image_is_the_convolution(side: int) -> None:
    _, shared_NN, _ = two_matrices(side)
    torch.manual_seed(0)
    torch.nn.Linear(side * side, side * side, bias=False)
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)  # drawn as the tour draws it
    image = torch.rand(1, 1, side, side)
    expected = F.conv2d(image, convolution.weight, padding=1).detach()
    torch.testing.assert_close((shared_NN @ image.flatten()).view(1, 1, side, side), expected)


def test_the_sparse_matrix_is_block_toeplitz_with_nine_weights() -> None:
    side = 8
    dense_NN, shared_NN, field = two_matrices(side)
    neuron = 3 * side + 4
    kernel = shared_NN[neuron].view(side, side)[2:5, 3:6].numpy()
    blocks = {
        down - 1: scipy.linalg.toeplitz(
            np.r_[row[1], row[0], np.zeros(side - 2)], np.r_[row[1], row[2], np.zeros(side - 2)]
        )
        for down, row in enumerate(kernel)
    }
    zero = np.zeros((side, side))
    expected = np.block([[blocks.get(j - i, zero) for j in range(side)] for i in range(side)])
    np.testing.assert_array_equal(shared_NN.numpy(), expected)
    assert len(np.unique(expected[expected != 0])) == 9
    assert (dense_NN != 0).all()
    box = field.clipped(3, 4, side, side)
    seen = shared_NN[neuron].view(side, side).nonzero()
    assert (tuple(seen.amin(0)), tuple(seen.amax(0))) == ((box.top, box.left), (box.bottom, box.right))


def test_each_answer_is_the_dot_product_at_its_place(photo_CHW: torch.Tensor) -> None:
    grey_HW, kernel_hw, response_HW = slide(photo_CHW)
    expected = scipy.ndimage.correlate(grey_HW.double().numpy(), kernel_hw.double().numpy(), mode="mirror")
    np.testing.assert_array_equal(response_HW.double().numpy(), expected)  # whole numbers: exact
    (rise, fall, quiet) = three_places(grey_HW, response_HW)
    values = [float(response_HW[place]) for place in (rise, fall, quiet)]
    assert values[0] > 0 > values[1]
    assert abs(values[2]) < 0.05 * min(values[0], -values[1])


def test_the_slices_of_a_colour_kernel_add_up_to_its_answer(photo_CHW: torch.Tensor) -> None:
    kernel_Chw, part_CHW, response_HW = slide_in_colour(photo_CHW)
    torch.testing.assert_close(part_CHW.sum(0), response_HW, rtol=0, atol=1e-3)
    colour = (255 * photo_CHW).round().double().numpy()
    alone = [
        scipy.ndimage.correlate(c, k, mode="mirror") for c, k in zip(colour, kernel_Chw.double().numpy(), strict=True)
    ]
    np.testing.assert_allclose(part_CHW.double().numpy(), alone, atol=1e-3)
    grey = photo_CHW.mean(0).expand(3, -1, -1)
    assert slide_in_colour(grey)[2].abs().max() < 1e-3, "it answers to changes of colour only"


def test_a_moved_delta_moves_the_image_and_the_identity_leaves_it(photo_CHW: torch.Tensor) -> None:
    found = moved(photo_CHW)
    torch.testing.assert_close(found["identity"][1], photo_CHW, rtol=0, atol=0)
    torch.testing.assert_close(found["shift"][1][:, 12:, 20:], photo_CHW[:, :-12, :-20], rtol=0, atol=0)
    mean = photo_CHW.mean((1, 2))
    torch.testing.assert_close(found["blur"][1].mean((1, 2)), mean, rtol=0, atol=0.01)
    rough = {name: float((image[:, :, 1:] - image[:, :, :-1]).abs().mean()) for name, (_, image) in found.items()}
    assert rough["blur"] < rough["identity"] < rough["sharpen"]


def test_two_kernels_in_a_row_are_one_and_are_not_with_a_relu_between(photo_CHW: torch.Tensor) -> None:
    found = in_a_row(photo_CHW)
    torch.testing.assert_close(found["twice"], found["once"], rtol=0, atol=1e-12)
    composed = scipy.signal.convolve2d(found["second"].numpy(), found["first"].numpy())
    np.testing.assert_allclose(found["composed"].numpy(), composed, atol=1e-15)
    size = found["once"].abs().max()
    assert (found["rectified"] - found["once"]).abs().max() > 0.5 * size
    assert found["both signs"].abs().max() > 0.5 * size, "a linear map would give 0"
