"""Light and weather. B batch, C channel, H height, W width, N side of a map."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.data.corruptions.draws import Draws
from cnnlab.data.corruptions.warps import smooth, smoother

MUD = (63 / 255, 42 / 255, 20 / 255)  # brown; grey images take the first


def brightness(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """The value of HSV, which is the largest channel, plus a number; hue and saturation stay."""
    value_B1HW = image_BCHW.amax(1, keepdim=True)
    brighter_B1HW = (value_B1HW + parameters[0]).clamp(max=1)
    # Black has no hue: it becomes grey.
    scaled_BCHW = image_BCHW * (brighter_B1HW / value_B1HW.clamp(min=1e-12))
    return torch.where(value_B1HW > 0, scaled_BCHW, brighter_B1HW.expand_as(image_BCHW))


def contrast(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Each channel drawn towards its mean over the image."""
    mean_BC11 = image_BCHW.mean((2, 3), keepdim=True)
    return mean_BC11 + parameters[0] * (image_BCHW - mean_BC11)


def saturate(image_BCHW: Tensor, parameters: tuple[float, float], pixel: float, draws: Draws) -> Tensor:
    """The saturation of HSV times a number plus another; grey counts as red, as in scikit-image."""
    factor, plus = parameters
    value_B1HW, lowest_B1HW = image_BCHW.amax(1, keepdim=True), image_BCHW.amin(1, keepdim=True)
    spread_B1HW = value_B1HW - lowest_B1HW
    saturation_B1HW = spread_B1HW / value_B1HW.clamp(min=1e-12)
    wanted_B1HW = (saturation_B1HW * factor + plus).clamp(0, 1)
    red_1C11 = image_BCHW.new_tensor([0.0, 1.0, 1.0])[None, :, None, None]
    below_BCHW = torch.where(
        spread_B1HW > 0, (value_B1HW - image_BCHW) / spread_B1HW.clamp(min=1e-12), red_1C11
    )  # 0 at the largest channel, 1 at the smallest
    return value_B1HW * (1 - wanted_B1HW * below_BCHW)


def fog(image_BCHW: Tensor, parameters: tuple[float, float], pixel: float, draws: Draws) -> Tensor:
    """Plus a random cloud, then darkened so that the brightest stays in range.

    parameters: how thick the cloud is, and by how much its detail falls off from one scale to the next.
    """
    thickness, decay = parameters
    height, width = image_BCHW.shape[-2:]
    cloud_BNN = plasma(draws, max(height, width), decay)
    brightest_B111 = image_BCHW.amax((1, 2, 3), keepdim=True)
    foggy_BCHW = image_BCHW + thickness * cloud_BNN[:, None, :height, :width]
    return foggy_BCHW * brightest_B111 / (brightest_B111 + thickness)


def plasma(draws: Draws, size: int, decay: float) -> Tensor:
    """Clouds (B, N, N) from 0 to 1, N the power of two from `size` on: diamond-square on a torus.

    Fournier, Fussell & Carpenter 1982, Comm. ACM 25. The random part falls by `decay` squared from scale to scale.
    """
    map_BNN = draws.uniform(0, 0, 1, 1)
    amount = 1.0
    while map_BNN.shape[-1] < size:
        side = map_BNN.shape[-1]
        noise_B3NN = amount * draws.uniform(-1, 1, 3, side, side)
        right_BNN, below_BNN = map_BNN.roll(-1, 2), map_BNN.roll(-1, 1)
        middle_BNN = (map_BNN + right_BNN + below_BNN + below_BNN.roll(-1, 2)) / 4 + noise_B3NN[:, 0]
        across_BNN = (map_BNN + right_BNN + middle_BNN + middle_BNN.roll(1, 1)) / 4 + noise_B3NN[:, 1]
        down_BNN = (map_BNN + below_BNN + middle_BNN + middle_BNN.roll(1, 2)) / 4 + noise_B3NN[:, 2]
        even = torch.stack([map_BNN, across_BNN], dim=3).flatten(2)
        odd = torch.stack([down_BNN, middle_BNN], dim=3).flatten(2)
        map_BNN = torch.stack([even, odd], dim=2).flatten(1, 2)
        amount /= decay**2
    map_BNN = map_BNN - map_BNN.amin((1, 2), keepdim=True)
    return map_BNN / map_BNN.amax((1, 2), keepdim=True).clamp(min=1e-12)


def spatter(image_BCHW: Tensor, parameters: tuple[float, float, float], pixel: float, draws: Draws) -> Tensor:
    """Drops of mud where a smooth random field is high.

    parameters: the smoothness of the field and of the edge of a drop as standard deviations in pixels of the benchmark,
    and the height from which on there is mud, in standard deviations of the field.
    """
    smoothness, edge, height = parameters
    noise_B1HW = draws.normal(1, *image_BCHW.shape[-2:])
    rows_HH, columns_WW = (smoother(side, smoothness * pixel).to(noise_B1HW) for side in noise_B1HW.shape[-2:])
    # Rows of length 1: the field deviates by 1 everywhere, so the share of mud is the same in images of any size.
    rows_HH, columns_WW = F.normalize(rows_HH), F.normalize(columns_WW)
    field_B1HW = rows_HH @ noise_B1HW @ columns_WW.T
    mud_B1HW = smooth((field_B1HW > height).to(image_BCHW), edge * pixel)
    mud_B1HW = torch.where(mud_B1HW < 0.8, 0.0, mud_B1HW)
    channels = image_BCHW.shape[1]
    colour_C11 = image_BCHW.new_tensor(MUD if channels == 3 else MUD[:1] * channels)[:, None, None]
    return image_BCHW * (1 - mud_B1HW) + colour_C11 * mud_B1HW
