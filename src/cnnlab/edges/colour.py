"""Colours before the gradient, and from the gradients of several channels to one. B batch, C channel, H W image."""

import torch
from torch import Tensor

from cnnlab._colour import LUMA
from cnnlab.edges.gradient import length, root

SPACES = ("given", "grey", "opponent")
COLOURS = ("largest", "tensor")
DARK = 0.01  # intensity that is added before the root: its slope ends at 5 there, where noise would rule


def companded(image_BCHW: Tensor) -> Tensor:
    """sqrt(intensity + DARK), negative intensities taken as 0.

    Near the root the step that is just seen, and the noise of light itself, is the same in shadow and in light (the
    law of Rose and de Vries: Rose 1948, JOSA 38(2); Anscombe 1948, Biometrika 35).
    """
    return (image_BCHW.clamp_min(0) + DARK).sqrt()


def in_space(image_BCHW: Tensor, space: str) -> Tensor:
    """One of SPACES: channels as given; one channel; or of three channels (red, green, blue) the opponent colours.

    `grey` is BT.601's luma of three channels, and the mean of any other number. `opponent` is the mean, red - green
    and (red + green) / 2 - blue (Hering's pairs, as in Yang et al. 2015, IEEE TIP 24(8)); images of any other number
    of channels stay as given.
    """
    channels = image_BCHW.shape[1]
    if space == "given" or channels == 1 or (space == "opponent" and channels != 3):
        return image_BCHW
    if channels != 3:
        return image_BCHW.mean(1, keepdim=True)
    red, green, blue = image_BCHW.split(1, dim=1)
    if space == "grey":
        return red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]
    return torch.cat([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], dim=1)


def brightness(image_BCHW: Tensor) -> Tensor:
    """(B, 1, H, W), for the ties of the thinning: channels weigh differently, so that a step of colour alone shows.

    BT.601's luma of three channels; otherwise channel c, counted from 0, weighs 1 / (c + 1).
    """
    if image_BCHW.shape[1] == 3:
        return in_space(image_BCHW, "grey")
    first, *others = image_BCHW.split(1, dim=1)
    return sum((other / (place + 2) for place, other in enumerate(others)), start=first)


def combined(dy_BCHW: Tensor, dx_BCHW: Tensor, how: str) -> tuple[Tensor, Tensor, Tensor]:
    """(strength, dy, dx), each (B, 1, H, W), of all channels; only the direction of (dy, dx) means something.

    `largest`: the gradient of the channel in which it is longest, of equals the first. `tensor`: Di Zenzo's structure
    tensor (1986, CVGIP 33(1)): the direction in which the colour, as a vector, changes most, and that change.
    """
    if dy_BCHW.shape[1] == 1:
        return length(dy_BCHW, dx_BCHW), dy_BCHW, dx_BCHW
    return largest(dy_BCHW, dx_BCHW) if how == "largest" else principal(*products(dy_BCHW, dx_BCHW))


def largest(dy_BCHW: Tensor, dx_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    strength_BCHW = length(dy_BCHW, dx_BCHW)
    winner_B1HW = strength_BCHW.argmax(1, keepdim=True)
    strength, dy, dx = (field.gather(1, winner_B1HW) for field in (strength_BCHW, dy_BCHW, dx_BCHW))
    return strength, dy, dx


def products(dy_BCHW: Tensor, dx_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The structure tensor (yy, xx, xy), each (B, 1, H, W), summed over the channels."""
    return _summed(dy_BCHW * dy_BCHW), _summed(dx_BCHW * dx_BCHW), _summed(dy_BCHW * dx_BCHW)


def principal(yy: Tensor, xx: Tensor, xy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(root of the larger eigenvalue, dy, dx): its eigenvector has dx >= 0 and no particular length."""
    half, spread = (xx - yy) / 2, length((xx - yy) / 2, xy)
    value = ((xx + yy) / 2 + spread).clamp_min(0)
    # Of the two forms of the eigenvector the one without cancellation.
    wide = half >= 0
    dy = torch.where(wide, xy.abs(), spread - half)
    dx = torch.where(wide, spread + half, xy.abs())
    return root(value), torch.where(xy < 0, -dy, dy), dx


def _summed(field_BCHW: Tensor) -> Tensor:
    """Over the channels, half to half: channels that change places two by two leave the sum as it is, exactly."""
    channels = field_BCHW.shape[1]
    if channels == 1:
        return field_BCHW
    if channels % 2:
        return field_BCHW[:, :1] + _summed(field_BCHW[:, 1:])
    return _summed(field_BCHW[:, : channels // 2] + field_BCHW[:, channels // 2 :])
