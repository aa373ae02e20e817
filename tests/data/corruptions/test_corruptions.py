"""Laws of the corruptions, and other programs where definitions meet. B batch, C channel, H height, W width."""

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
import skimage
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from torch import Tensor

from cnnlab.data.corruptions.corruptions import (
    CORRUPTIONS,
    SIDES,
    benchmark_for,
    corrupt,
    corrupted_images,
    corruptions_for,
)
from cnnlab.data.corruptions.draws import Draws
from cnnlab.data.corruptions.warps import affine
from cnnlab.data.images.images import TensorImages

SETS = ("digits 8", "grey 28", "colour 32", "colour 224", "oblong 20x36")
CASES = [(kind, name) for kind in SETS for name in corruptions_for(3 if "colour" in kind or "oblong" in kind else 1)]
DRAWN = [name for name in CORRUPTIONS if CORRUPTIONS[name].family in ("noise", "weather", "marks") and name != "stripe"]


@cache
def images(kind: str) -> Tensor:
    """Digits, and pieces of a photograph."""
    digits_BCHW = torch.tensor(load_digits().images[:24] / 16, dtype=torch.float32)[:, None]
    if kind == "digits 8":
        return digits_BCHW
    if kind == "grey 28":
        return F.interpolate(digits_BCHW, size=28, mode="bilinear")
    photo_CHW = torch.tensor(skimage.data.astronaut() / 255, dtype=torch.float32).permute(2, 0, 1)
    crops = [photo_CHW[:, 48 * i : 48 * i + 256, 60 * j : 60 * j + 224] for i in range(5) for j in range(5)]
    if kind == "colour 224":
        return F.interpolate(torch.stack(crops[::9]), size=(224, 224), mode="area")
    size = (32, 32) if kind == "colour 32" else (20, 36)
    return F.interpolate(torch.stack(crops), size=size, mode="area")


def changed(name: str, severity: int, kind: str = "colour 32", **further: object) -> Tensor:
    image_BCHW = images(kind)
    return corrupt(image_BCHW, name, severity, range(len(image_BCHW)), **further)


def far(image_BCHW: Tensor, kind: str) -> float:
    return float((image_BCHW - images(kind)).square().mean())


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_severity_0_changes_nothing_and_each_next_one_more_within_the_range(kind: str, name: str) -> None:
    assert torch.equal(changed(name, 0, kind), images(kind))
    distances = [0.0]
    for severity in (1, 3, 5) if "224" in kind else range(1, 6):
        image_BCHW = changed(name, severity, kind)
        assert image_BCHW.shape == images(kind).shape
        assert image_BCHW.dtype == torch.float32
        assert 0 <= image_BCHW.min() <= image_BCHW.max() <= 1
        distances.append(far(image_BCHW, kind))
    assert min(distances[1:]) > (0 if name == "gaussian_blur" else 1e-6)  # a fraction of a small pixel is little
    if CORRUPTIONS[name].ordered:
        assert all(later >= 0.98 * earlier for earlier, later in pairwise(distances)), distances
        assert distances[-1] > 1.5 * distances[1]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_in_one_way_whatever_batch_it_comes_in(name: str) -> None:
    image_BCHW = images("colour 32")
    together_BCHW = corrupt(image_BCHW, name, 3, range(25), seed=4)
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    for part in order.split(4):
        apart_BCHW = corrupt(image_BCHW[part], name, 3, part, seed=4)
        torch.testing.assert_close(apart_BCHW, together_BCHW[part], atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", DRAWN)
def test_the_random_part_follows_the_seed_and_the_number_of_the_image(name: str) -> None:
    same_BCHW = images("colour 32")[:1].expand(3, -1, -1, -1)
    first, second, again = corrupt(same_BCHW, name, 3, [7, 8, 7], seed=0)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, corrupt(same_BCHW[:1], name, 3, [7], seed=1)[0])


def test_two_corruptions_of_one_image_have_noise_of_their_own() -> None:
    grey_BCHW = torch.full((1, 1, 28, 28), 0.5)
    noises = [Draws(0, name, [0], grey_BCHW).normal(28, 28) for name in ("gaussian_noise", "speckle_noise")]
    assert abs(float((noises[0] * noises[1]).mean())) < 0.15


@pytest.mark.parametrize("benchmark", SIDES)
def test_the_noises_have_the_spread_of_their_definition(benchmark: str) -> None:
    grey_BCHW = torch.full((40, 3, 32, 32), 0.5, dtype=torch.float64)

    def spread(name: str) -> tuple[float, float]:
        (value,), _ = CORRUPTIONS[name].at(1, benchmark)
        return float(corrupt(grey_BCHW, name, 1, range(40), 0, benchmark).std()), value

    for name, law in (
        ("gaussian_noise", lambda deviation: deviation),
        ("shot_noise", lambda photons: (0.5 / photons) ** 0.5),
        ("speckle_noise", lambda deviation: 0.5 * deviation),
        ("impulse_noise", lambda share: 0.5 * share**0.5),
    ):
        found, value = spread(name)
        assert found == pytest.approx(law(value), rel=0.03), name


