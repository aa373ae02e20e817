"""Each law of a detector has its own message, and ours keep them all."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.contract import Detector, Edges, validate_detector
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.network import NetworkDetector

CONFIGS = Path(__file__).parents[2] / "configs" / "detector"
OURS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem != "module")


def values(name: str) -> dict:
    """Of a configuration, with those that it starts from."""
    plain = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    for other in plain.pop("defaults", ()):
        plain = {**(values(other) if other != "_self_" else {}), **plain}
    return plain


@pytest.mark.parametrize("name", OURS)
def test_every_detector_of_the_configurations_keeps_all_laws(name: str) -> None:
    plain = values(name)
    kind = {"EdgeDetector": EdgeDetector, "NetworkDetector": NetworkDetector}[plain.pop("_target_").rpartition(".")[2]]
    detector = kind(**plain)
    validate_detector(detector)
    assert detector.settings == values(name)


@pytest.mark.parametrize(
    "options",
    [
        {"bank": "sobel", "low": 0.02, "high": 0.1},
        {"bank": "scharr", "thresholds": "automatic"},
        {
            "bank": "gaussian(sigma=(1, 2), order=1)",
            "scales": "geometric",
            "thresholds": "quantile",
            "low": 0.5,
            "high": 0.9,
        },
        {"bank": "quadrature", "border": "zeros"},
    ],
)
def test_so_do_others(options: dict) -> None:
    validate_detector(EdgeDetector.plain(**options))


@pytest.mark.parametrize(("name", "kind"), [("edge_detector", EdgeDetector), ("edge_net", NetworkDetector)])
def test_the_yaml_lists_the_defaults_of_the_signature(name: str, kind: type) -> None:
    listed = {key: value for key, value in values(name).items() if key != "_target_"}
    signature = {key: one.default for key, one in inspect.signature(kind).parameters.items()}
    assert listed == {key: signature[key] for key in listed}
    assert set(signature) - set(listed) <= {"network", "margin", "grid", "channels"}


class Good(nn.Module, Detector):
    """Horizontal differences."""

    full_scale, reach = 1.0, 1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def prepared(self, image: Tensor) -> Tensor:
        return image / 255 if image.dtype == torch.uint8 else image

    def strength(self, image: Tensor) -> Tensor:
        return F.pad(image.mean(1, keepdim=True).diff(dim=3).abs(), (1, 0))

    def forward(self, image: Tensor) -> Edges:
        strength = self.strength(self.prepared(image))
        return Edges(strength, torch.zeros_like(strength))

    def thinned(self, image: Tensor) -> Tensor:
        return self(image).strength


def learning(self: Good, image: Tensor) -> Edges:
    self.seen += 1
    return Good.forward(self, image)


def in_place(self: Good, image: Tensor) -> Tensor:
    return image if image.dtype == torch.uint8 else image.mul_(0.5)


def smaller(self: Good, image: Tensor) -> Edges:
    edges = Good.forward(self, image)
    return Edges(edges.strength[..., 1:], edges.orientation)


def negative(self: Good, image: Tensor) -> Tensor:
    return F.pad(image.mean(1, keepdim=True).diff(dim=3), (1, 0))


def not_finite(self: Good, image: Tensor) -> Tensor:
    return Good.strength(self, image) / 0


def with_the_batch(self: Good, image: Tensor) -> Tensor:
    return Good.strength(self, image) / image.amax()


def far(self: Good, image: Tensor) -> Tensor:
    return Good.strength(self, image) + Good.strength(self, image).roll(5, 3)


def another_dtype(self: Good, image: Tensor) -> Tensor:
    return Good.strength(self, image).double()


def half_a_turn(self: Good, image: Tensor) -> Edges:
    strength = Good.forward(self, image).strength
    return Edges(strength, torch.full_like(strength, 4.0))


def strength_alone(self: Good, image: Tensor) -> Tensor:
    return Good.forward(self, image).strength


def noisy(self: Good, image: Tensor) -> Edges:
    edges = Good.forward(self, image)
    return Edges(edges.strength * torch.rand(()), edges.orientation)


def nothing(self: Good, image: Tensor) -> Tensor:
    return torch.zeros_like(image[:, :1])


def halved(self: Good, image: Tensor) -> Tensor:
    return self(image).strength / 2


def other_both(self: Good, image: Tensor) -> tuple[Edges, Tensor]:
    return self(image), 0 * self.thinned(image)


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "learning": ({"forward": learning}, "detecting changes its seen; in evaluation mode nothing learns"),
    "in place": ({"prepared": in_place}, r"an image \(2, 3, 33, 46\) float32 is changed by it"),
    "smaller": ({"forward": smaller}, r"has a strength \(2, 1, 33, 45\) .* expected \(2, 1, 33, 46\)"),
    "another dtype": ({"strength": another_dtype}, "has a strength .*float64"),
    "negative": ({"strength": negative}, r"has a strength outside \[0, inf\)"),
    "not finite": ({"strength": not_finite}, r"has a strength outside \[0, inf\)"),
    "half a turn": ({"forward": half_a_turn}, r"has a orientation outside \[0, 3.14159\)"),
    "no pair": ({"forward": strength_alone}, "gives Tensor; a detector gives Edges"),
    "thinned to else": ({"thinned": halved}, "is thinned to other values"),
    "noise": ({"forward": noisy, "thinned": nothing}, "twice has two results"),
    "batch": ({"strength": with_the_batch}, "has other edges in a batch than alone"),
    "uint8": ({"prepared": lambda self, image: image.float()}, "has other edges as uint8; divide by 255"),
    "both": ({"both": other_both}, "another map by both"),
    "tiles": ({"thresholded": lambda self, thin: 0 * thin}, "another map by thresholded"),
    "reach": ({"strength": far}, "its reach is 1, but pixels farther away change a strength"),
    "full scale": ({"full_scale": 0.0}, "full_scale is a strength above 0"),
    "negative reach": ({"reach": -1}, "reach is a number of pixels"),
    "settings": ({"settings": {"bank": torch.zeros(2)}}, "settings are plain types by name"),
}


def test_the_good_one_is_accepted() -> None:
    validate_detector(Good())


@pytest.mark.parametrize("name", BROKEN)
def test_each_law_that_is_broken_has_its_message(name: str) -> None:
    members, words = BROKEN[name]
    with pytest.raises(UsageError, match=words):
        validate_detector(type("Broken", (Good,), members)())


def test_what_lacks_a_member_is_told_which() -> None:
    with pytest.raises(UsageError, match="Identity has no full_scale"):
        validate_detector(nn.Identity())
    with pytest.raises(TypeError, match="reach"):
        type("Half", (Detector,), {"full_scale": 1.0})()
