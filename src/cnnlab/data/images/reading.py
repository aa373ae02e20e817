"""Named sets -> uint8 tensors: digits from scikit-learn, the others from torchvision's files."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.images.images import TensorImages
from cnnlab.data.images.order import Purpose
from cnnlab.data.images.specs import SPECS, spec_of
from cnnlab.data.images.splits import DIGITS_TEST_FRACTION, validation_split


def read_named(name: str, root: Path, test: bool, image_size: tuple[int, int] | None = None) -> TensorImages:
    """The official training or test split of a set of the table (not image_folder).

    image_size (h, w): scaled with antialiasing until it covers h x w, then cropped around the centre.
    Raises ValueError if the files are not below `root` or cannot be read.
    """
    images = _digits(test) if name == "digits" else _torchvision(name, root, test)
    spec = SPECS[name]
    if images.shape != spec.shape or len(images.class_names) != spec.classes:
        raise UsageError(
            f"{name}: expected {spec.classes} classes of images {spec.shape}, but the files in "
            f"{(root / spec.folder).absolute()} hold {len(images.class_names)} classes of {images.shape}"
        )
    if image_size is None or image_size == images.shape[1:]:
        return images
    return TensorImages(resized(images.image_NCHW, image_size), images.label_N, images.class_names)


def download(name: str, root: Path) -> None:
    """Fetch a set into `root` with torchvision, showing progress; nothing happens if it is there already.

    Raises ValueError with the reason if that fails, as it does without a network.
    """
    spec = spec_of(name)
    if not spec.torchvision_class:
        return
    try:
        _dataset(name, root, test=False, download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"{name}: the download to {(root / spec.folder).absolute()} failed: {reason}. "
            f"Without a network, copy the files to that folder from a machine that has them"
        ) from error


def resized(image_NCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale (bilinear, antialiased) to cover `size` (h, w) and crop around the centre. uint8 -> uint8."""
    height, width = image_NCHW.shape[-2:]
    scale = max(size[0] / height, size[1] / width)
    cover = (max(round(height * scale), size[0]), max(round(width * scale), size[1]))
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    out = torch.empty(*image_NCHW.shape[:2], *size, dtype=torch.uint8)
    for part in torch.arange(len(image_NCHW)).split(1024):
        chunk = F.interpolate(image_NCHW[part].float(), cover, mode="bilinear", antialias=True)
        chunk = chunk[..., top : top + size[0], left : left + size[1]]
        out[part] = chunk.round().clamp(0, 255).to(torch.uint8)
    return out


def _digits(test: bool) -> TensorImages:
    # Imported here: scikit-learn takes a second to start, and only this set needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    image_N1HW = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    label_N = torch.from_numpy(digits.target).to(torch.int64)
    # There is no official split. This one is stratified, and the same for every seed as an official one is.
    train_N, test_N = validation_split(label_N, DIGITS_TEST_FRACTION, seed=0, purpose=Purpose.TEST)
    chosen_N = test_N if test else train_N
    return TensorImages(image_N1HW[chosen_N], label_N[chosen_N], tuple(str(name) for name in digits.target_names))


def _torchvision(name: str, root: Path, test: bool) -> TensorImages:
    where = (root / SPECS[name].folder).absolute()
    try:
        dataset = _dataset(name, root, test, download=False)
    except Exception as error:  # torchvision raises RuntimeError, ValueError, AssertionError, EOFError, ...
        if where.exists():
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"{name}: the files in {where} cannot be read ({reason}); remove that folder and download "
                "them again with data.download=true, or look elsewhere with data.root=FOLDER"
            ) from error
        raise UsageError(
            f"{name}: looked for its files in {where}, which is not there; "
            "data.download=true downloads them, data.root=FOLDER looks elsewhere"
        ) from error
    image_NCHW = torch.as_tensor(dataset.data)
    if image_NCHW.ndim == 3:
        image_NCHW = image_NCHW.unsqueeze(1)
    elif image_NCHW.shape[-1] == 3:
        image_NCHW = image_NCHW.permute(0, 3, 1, 2)
    label_N = torch.as_tensor(dataset.labels if hasattr(dataset, "labels") else dataset.targets)
    class_names = tuple(label.split(" - ")[0] for label in dataset.classes)  # MNIST says "0 - zero"
    return TensorImages(image_NCHW.contiguous(), label_N.to(torch.int64), class_names)


def _dataset(name: str, root: Path, test: bool, download: bool) -> Any:
    # Imported here: torchvision takes a second to start, and digits and folders do without it.
    from torchvision import datasets

    cls = getattr(datasets, SPECS[name].torchvision_class)
    if name == "stl10":
        return cls(str(root), split="test" if test else "train", download=download)
    return cls(str(root), train=not test, download=download)
