"""A network and data of one's own: any module, any dataset of (image, label), in Python or by name with trust."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cnnlab
from cnnlab._trust import trusted_factory
from cnnlab.data.images.sources import source_of

MODULE = '''
from pathlib import Path
from torch import nn
import numpy as np

Path("imported.txt").write_text("my code ran")


def network(in_channels, num_classes, width=4):
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, num_classes),
    )


class Stripes:
    """Bars that stand or lie: two classes that a first layer of derivatives tells apart."""

    classes = ("standing", "lying")

    def __init__(self, split):
        self.draw = np.random.default_rng({"train": 0, "val": 1, "test": 2}[split])
        self.images = []
        for label in (0, 1) * 32:
            image = self.draw.integers(0, 40, (12, 12), dtype=np.uint8)
            image[:, ::4] += 150
            self.images.append((image if label == 0 else image.T, label))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def no_network():
    return "resnet"
'''


@pytest.fixture
def my_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the working folder, under a name that no other test has imported."""
    name = f"my_code_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def recipe(**values: object) -> cnnlab.Recipe:
    quick = {"epochs": 2, "trainer": {"accelerator": "cpu"}, "report": False, "figures": False}
    return cnnlab.Recipe(**{**quick, **values})


class Plain(nn.Module):
    """No base class, no bank, no names that cnnlab knows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3)
        self.last = nn.Linear(5, 10)

    def forward(self, picture: Tensor) -> Tensor:
        return self.last(self.first(picture).relu().mean((2, 3)))


def test_any_module_is_trained_recorded_and_opened_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, data = Plain(), cnnlab.ImageData("digits", train_size=200)
    start = network.first.weight.detach().clone()
    run = cnnlab.train(network, data, recipe(report=True, figures=True), tmp_path / "run")
    assert run.status == "completed"
    kernels = run.kernels()
    assert list(kernels) == [0, 1, 2]
    torch.testing.assert_close(kernels[0], start)
    assert {path.name for path in (tmp_path / "run" / "figures").iterdir()} == {"kernels.png", "curves.png"}
    assert (tmp_path / "run" / "report.html").is_file()
    again = cnnlab.Run.open(tmp_path / "run")
    with pytest.raises(cnnlab.UsageError, match="passed in Python"):
        again.network()
    image_BCHW = torch.rand(3, 1, 8, 8)
    twin = again.network(module=Plain())
    torch.testing.assert_close(twin(image_BCHW), run.network()(image_BCHW))
    again.data().setup("test")
    assert again.data().describe() == data.describe()


def test_an_interrupted_training_of_ones_own_goes_on_to_the_same_end(tmp_path: Path) -> None:
    ends = []
    for stops in ((4,), (2, 4)):
        for number, epochs in enumerate(stops):
            torch.manual_seed(0)
            schedule = lambda optimizer, steps: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)  # noqa: E731
            data = cnnlab.ImageData("digits", train_size=200)
            folder = tmp_path / str(stops)
            cnnlab.train(Plain(), data, recipe(epochs=epochs, schedule=schedule), folder, resume=number > 0)
        ends.append(cnnlab.Run.open(folder).checkpoint("last")["state_dict"])
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: x.mean((2, 3)), r"gives \(2, 1\) for 2 images of 1x8x8; logits of 10 classes would be \(2, 10\)"),
        (lambda x: [x], "gives list; a network gives a tensor of logits"),
        (lambda x: x[:, :3].matmul(x.new_ones(3, 3)), "images of 8x8"),
        (lambda x: x.new_zeros(2, 10, dtype=torch.int64), "floating point"),
    ],
)
def test_a_module_that_is_no_classifier_is_refused_before_anything_is_made(
    tmp_path: Path, forward: object, message: str
) -> None:
    class Wrong(nn.Module):
        def forward(self, image_BCHW: Tensor) -> Tensor:
            return forward(image_BCHW)

    with pytest.raises(cnnlab.UsageError, match=message):
        cnnlab.train(Wrong(), cnnlab.ImageData("digits"), recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_code_is_imported_only_where_it_is_trusted(my_code: str) -> None:
    with pytest.raises(cnnlab.UsageError, match=f"add trust={my_code}"):
        trusted_factory(f"{my_code}:network", ())
    assert not Path("imported.txt").exists()
    network = trusted_factory(f"{my_code}:network", [my_code])(in_channels=1, num_classes=2)
    assert network(torch.zeros(1, 1, 12, 12)).shape == (1, 2)
    for name, message in (("nowhere:f", "no module nowhere"), (f"{my_code}:netwrk", "did you mean 'network'")):
        with pytest.raises(cnnlab.UsageError, match=message):
            trusted_factory(name, [my_code, "nowhere"])
    for text in ("os.system", "os:system('x')", "", "a b:c"):
        with pytest.raises(cnnlab.UsageError, match=r"package\.module:function"):
            trusted_factory(text, ["os", "a"])


def test_a_run_finds_its_factories_again_where_they_are_trusted(my_code: str) -> None:
    data = cnnlab.ImageData("stripes", source=source_of(f"{my_code}:Stripes", [my_code]), batch_size=16)
    data.setup("fit")
    assert (data.class_names, data.image_size, data.in_channels) == (("standing", "lying"), (12, 12), 1)
    arguments = {"in_channels": 1, "num_classes": 2, "width": 6}
    network = trusted_factory(f"{my_code}:network", [my_code])(**arguments)
    run = cnnlab.train(network, data, recipe(), "run", factory=f"{my_code}:network", arguments=arguments)
    stranger = cnnlab.Run.open("run")
    for look in (stranger.network, stranger.data):
        with pytest.raises(cnnlab.UsageError, match=f"trust={my_code}"):
            look()
    owner = cnnlab.Run.open("run", trust=[my_code])
    assert cnnlab.evaluate(owner).metrics["test/accuracy"] == run.scores["test/accuracy"]


class Arrays:
    """One sample, whatever it is, of each of two classes, often enough."""

    def __init__(self, *samples: object) -> None:
        self.samples = samples * (20 if len(samples) < 20 else 1)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> object:
        return self.samples[index]


GREY = np.full((6, 7), 51, np.uint8)


@pytest.mark.parametrize(
    "image",
    [GREY, GREY[..., None], torch.from_numpy(GREY)[None], torch.full((1, 6, 7), 0.2), GREY.astype(np.float32) / 255],
    ids=["array HW", "array HWC", "uint8 tensor CHW", "float tensor CHW", "float array"],
)
def test_images_come_in_every_common_form(image: object) -> None:
    source = cnnlab.ImageSource(Arrays((image, 0), (image, 1)))
    data = cnnlab.ImageData("mine", source=source, batch_size=4)
    data.setup("fit")
    images, _ = data._sets["train"]
    assert images.image_NCHW.unique().tolist() == [51]
    assert data.image_size == (6, 7)
    assert not data.has_test
    assert data.recipe() is None


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([(GREY, 0.5)], "label is 0.5.*regression"),
        ([(GREY, [1, 0])], "several numbers"),
        ([(GREY, torch.tensor([0.0, 1.0]))], "several numbers"),
        ([GREY], r"a dataset gives \(image, label\)"),
        ([(GREY, 0), (GREY[:3], 1)], r"train\[1\]: an image of \(1, 3, 7\), the first has \(1, 6, 7\)"),
        ([(np.zeros((2, 3, 4, 5)), 0)], "is no image"),
        ([(np.full((6, 7), 3.0), 0)], r"uint8, or floats in \[0, 1\]"),
        ([(GREY, -1), (GREY, 0)], "labels from -1"),
        ([(np.zeros((6, 7, 5), np.uint8), 0)], "with 1 or 3 channels"),
    ],
)
def test_what_is_no_image_with_one_label_is_refused_in_words(samples: list[object], message: str) -> None:
    with pytest.raises(cnnlab.UsageError, match=message):
        cnnlab.ImageSource(Arrays(*samples)).read("train")
