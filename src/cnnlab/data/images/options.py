"""What may be asked of a data module: choices, counts, sizes."""

from collections.abc import Sequence

from cnnlab._choices import UsageError, check_choice
from cnnlab.data.images.specs import spec_of


def check_set(name: str, root: str | None, flip: bool) -> None:
    if flip and not spec_of(name).mirrors:
        raise UsageError(f"data.flip=true: a mirrored image of {name} is another character; use false")
    if name == "image_folder" and not root:
        raise UsageError("image_folder: data.root=FOLDER is missing; a folder that holds train/<class>/*")


def check_choices(in_memory: bool | str, on_broken: str) -> None:
    if in_memory not in ("auto", True, False):
        check_choice("data.in_memory", in_memory, ("auto", "true", "false"))
    check_choice("data.on_broken", on_broken, ("error", "skip"))


def check_counts(batch_size: int, eval_batch_size: int, workers: int | None) -> None:
    for key, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
        if value < 1:
            raise UsageError(f"data.{key}={value}: at least 1")
    if workers is not None and workers < 0:
        raise UsageError(f"data.workers={workers}: 0 or more, or null for one per core")


def height_and_width(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UsageError(f"data.image_size={size}: null, a number of pixels, or [height, width]")
    return pair
