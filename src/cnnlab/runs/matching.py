"""Do data and a network fit each other?"""

from collections.abc import Mapping

from torch import nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data, class_data
from cnnlab.nn.contract import LabNetwork, validate_network
from cnnlab.nn.rebuilding import NetworkRecord, describe


def check_kind(classifies: bool, data: Data, network: str) -> None:
    """Raises UsageError for a classifier and photographs with boundaries, or the other way round."""
    if classifies and data.kind == "boundaries":
        raise UsageError(f"model: {network} is a classifier, and {data.name} has boundaries; take model=edge_net")
    if not classifies and data.kind == "classes":
        raise UsageError(f"model: {network} predicts a boundary map, and {data.name} has classes; take data=bsds500")


def check_match(data: Data, about: NetworkRecord) -> None:
    """Raises UsageError for data whose channels or number of classes the network was not made for."""
    names = about.get("class_names")
    check_kind(names is not None, data, about["target"].rpartition(".")[2] or "this network")
    if names is None:
        return
    labelled = class_data(data)
    expected = (_channels(about["arguments"], data), len(names))
    if (data.in_channels, labelled.num_classes) != expected:
        raise UsageError(
            f"the network takes {expected[0]} channels and has {expected[1]} classes; "
            f"{data.name} has {data.in_channels} channels and {labelled.num_classes} classes"
        )
    if list(labelled.class_names) != names:
        print(f"other class names than in training: {', '.join(labelled.class_names[:10])}; compared by position")


def _channels(arguments: Mapping[str, object], data: Data) -> int:
    channels = arguments.get("in_channels", data.in_channels)
    return channels if isinstance(channels, int) else data.in_channels


def describe_for(network: nn.Module, data: Data, factory: str, arguments: Mapping[str, object] | None) -> NetworkRecord:
    """What a checkpoint says of the network, and what the images are like.

    A network of the package that takes no `num_classes` predicts a boundary map; any other is what the data ask for.
    Raises UsageError for a network and data of different kinds.
    """
    about = describe(network, factory, arguments)
    classifies = "num_classes" in about["arguments"] if isinstance(network, LabNetwork) else bool(data.class_names)
    check_kind(classifies, data, type(network).__name__)
    classes = len(data.class_names) if classifies else None
    validate_network(network, data.in_channels, data.image_size, classes)
    about = {**about, "mean": list(data.mean), "std": list(data.std), "image_size": list(data.image_size)}
    if classifies:
        about["class_names"] = list(data.class_names)
    return about
