"""What a network answers on a split, and where it is most surely wrong.

N images, B batch, C channel, H, W image, K class, M images shown.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from cnnlab._choices import UsageError

MISTAKES = 24  # shown
PICTURES = 6  # images to draw receptive fields on
SMALL = 64  # pixels; larger pictures are stored as JPEG
LARGEST_SIDE = 256  # pixels of a picture on the page


@dataclass(frozen=True, eq=False)
class Chosen:
    """Images as the network takes them (M, C, H, W), as pictures (data URIs) and in words (their classes)."""

    image_MCHW: Tensor
    pictures: list[str]
    labels: list[str]


@torch.no_grad()
def answers(network: nn.Module, data: Any, tested: bool) -> dict[str, Any] | None:
    """The test split if the run was `tested`, else the validation images; None where there are none.

    split, images, accuracy, names (of the classes), confusion: [(true, answer, images)] where there are any,
    mistakes: the wrong answers in order of confidence, each {picture, true, answer, confidence, share} with
    the probabilities that the network gave to its answer and to the truth.
    """
    split = "test" if tested and data.has_test else "validation"
    loader = _loader(data, split)
    if len(loader) == 0:
        return None
    network.to(loader.device)
    names = list(data.class_names)
    confusion_KK = torch.zeros(len(names), len(names), dtype=torch.int64)
    worst: list[tuple[float, float, int, int, Tensor]] = []
    for image_BCHW, label_B in loader:
        share_BK = network(image_BCHW).float().softmax(1)
        sure_B, answer_B = share_BK.max(1)
        pairs_B = label_B * len(names) + answer_B
        confusion_KK += torch.bincount(pairs_B, minlength=len(names) ** 2).view_as(confusion_KK).cpu()
        wrong = (answer_B != label_B).nonzero()[:, 0]
        wrong = wrong[sure_B[wrong].argsort(descending=True, stable=True)][:MISTAKES]
        truth_B = share_BK.gather(1, label_B[:, None])[:, 0]
        for i in wrong.tolist():
            facts = (float(sure_B[i]), float(truth_B[i]), int(label_B[i]), int(answer_B[i]))
            worst.append((*facts, image_BCHW[i].cpu()))
        worst = sorted(worst, key=lambda one: -one[0])[:MISTAKES]
    network.cpu()
    images = int(confusion_KK.sum())
    return {
        "split": split,
        "images": images,
        "accuracy": float(confusion_KK.trace()) / max(1, images),
        "names": names,
        "confusion": [(i, j, int(confusion_KK[i, j])) for i, j in confusion_KK.nonzero().tolist()],
        "mistakes": [
            {
                "picture": picture(image_CHW, data),
                "true": names[true],
                "answer": names[answer],
                "confidence": sure,
                "share": truth,
            }
            for sure, truth, true, answer, image_CHW in worst
        ],
    }


def chosen_images(data: Any, split: str) -> Chosen:
    """The first image of each of the first classes that come, at most PICTURES, from a split."""
    found: dict[int, Tensor] = {}
    for image_BCHW, label_B in _loader(data, split):
        for image_CHW, label in zip(image_BCHW, label_B.tolist(), strict=True):
            found.setdefault(label, image_CHW.cpu())
            if len(found) >= min(PICTURES, data.num_classes):
                break
        else:
            continue
        break
    if not found:
        raise UsageError("the run has no images to draw on")
    labels = sorted(found)
    pictures = [picture(found[label], data) for label in labels]
    return Chosen(torch.stack([found[k] for k in labels]), pictures, [data.class_names[k] for k in labels])


def picture(image_CHW: Tensor, data: Any) -> str:
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


def _loader(data: Any, split: str) -> Any:
    if split == "test":
        data.setup("test")
        return data.test_dataloader()
    return data.val_dataloader()
