"""The options of every program: their names, types and defaults, and the groups that it has choices of.

Nothing heavy is imported here: a mistake is answered before torch is there. The YAML files list the defaults as well,
for --help and for Hydra to compose; a test compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class Group(dict[str, object]):
    """What a choice of a group stands for: `_target_`, a class, and its arguments."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    model: Group
    data: Group
    task: Group
    optimizer: Group
    schedule: Group
    trainer: Group
    logger: Group | None = None
    seed: int = 0  # one seed makes one result
    resume: Path | None = None  # the folder of a run that goes on
    compile: bool = False  # torch.compile the network
    channels_last: bool = True  # memory layout of the images in the network
    early_stopping: int | None = None  # epochs without a better validation accuracy
    test: bool = True  # score the test split at the end
    figures: bool = True
    report: bool = True
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class SearchOptions(TrainOptions):
    space: dict[str, object] | None = None  # option: choices, or {low, high, log, step}
    trials: int = 20
    timeout: float | None = None  # seconds after which no further run begins
    test: bool = False
    figures: bool = False
    report: bool = False


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    model: Group
    data: Group
    task: Group
    optimizer: Group
    schedule: Group
    trainer: Group
    resume: Path | None = None  # the folder of a study that goes on
    arms: list[str] | str  # start/control@mode
    reference: str = "kaiming"  # the arm that every other one is compared with
    filters: int = 9  # of the first layer, on each row of the channel mix
    kernel_size: int = 3
    match: Literal["norm", "response"] = "norm"  # what the filters of all arms agree in
    seeds: int | list[int] = 16  # 0 to seeds - 1, or a list
    train_sizes: Sequence[int | str] = ("all",)  # numbers of images, or all
    epochs: int | list[int] | dict[int | str, int] = 20  # a list: each one a condition
    learning_rates: list[float] | None = None  # searched for every arm, or a condition each
    search_seeds: int = 3  # of that search; 0: each learning rate is a condition
    curve_points: int = 12  # validations on the way
    threshold: float = 0.9  # fraction of the reference's accuracy up to which steps are counted
    corruptions: Sequence[str] | str = ()  # of test images; all
    severities: Sequence[int] = (3,)
    corruption_images: int = 1000
    question: str = ""
    hypotheses: Sequence[dict[str, object]] = ()
    relevant: float = 1.0  # points of accuracy that matter
    replicas: int | Literal["auto"] = "auto"  # networks trained together
    workers: int | Literal["auto"] = "auto"  # processes
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    trainer: Group
    data: Group | None = None  # other data than the run's own
    run: Path
    checkpoint: Path = Path("best")  # best, last, or a file
    seed: int = 0  # of the validation split of other data
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    run: Path | list[Path]
    checkpoint: Path = Path("best")
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class ReceptiveFieldsOptions:
    model: Group
    run: Path | None = None  # its network and images, instead of model
    checkpoint: Path = Path("best")
    image: Path | None = None
    images: Path | None = None  # a folder
    size: int | list[int] = 224  # pixels of the example, or [height, width]
    channels: int = 3
    classes: int = 10
    layers: list[str] | None = None  # those to draw and to measure; None: a few over the depth
    inputs: int = 64  # images averaged for an effective field
    seed: int = 0
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class KernelsOptions:
    model: Group | None = None
    run: Path | None = None
    checkpoint: Path = Path("best")
    file: Path | None = None  # a state_dict
    layer: str | None = None  # None: the first
    image: Path | None = None
    images: Path | None = None
    size: int | list[int] = 224
    channels: int = 3
    classes: int = 10
    inputs: int = 512  # images searched for patches
    units: int = 8
    steps: int = 200  # of gradient ascent
    attribution: list[str] | None = None
    seed: int = 0
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class DetectEdgesOptions:
    detector: Group
    input: Path
    output: Path | None = None  # None: the run folder
    overwrite: bool = False
    pictures: bool = True
    grey: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None  # None: one on each core
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class BenchmarkEdgesOptions:
    data: Group
    detector: Group | None = None
    split: Literal["train", "val", "test"] = "val"
    detectors: list[str] | None = None
    predictions: Path | list[Path] | None = None  # folders of maps
    limit: int | None = None
    grey: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    thresholds: int = 99
    tolerance: float = 0.0075  # of the diagonal
    thin: bool = True
    people: bool = True
    resamples: int = 2000
    processes: int | None = None
    cache: Path | None = Path("outputs/benchmark_edges/counts")
    seed: int = 0
    trust: Sequence[str] | str = ()  # packages of your own code


@dataclass(frozen=True, kw_only=True)
class TourOptions:
    image: Path | None = None
    runs: Path | list[Path] | None = None
    epochs: int = 10
    seed: int = 0
    notebook: bool = False


OPTIONS: dict[str, type] = {
    "train": TrainOptions,
    "evaluate": EvaluateOptions,
    "search": SearchOptions,
    "study": StudyOptions,
    "report": ReportOptions,
    "kernels": KernelsOptions,
    "receptive_fields": ReceptiveFieldsOptions,
    "detect_edges": DetectEdgesOptions,
    "benchmark_edges": BenchmarkEdgesOptions,
    "tour": TourOptions,
}

# What has no use where another option is given (True), or isn't (False).
UNUSED: dict[tuple[str, str, bool], tuple[str, ...]] = {
    ("kernels", "run", True): ("size", "channels", "classes"),
    ("kernels", "run", False): ("checkpoint",),
    ("kernels", "file", True): (
        *("image", "images", "size", "channels", "classes", "inputs", "units", "steps", "seed"),
    ),
    ("receptive_fields", "run", True): ("model", "size", "channels", "classes"),
    ("receptive_fields", "run", False): ("checkpoint",),
    ("evaluate", "data", False): ("seed",),
    ("tour", "runs", True): ("epochs", "seed"),
}
