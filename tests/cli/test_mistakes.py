"""A mistake on the command line: one message that helps, status 2, no traceback, nothing left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab.training.tasks.classification import ClassificationTask

GPU = torch.cuda.is_available() or torch.backends.mps.is_available()

# The words must all be in the message: what was given, what is valid, what is nearest.
MISTAKES = [
    # names of options
    ("modle=edge_init", ["'modle'", "did you mean 'model'", "optimizer"]),
    ("model=edge_inti", ["'edge_inti'", "did you mean 'edge_init'", "random_init"]),
    ("trainer.max_epoch=3", ["'trainer.max_epoch'", "did you mean 'trainer.max_epochs'", "precision"]),
    ("model.bnak=sobel", ["'model.bnak'", "did you mean 'model.bank'", "widths"]),
    ("+trainer.max_epoch=3", ["'max_epoch'", "did you mean 'max_epochs'", "accelerator"]),
    ("+optimizer.lrr=1", ["SGD takes no 'lrr'", "did you mean 'lr'", "nesterov"]),
    ("logger=tensorbord", ["'tensorbord'", "did you mean 'tensorboard'", "wandb"]),
    ("recipe=mnits", ["'mnits'", "did you mean 'mnist'", "none"]),
    ("hydra/launcher=joblbi", ["hydra/launcher", "'joblbi'", "basic"]),
    ("~optimizer", ["no optimizer", "optimizer=NAME"]),
    ("data=null", ["chosen by a name", "data=null"]),
    # what nobody reads
    ("epochs=3", ["'epochs'", "did you mean 'trainer.max_epochs'"]),
    ("+epochs=3", ["no option 'epochs'", "did you mean 'trainer.max_epochs'"]),
    ("+lr=0.5", ["no option 'lr'", "did you mean 'optimizer.lr'"]),
    ("+ema=0.99", ["no option 'ema'"]),
    ("+metrics=[f1]", ["no option 'metrics'"]),
    ("+ckpt_path=x.ckpt", ["no option 'ckpt_path'", "did you mean 'resume'"]),
    ("+trainer.callbacks=[]", ["trainer.callbacks is set by cnnlab"]),
    ("model=resnet18", ["model=torchvision model.name=resnet18"]),
    ("+detector=sobel", ["no option 'detector'"]),
    ("detector=sobel", ["no option 'detector'"]),
    ("--cfg foo", ["--cfg", "'foo'"]),
    ("--run --multirun", ["one of --run, --multirun"]),
    # the grammar of overrides
    ("model.widths=[1,", ["can't read 'model.widths=[1,'", "quotes"]),
    ("model.bank=sobel(size=5)", ["can't read", "call of a function", "'model.bank=\"sobel(size=5)\"'"]),
    ("seed", ["can't read 'seed'", "NAME=VALUE"]),
    ("seed=${nope}", ["'nope' not found"]),
    # types
    ("trainer.max_epochs=three", ["trainer.max_epochs=three", "an integer or null"]),
    ("model.widths=abc", ["model.widths=abc", "a list, each an integer"]),
    ("model.widths=[]", ["widths", "at least one", "[]"]),
    ("model.widths=[8,1.5]", ["model.widths=[8, 1.5]", "each an integer"]),
    ("model.stem_norm=yes_please", ["model.stem_norm=yes_please", "true or false"]),
    ("optimizer.lr=fast", ["optimizer.lr=fast", "a number"]),
    ("figures=some", ["figures=some", "true or false"]),
    ("seed=-1", ["seed", "0 to 2^32 - 1", "-1"]),
    ("seed=1.5", ["seed", "an integer", "1.5"]),
    ("data.batch_size=0", ["data.batch_size=0", "at least 1"]),
    # values
    ("optimizer.lr=-1", ["optimizer", "learning rate", "-1"]),
    ("schedule.warmup=2", ["schedule.warmup", "between 0 and 1", "2"]),
    ("schedule.start_divisor=0", ["schedule", "above 0", "0"]),
    ("task.label_smoothing=1", ["task.label_smoothing", "below 1"]),
    ("early_stopping=0", ["early_stopping=0", "at least 1"]),
    ("trainer.max_epochs=-1", ["trainer.max_epochs=-1", "trainer.max_steps"]),
    ("trainer.log_every_n_steps=0", ["trainer.log_every_n_steps=0", "at least 1"]),
    ("trainer.precision=bf17-mixed", ["bf17-mixed", "32-true", "did you mean 'bf16-mixed'"]),
    ("trainer.accelerator=gpux", ["gpux", "cpu", "cuda"]),
    ("trainer.devices=abc trainer.accelerator=cpu", ["devices", "int > 0"]),
    # banks, networks, sizes
    ("model.bank=sobl", ["'sobl'", "did you mean 'sobel'", "laplacian"]),
    ("model.bank='sobel(sise=5)'", ["'sise'", "did you mean 'size'", "normalise"]),
    ("model.bank='sobel(size=4)'", ["size=4", "3, 5, 7"]),
    ("model.bank='sobel(size=5'", ["'sobel(size=5'", "never closed"]),
    ("model.bank='sobel[dz]'", ["'dz'", "sobel_dy, sobel_dx"]),
    ("model.bank=3", ["text", "model.bank=sobel", "3"]),
    ("model.bank=null", ["model.bank=null", "random_init"]),
    ("model.bank='gaussian(size=99)'", ["99x99", "8x8", "smaller bank"]),
    ("model.channels=opponent", ["opponent", "3 channels", "got 1", "luminance"]),
    ("model.mode=frozn", ["'frozn'", "did you mean 'frozen'", "fixed_basis"]),
    ("model=torchvision model.name=resnet1", ["'resnet1'", "did you mean 'resnet18'", "alexnet"]),
    ("model=torchvision model.name=squeezenet1_1", ["squeezenet1_1", "8x8", "resize"]),
    # data
    ("data=mnist data.root=nowhere", ["nowhere/MNIST/raw", "data.download=true", "data.root=FOLDER"]),
    ("data=image_folder data.root=null", ["image_folder", "data.root=FOLDER"]),
    ("data=image_folder data.root=nowhere", ["nowhere", "data.root=FOLDER"]),
    ("data.train_size=99999", ["data.train_size=99999", "from 10 to 1294"]),
    ("data.train_size=9", ["data.train_size=9", "from 10 to 1294"]),
    ("data.flip=true", ["data.flip=true", "digits", "another character"]),
    ("data.cutout=9", ["data.cutout=9", "8x8"]),
    # runs and folders
    ("resume=nowhere", ["nowhere", "no folder"]),
    ("resume=.", ["not the folder of a run", "config.yaml"]),
    ("hydra.run.dir=/proc/nope", ["/proc/nope", "No such file or directory"]),
    ("hydra.run.dir=/dev/null/run", ["/dev/null/run", "Not a directory"]),
    ("--config-dir nowhere", ["nowhere", "not found"]),
    ("--config-name nowhere", ["'nowhere'", "search path"]),
]


def words_of(line: str) -> list[str]:
    """As a shell would split it, but a bank in single quotes stays quoted for Hydra."""
    return [f'{word[:-1].replace(chr(39), chr(34), 1)}"' if word.endswith("'") else word for word in line.split(" ")]


def is_one_message(err: str) -> bool:
    return err.startswith("cnnlab: ") and err.count("cnnlab: ") == 1 and "Traceback" not in err


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_ends_with_one_message_and_leaves_nothing(here: Callable, line: str, words: list[str]) -> None:
    outcome = here(*words_of(line))
    assert outcome.status == 2
    assert is_one_message(outcome.err), outcome.err
    assert outcome.out == ""
    for word in words:
        assert word in outcome.err
    assert list(Path.cwd().iterdir()) == []


OTHERS = [
    ("detect_edges", "input=x optimizer=sgd", ["no option 'optimizer'", "detector"]),
    ("detect_edges", "input=x +run=folder", ["no option 'run'", "input"]),
    ("kernels", "run=x size=32", ["size is not used with run"]),
    ("kernels", "model=torchvision checkpoint=last", ["checkpoint is not used without run"]),
    ("kernels", "file=x units=3", ["units is not used with file"]),
    ("receptive_fields", "run=x model=edge_init", ["model is not used with run"]),
    ("evaluate", "run=x seed=1", ["seed is not used without data"]),
    ("tour", "runs=[x] epochs=1", ["epochs is not used with runs"]),
    ("report", "", ["missing: run"]),
]


@pytest.mark.parametrize(("program", "line", "words"), OTHERS, ids=[f"{one} {line}" for one, line, _ in OTHERS])
def test_an_option_without_use_is_refused(here: Callable, program: str, line: str, words: list[str]) -> None:
    outcome = here(*line.split(), program=program)
    assert outcome.status == 2
    assert is_one_message(outcome.err), outcome.err
    assert all(word in outcome.err for word in words), outcome.err
    assert list(Path.cwd().iterdir()) == []


def test_there_are_at_least_25_of_them() -> None:
    assert len({line for line, _ in MISTAKES}) >= 25


@pytest.mark.skipif(GPU, reason="there is a GPU here")
def test_a_gpu_that_is_not_there(here: Callable) -> None:
    outcome = here("trainer=gpu")
    assert outcome.status == 2
    assert is_one_message(outcome.err)
    assert "no GPU" in outcome.err
    assert "trainer=auto" in outcome.err


def test_the_package_of_a_logger_that_is_not_installed(here: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", False)
    outcome = here("logger=wandb", "logger.offline=true")
    assert outcome.status == 2
    assert "pip install 'cnnlab[wandb]'" in outcome.err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model=edge_released", "model=edge_unfrozen"),
        ("model.mode=spanned", "it is now called 'fixed_basis'"),
        ("model.release_epoch=2", "unfreeze_epoch"),
    ],
)
def test_an_option_that_was_renamed_is_answered_with_its_name(here: Callable, old: str, new: str) -> None:
    outcome = here(old)
    assert outcome.status == 2
    assert new in outcome.err
    assert list(Path.cwd().iterdir()) == []


def test_debug_shows_where_a_mistake_was_found(here: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_DEBUG", "1")
    outcome = here("seed=-1")
    assert outcome.status == 2
    assert "Traceback" in outcome.err
    assert "_check_ranges" in outcome.err


@pytest.mark.parametrize("when", ["building", "training", "drawing"])
def test_a_bug_keeps_its_traceback(here: Callable, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Also a ValueError: only a UsageError is a mistake."""
    if when == "building":
        monkeypatch.setattr("cnnlab.cli.programs.train.assemble", lambda *_: {}["bug"])
        raised = KeyError
    elif when == "training":
        monkeypatch.setattr(
            f"{ClassificationTask.__module__}.ClassificationTask._learning_rate", lambda self: int("bug")
        )
        raised = ValueError
    else:
        monkeypatch.setattr("cnnlab.runs.run.learning_curves_figure", lambda *_: int("bug"))
        raised = ValueError
    with pytest.raises(raised):
        here("trainer.max_epochs=1", "trainer.log_every_n_steps=5", "hydra.run.dir=run")
    assert '"status": "failed"' in Path("run/summary.json").read_text()


