"""What a study compares: ways to start and to train a first layer, written as `start/control@mode`. No torch here.

jet                  the start, trainable
jet/permuted         its control: the pixels of all kernels in one other order, drawn anew for every seed
jet/shuffled         its control: the pixels of each kernel in an order of its own
jet@frozen           never trained; jet@released:3 from epoch 3 on
sobel + laplacian    any bank of cnnlab.filters is a start as well
"""

from dataclasses import dataclass
from difflib import get_close_matches

from cnnlab._choices import UsageError
from cnnlab.filters.expression import check_expression
from cnnlab.filters.families import families

CONTROLS = {
    "permuted": "its pixels in another order, one for the whole bank: norms, means, rank and inner products stay",
    "shuffled": "its pixels in another order, one for each kernel: norms and means stay",
}
MODES = ("trainable", "frozen", "released")


@dataclass(frozen=True)
class Start:
    """`structured`: it has a spatial order that a control can destroy. `patches`: it is learned from images."""

    words: str
    structured: bool
    patches: bool = False


STARTS = {
    "kaiming": Start("Kaiming normal (He et al. 2015), what PyTorch users do", structured=False),
    "zero_mean": Start("Kaiming normal, the mean of each kernel taken off", structured=False),
    "orthonormal": Start("random orthonormal kernels", structured=False),
    "orthonormal_zero_mean": Start("random orthonormal kernels, the mean of each taken off", structured=False),
    "kaiming_mixed": Start(
        "Kaiming normal, each kernel on one row of the channel mix (luminance or one opponent colour)", structured=False
    ),
    "orthonormal_mixed": Start(
        "random orthonormal kernels on each row of the channel mix: a jet turned at random", structured=False
    ),
    "derivatives": Start("Sobel in four directions, second derivatives, two Laplacians", structured=True),
    "differences": Start(
        "[0 1 0], [-1 0 1] and [1 -2 1] along y times the same along x: no smoothing", structured=True
    ),
    "jet": Start("the complete finite-difference jet: cosines (DCT) of up to two half-waves a side", structured=True),
    "gaussian": Start("Gaussian derivatives of orders 0 to 2 along y times the same along x", structured=True),
    "gabor": Start("Gabor kernels, even and odd, in four directions, and a Gaussian", structured=True),
    "pca": Start("principal components of training patches", structured=True, patches=True),
    "whitening": Start("whitening filters of training patches (ZCA)", structured=True, patches=True),
}


@dataclass(frozen=True)
class Arm:
    """`name` as it was given; `release_epoch` counts from 0 and is that of mode released."""

    name: str
    start: str
    control: str | None = None
    mode: str = "trainable"
    release_epoch: int = 1

    @property
    def structured(self) -> bool:
        return self.start not in STARTS or STARTS[self.start].structured

    @property
    def needs_patches(self) -> bool:
        return self.start in STARTS and STARTS[self.start].patches

    @property
    def words(self) -> str:
        """For people: start, control, mode."""
        start = STARTS[self.start].words if self.start in STARTS else f"the bank {self.start}"
        control = f"; {CONTROLS[self.control]}" if self.control else ""
        mode = f"released after {self.release_epoch} epochs" if self.mode == "released" else self.mode
        return f"{start}{control}; {mode}"

    @property
    def family(self) -> str:
        """What a bank and its controls share in one mode: they are drawn in one colour."""
        return self.name.replace(f"/{self.control}", "") if self.control else self.name

    @property
    def kind(self) -> str:
        """`bank`, the kind of its control, or `random`."""
        return self.control or ("bank" if self.structured else "random")


def read_arm(text: str) -> Arm:
    """ValueError, with what is valid and the nearest match, for what names no arm."""
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"an arm is written as start/control@mode, such as jet/permuted@frozen; got {text!r}")
    rest, _, mode = text.strip().partition("@")
    start, _, control = (part.strip() for part in rest.partition("/"))
    mode, _, epoch = mode.partition(":")
    _check_start(text, start)
    if control:
        _choose(text, "control", control, tuple(CONTROLS))
        if start in STARTS and not STARTS[start].structured:
            raise UsageError(f"arm {text!r}: {start} is random already, so it has no control")
    _choose(text, "mode", mode or "trainable", MODES)
    if (mode == "released") != bool(epoch) or (epoch and (not epoch.isdigit() or int(epoch) < 1)):
        raise UsageError(f"arm {text!r}: an epoch goes with released, from 1 on, such as {start}@released:3")
    return Arm(text.strip(), start, control or None, mode or "trainable", int(epoch or 1))


def _check_start(text: str, start: str) -> None:
    if start in STARTS:
        return
    if start.isidentifier() and start not in families():
        _choose(text, "start", start, tuple(dict.fromkeys((*STARTS, *families()))))
    try:
        check_expression(start)
    except ValueError as error:
        raise UsageError(f"arm {text!r}: {error}") from None


def _choose(text: str, what: str, given: str, valid: tuple[str, ...]) -> None:
    if given not in valid:
        near = get_close_matches(given, valid, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"arm {text!r}: unknown {what} {given!r}{hint}; known: {', '.join(valid)}")
