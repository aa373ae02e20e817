"""What a step of the tour is made of."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A figure: the functions that are shown, and the lines that call them and leave it in `figure`.

    `stem` names the picture's file. The lines know `photo_CHW`, `runs`, and what earlier parts left.
    """

    stem: str
    shown: tuple[Callable[..., object], ...]
    lines: str


@dataclass(frozen=True)
class Step:
    """`words` are paragraphs in plain words; they hold for any photograph, so the numbers are in the figures."""

    key: str
    title: str
    words: tuple[str, ...]
    parts: tuple[Part, ...]