def test_salt_and_pepper_are_equally_often() -> None:
    image_BCHW = corrupt(torch.full((20, 1, 28, 28), 0.5), "impulse_noise", 5, range(20))
    assert float((image_BCHW == 1).float().mean()) == pytest.approx(0.27 / 2, abs=0.01)
    assert float((image_BCHW == 0).float().mean()) == pytest.approx(0.27 / 2, abs=0.01)


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("kind", ["colour 32", "oblong 20x36", "grey 28"])
def test_a_gaussian_blur_is_scipys(kind: str, severity: int) -> None:
    benchmark = benchmark_for(images(kind).shape[1])
    (deviation,), side = CORRUPTIONS["gaussian_blur"].at(severity, benchmark)
    deviation *= min(images(kind).shape[2:]) / side
    expected = ndimage.gaussian_filter(images(kind).numpy(), (0, 0, deviation, deviation), mode="nearest", truncate=4)
    np.testing.assert_allclose(changed("gaussian_blur", severity, kind).numpy(), expected, atol=1e-5)


def hsv(name: str, severity: int) -> np.ndarray:
    """Brightness and saturation as skimage's conversion to HSV and back has them."""
    values = skimage.color.rgb2hsv(images("colour 32").permute(0, 2, 3, 1).double().numpy())
    parameters, _ = CORRUPTIONS[name].at(severity, "cifar10-c")
    if name == "brightness":
        values[..., 2] = np.clip(values[..., 2] + parameters[0], 0, 1)
    else:
        values[..., 1] = np.clip(values[..., 1] * parameters[0] + parameters[1], 0, 1)
    return skimage.color.hsv2rgb(values).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["brightness", "saturate"])
def test_brightness_and_saturation_are_those_of_hsv(name: str, severity: int) -> None:
    np.testing.assert_allclose(changed(name, severity).numpy(), hsv(name, severity), atol=1e-5)


def test_black_becomes_grey_when_brightened_and_grey_turns_red_when_saturated() -> None:
    black_BCHW, grey_BCHW = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    assert corrupt(black_BCHW, "brightness", 5, [0]).unique().tolist() == pytest.approx([0.3])
    assert corrupt(grey_BCHW, "saturate", 5, [0])[0, :, 0, 0].tolist() == pytest.approx([0.5, 0.4, 0.4])


def test_contrast_keeps_the_mean_of_each_channel_and_shrinks_what_deviates_from_it() -> None:
    before, after = images("colour 32"), changed("contrast", 5)
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.std((2, 3)), 0.15 * before.std((2, 3)), atol=1e-5, rtol=0)


def eight_bit(image_BCHW: Tensor) -> list[Image.Image]:
    return [Image.fromarray(one) for one in (image_BCHW * 255).round().byte().permute(0, 2, 3, 1).numpy()]


@pytest.mark.parametrize("severity", [1, 4, 5])
@pytest.mark.parametrize("kind", ["colour 32", "grey 28"])
def test_jpeg_is_opencvs(kind: str, severity: int) -> None:
    table = CORRUPTIONS["jpeg"].cifar if "colour" in kind else CORRUPTIONS["jpeg"].mnist
    whole = images(kind).permute(0, 2, 3, 1).mul(255).round().byte().numpy()[..., ::-1]
    answer = changed("jpeg", severity, kind).permute(0, 2, 3, 1).mul(255).numpy()[..., ::-1]
    for before, after in zip(whole, answer, strict=True):
        _, written = cv2.imencode(".jpg", before, [cv2.IMWRITE_JPEG_QUALITY, table[severity - 1]])
        expected = cv2.imdecode(written, cv2.IMREAD_UNCHANGED).reshape(before.shape)
        assert np.abs(expected - after).mean() < 0.5


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["colour 32", "oblong 20x36"])
def test_pixelation_is_pillows_box_filter_down_and_up(kind: str, severity: int) -> None:
    share = CORRUPTIONS["pixelate"].cifar[severity - 1]
    for before, after in zip(eight_bit(images(kind)), eight_bit(changed("pixelate", severity, kind)), strict=True):
        small = tuple(int(side * share) for side in before.size)
        expected = before.resize(small, Image.Resampling.BOX).resize(before.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(expected, dtype=int) - np.asarray(after, dtype=int)).max() <= 2


def test_quantised_images_have_so_many_values() -> None:
    assert [len(changed("quantize", severity, "colour 224").unique()) for severity in (2, 4, 5)] == [16, 4, 2]