def image(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)


FOLDERS = {
    "empty": ("root", [], ["no train/", "holds nothing", "train/<class>/"]),
    "without train": ("root", ["other/a/1.png"], ["no train/", "holds other"]),
    "one class": ("root", ["train/cat/1.png", "train/cat/2.png"], ["only one class", "'cat'", "at least two"]),
    "no images": ("root", ["train/cat/1.txt", "train/dog/1.txt"], ["no images", ".png"]),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_that_holds_no_set(here: Callable, kind: str) -> None:
    root, files, words = FOLDERS[kind]
    Path(root).mkdir()
    for file in files:
        image(Path(root, file).with_suffix(".png"))
        Path(root, file).with_suffix(".png").rename(Path(root, file))
    outcome = here("data=image_folder", f"data.root={root}")
    assert outcome.status == 2
    assert is_one_message(outcome.err)
    assert all(word in outcome.err for word in words), outcome.err
    assert [path.name for path in Path.cwd().iterdir()] == [root]


def test_broken_images_are_named_ten_of_them_and_counted(here: Callable) -> None:
    for name in ("cat", "dog"):
        for number in range(20):
            image(Path(f"root/train/{name}/{number:02}.png"), number)
    for number in range(13):
        Path(f"root/train/cat/{number:02}.png").write_bytes(b"broken")
    outcome = here("data=image_folder", "data.root=root")
    assert outcome.status == 2
    assert "13 broken images" in outcome.err
    assert sum(f"cat/{number:02}.png" in outcome.err for number in range(13)) == 10
    assert "and 3 more" in outcome.err
    assert "data.on_broken=skip" in outcome.err


def test_a_broken_yaml_of_ones_own(here: Callable) -> None:
    Path("mine/data").mkdir(parents=True)
    Path("mine/data/odd.yaml").write_text("name: [1, 2\nroot: :\n")
    outcome = here("--config-dir", "mine", "data=odd")
    assert outcome.status == 2
    assert is_one_message(outcome.err)
    assert "odd.yaml" in outcome.err
    assert "YAML" in outcome.err


def test_a_misspelt_option_of_ones_own(here: Callable) -> None:
    Path("mine/data").mkdir(parents=True)
    Path("mine/data/scans.yaml").write_text("defaults: [digits, _self_]\nvalidation: 0.2\n")
    assert "did you mean 'scans'" in here("--config-dir", "mine", "data=scnas").err
    assert "did you mean 'data.validation'" in here("--config-dir=mine", "data=scans", "data.validaton=1").err


def test_a_folder_that_holds_a_run_is_not_written_to(here: Callable, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    outcome = here(f"hydra.run.dir={finished}")
    assert outcome.status == 2
    assert "holds a run already" in outcome.err
    outcome = here("-m", f"hydra.sweep.dir={finished}", "seed=0,1")
    assert outcome.status == 2
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_a_refused_run_leaves_a_folder_that_was_there_as_it_was(here: Callable) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep")
    assert here("hydra.run.dir=mine", "data.flip=true").status == 2
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]


def test_resume_names_runs_that_are_near_and_takes_no_options(here: Callable, finished: Path) -> None:
    outcome = here(f"resume={finished.parent / 'runn'}")
    assert outcome.status == 2
    assert "did you mean 'run'" in outcome.err
    outcome = here(f"resume={finished}", "seed=3")
    assert outcome.status == 2
    assert "no other options" in outcome.err
    assert "seed=3" in outcome.err
    outcome = here(f"resume={finished.parent}")
    assert outcome.status == 2
    assert str(finished) in outcome.err


def test_a_sweep_with_a_mistake_in_all_jobs_leaves_nothing(here: Callable) -> None:
    for line in ("sede=0,1", "model=edge_init,edge_foo"):
        outcome = here("-m", line)
        assert outcome.status == 2
        assert is_one_message(outcome.err)
        assert list(Path.cwd().iterdir()) == []


def test_a_folder_that_is_no_run_is_told_with_runs_that_are_there(here: Callable) -> None:
    Path("photos").mkdir()
    assert "there are" not in here("run=photos", program="report").err
    for name in ("train/2026-01-02_a", "train/2026-01-01_b"):
        Path("outputs", name).mkdir(parents=True)
        Path("outputs", name, "config.yaml").write_text("seed: 0\n")
    outcome = here("run=photos", program="report")
    assert outcome.status == 2
    assert is_one_message(outcome.err)
    assert "photos is not the folder of a run" in outcome.err
    assert "there are outputs/train/2026-01-01_b, outputs/train/2026-01-02_a" in outcome.err
