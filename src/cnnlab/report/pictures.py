"""Images and numbers as text for a page. N images, B batch, C channel, H, W image, M images shown."""

import base64
import io
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.contract import Batches, ClassData, Data
from cnnlab.report.section import ReportedRun

MOST = 6  # images to draw receptive fields on
WINDOW = 96  # pixels: the side of windows of photographs to draw receptive fields on
SMALL = 64  # pixels; larger pictures are stored as JPEG
LARGEST_SIDE = 256  # pixels of a picture on the page


@dataclass(frozen=True, eq=False)
class Chosen:
    """Images as the network takes them (M, C, H, W), as pictures (data URIs) and in words."""

    image_MCHW: Tensor
    pictures: list[str]
    words: list[str]


def labelled(data: ClassData, run: ReportedRun) -> tuple[str, Batches]:
    """The test split if the run was tested, else the validation images: the split and its batches."""
    metrics = run.summary.get("metrics")
    if isinstance(metrics, dict) and "test/accuracy" in metrics and data.has_test:
        data.setup("test")
        return "test", data.test_dataloader()
    return "validation", data.val_dataloader()


def chosen_images(data: ClassData, run: ReportedRun) -> Chosen:
    """The first image of each of the first classes that come, at most MOST, from the split of `labelled`."""
    first: dict[int, Tensor] = {}
    for image_BCHW, label_B in labelled(data, run)[1]:
        for image_CHW, label in zip(image_BCHW, label_B.tolist(), strict=True):
            if len(first) < min(MOST, data.num_classes):
                first.setdefault(label, image_CHW.cpu())
        if len(first) == min(MOST, data.num_classes):
            break
    if not first:
        raise UsageError("the run has no images to draw on")
    labels = sorted(first)
    return Chosen(
        torch.stack([first[label] for label in labels]),
        [picture(first[label], data) for label in labels],
        [f"An image of the class {data.class_names[label]}" for label in labels],
    )


def chosen_windows(data: Data) -> Chosen:
    """Windows of training photographs in [0, 1]."""
    image_MCSS = data.patches(min(WINDOW, *data.image_size), MOST, seed=0)
    words = [f"Window {number + 1} of the training photographs" for number in range(MOST)]
    return Chosen(image_MCSS, [as_uri(image_CSS) for image_CSS in image_MCSS], words)


def picture(image_CHW: Tensor, data: Data) -> str:
    """A normalised image as a data URI: PNG where it is small, else JPEG of at most LARGEST_SIDE pixels."""
    mean_C11, std_C11 = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    return as_uri((image_CHW.float() * std_C11 + mean_C11).clamp(0, 1))


def as_uri(image_CHW: Tensor) -> str:
    """An image in [0, 1], grey or colour, as a data URI."""
    if max(image_CHW.shape[-2:]) > LARGEST_SIDE:
        scale = LARGEST_SIDE / max(image_CHW.shape[-2:])
        size = [max(1, round(side * scale)) for side in image_CHW.shape[-2:]]
        image_CHW = F.interpolate(image_CHW[None], size, mode="bilinear", antialias=True)[0]
    pixels_HWC = (image_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    kind = "PNG" if max(pixels_HWC.shape[:2]) <= SMALL else "JPEG"
    content = io.BytesIO()
    Image.fromarray(pixels_HWC.squeeze(2) if pixels_HWC.shape[2] == 1 else pixels_HWC).save(content, kind, quality=88)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def as_bytes(fraction: Tensor) -> str:
    """Numbers from 0 to 1 as base64 of uint8."""
    return as_text((fraction * 255).round().to(torch.uint8))


def as_text(numbers: Tensor) -> str:
    """The bytes of integers in base64."""
    return base64.b64encode(numbers.contiguous().numpy().tobytes()).decode()
