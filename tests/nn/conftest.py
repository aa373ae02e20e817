"""Networks as the YAML files describe them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from cnnlab.filters.bank import bank
from cnnlab.nn.small_cnn import SmallCNN

MODELS = Path(__file__).parents[2] / "configs" / "model"


def _values_of(model: str) -> dict[str, Any]:
    config = OmegaConf.load(MODELS / f"{model}.yaml")
    parents = [name for name in config.pop("defaults", []) if name != "_self_"]
    return OmegaConf.to_container(OmegaConf.merge(*(_values_of(name) for name in parents), config))


@pytest.fixture
def values_of() -> Callable[[str], dict[str, Any]]:
    """The values of a model file over those of the file it inherits from."""
    return _values_of


@pytest.fixture
def small_cnn() -> Callable[..., SmallCNN]:
    """The network of a model file; changes as on the command line, the bank as an expression."""

    def build(model: str = "edge_init", in_channels: int = 1, num_classes: int = 10, **changes: Any) -> SmallCNN:
        values = _values_of(model) | changes
        assert values.pop("_target_") == "cnnlab.nn.small_cnn.SmallCNN"
        return SmallCNN(bank(values.pop("bank")), in_channels=in_channels, num_classes=num_classes, **values)

    return build
