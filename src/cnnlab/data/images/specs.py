"""The image sets known by name: what their files are, where they lie, and who made them.

Normalisation is not in the table: it is measured on the training images when a set is read.
"""

from dataclasses import dataclass

from cnnlab._choices import check_choice


@dataclass(frozen=True)
class DataSpec:
    """What is known of a set before it is read; `shape` and `classes` are checked against the files."""

    torchvision_class: str  # a class of torchvision.datasets; "" where torchvision is not needed
    folder: str  # where the files lie below the root, as torchvision lays them out
    shape: tuple[int, int, int] | None  # (channels, height, width) at rest; None: the files decide
    classes: int | None
    mirrors: bool  # a left-right mirrored image still belongs to its class
    source: str


SPECS = {
    "digits": DataSpec(
        "",
        "",
        (1, 8, 8),
        10,
        False,
        "Alpaydin & Kaynak 1998, UCI optdigits (test part, shipped in scikit-learn)",
    ),
    "mnist": DataSpec("MNIST", "MNIST/raw", (1, 28, 28), 10, False, "LeCun, Cortes & Burges 1998"),
    "fashion_mnist": DataSpec(
        "FashionMNIST",
        "FashionMNIST/raw",
        (1, 28, 28),
        10,
        True,
        "Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
    ),
    "kmnist": DataSpec("KMNIST", "KMNIST/raw", (1, 28, 28), 10, False, "Clanuwat et al. 2018, arXiv:1812.01718"),
    "cifar10": DataSpec("CIFAR10", "cifar-10-batches-py", (3, 32, 32), 10, True, "Krizhevsky 2009"),
    "cifar100": DataSpec("CIFAR100", "cifar-100-python", (3, 32, 32), 100, True, "Krizhevsky 2009"),
    "stl10": DataSpec("STL10", "stl10_binary", (3, 96, 96), 10, True, "Coates, Lee & Ng, AISTATS 2011"),
    "dataset": DataSpec("", "", None, None, True, "your own: a map-style dataset of (image, label)"),
    "image_folder": DataSpec("", "", None, None, True, "your own: train/<class>/*, val/ and test/ when there"),
}


def spec_of(name: str) -> DataSpec:
    """The spec called `name`. Raises ValueError, with the nearest name, if there is none.

    >>> spec_of("mnist").shape
    (1, 28, 28)
    >>> spec_of("mnits")
    Traceback (most recent call last):
    cnnlab.UsageError: unknown data set 'mnits' (did you mean 'mnist'?); valid: digits, mnist, ...
    """
    check_choice("data set", name, SPECS)
    return SPECS[name]