@pytest.mark.parametrize("name", ["shear", "rotate", "scale", "translate"])
@pytest.mark.parametrize("severity", [1, 4])
def test_shapes_are_skimages_warp_about_the_centre(name: str, severity: int) -> None:
    image_BCHW = images("grey 28").double()
    signs = Draws(0, name, range(24), image_BCHW).sign(*((2,) if name == "translate" else ()))
    (amount,), _ = CORRUPTIONS[name].at(severity, "mnist-c")
    moved_BCHW = corrupt(image_BCHW, name, severity, range(24))
    assert {float(sign) for sign in signs.flatten()} == {-1.0, 1.0}
    for before, after, sign in zip(image_BCHW[:, 0], moved_BCHW[:, 0], signs, strict=True):
        angle = amount * float(sign) if name in ("shear", "rotate") else 0.0
        matrix = {
            "shear": [[1, -np.sin(angle)], [0, np.cos(angle)]],
            "rotate": [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]],
            "scale": [[1 / amount, 0], [0, 1 / amount]],
            "translate": [[1, 0], [0, 1]],
        }[name]
        whole = np.eye(3)
        whole[:2, :2] = matrix
        whole[:2, 2] = 13.5 - np.array(matrix) @ [13.5, 13.5]
        if name == "translate":
            whole[:2, 2] = amount * sign.numpy()[::-1]
        expected = skimage.transform.warp(before.numpy(), whole, order=1, mode="constant", cval=0)
        # skimage fills with zeros outside of the pixels' centres, ours fades out over one pixel.
        inside = skimage.transform.warp(np.ones((28, 28)), whole, order=1, mode="constant", cval=0) > 0.999
        np.testing.assert_allclose(after.numpy()[inside], expected[inside], atol=1e-6)


def test_an_affine_map_of_nothing_is_the_identity_and_an_oblong_image_keeps_its_centre() -> None:
    image_BCHW = images("oblong 20x36").double()
    same = affine(image_BCHW, torch.eye(2).expand(len(image_BCHW), 2, 2))
    torch.testing.assert_close(same, image_BCHW, atol=1e-9, rtol=0)
    turned = affine(image_BCHW, -torch.eye(2).expand(len(image_BCHW), 2, 2))
    torch.testing.assert_close(turned, image_BCHW.flip(2, 3), atol=1e-9, rtol=0)


def test_a_stripe_inverts_a_band_on_each_side() -> None:
    image_BCHW = images("grey 28")
    after_BCHW = corrupt(image_BCHW, "stripe", 5, range(24))
    torch.testing.assert_close(after_BCHW[..., 7:21], image_BCHW[..., 7:21])
    torch.testing.assert_close(after_BCHW[..., :7], 1 - image_BCHW[..., :7])
    torch.testing.assert_close(after_BCHW[..., 21:], 1 - image_BCHW[..., 21:])


def test_a_set_of_images_is_corrupted_in_the_order_asked_for_and_rounded() -> None:
    image_NCHW = (images("colour 32") * 255).round().to(torch.uint8)
    whole = TensorImages(image_NCHW, torch.arange(25), tuple("abc"))
    index_N = torch.tensor([20, 3, 11])
    part = corrupted_images(whole, index_N, "gaussian_noise", 3, seed=2)
    assert part.label_N.tolist() == [20, 3, 11]
    assert part.image_NCHW.dtype == torch.uint8
    alone = corrupt(image_NCHW[3:4].float() / 255, "gaussian_noise", 3, [3], seed=2)
    torch.testing.assert_close(part.image_NCHW[1:2].float() / 255, alone, atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(corrupted_images(whole, index_N, "fog", 0).image_NCHW, image_NCHW[index_N])


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_number_of_channels_can_be_corrupted_but_only_colour_saturated(channels: int) -> None:
    image_BCHW = torch.rand(2, channels, 12, 9, generator=torch.Generator().manual_seed(0))
    for name in corruptions_for(channels):
        assert corrupt(image_BCHW, name, 2, [0, 1]).shape == image_BCHW.shape
    with pytest.raises(ValueError, match="needs 3 channels"):
        corrupt(image_BCHW, "saturate", 2, [0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "gausian_noise"}, "did you mean 'gaussian_noise'"),
        ({"severity": 6}, "severity 6: a whole number from 0"),
        ({"severity": 1.5}, "severity 1.5"),
        ({"benchmark": "imagenet-c"}, "known: cifar10-c, mnist-c"),
        ({"index_B": [0]}, "24 images but 1 numbers"),
        ({"image_BCHW": torch.zeros(24, 1, 8, 8, dtype=torch.uint8)}, "floats in"),
    ],
)
def test_a_mistake_is_told_with_what_is_valid(change: dict, words: str) -> None:
    asked = {"image_BCHW": images("digits 8"), "name": "fog", "severity": 1, "index_B": range(24), **change}
    with pytest.raises(ValueError, match=words):
        corrupt(**asked)
