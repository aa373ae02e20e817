"""Every file of configs/ composes, and every component can be built from it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from cnnlab.cli.assemble import build, build_data, build_network, build_recipe
from cnnlab.cli.check import check
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.targets import check_class
from cnnlab.data.contract import Data
from cnnlab.nn.rebuilding import describe
from cnnlab.runs.matching import describe_for
from cnnlab.studies.arms import start_filters
from cnnlab.studies.spec import StudyDesign
from cnnlab.training.tasks.boundaries import BoundaryTask
from cnnlab.training.tasks.network import NetworkTask
from cnnlab.training.trainer import make_trainer

CONFIGS = config_folder()
JOBS = {
    "train": "cnnlab.cli.programs.train",
    "evaluate": "cnnlab.cli.programs.evaluate",
    "study": "cnnlab.cli.programs.study",
}
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name not in ("hydra", "logger", "sweep", "search", "study")
)
PATCHES = torch.rand(500, 1, 3, 3, generator=torch.Generator().manual_seed(0))
MODELS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _initialised(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    register_resolvers(Folders())
    monkeypatch.setenv("CNNLAB_DATA", "data")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield


def composed(*overrides: str, name: str = "train") -> DictConfig:
    return compose(name, ["trainer.accelerator=cpu", *overrides])


def task_of(config: DictConfig, network: torch.nn.Module, data: Data) -> NetworkTask:
    about = describe_for(network, data, "", None)
    return build_recipe(config, Path()).task_for(network, data, about)


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_every_option_composes_and_passes_the_check(group: str, option: str) -> None:
    if (group, option) == ("data", "image_data"):
        pytest.skip("the home of ImageData, which the others inherit from")
    more = {"image_folder": ["data.root=somewhere"], "dataset": ["data.factory=my_data:photos"]}.get(option, [])
    more += ["model.factory=my_nets:net"] if option == "module" else []
    if group in ("kernels", "subject", "detector"):
        pytest.skip("of another program")
    config = composed(f"{group}={option}", *more)
    check(config, JOBS["train"])
    assert not OmegaConf.missing_keys(config)


@pytest.mark.parametrize("option", ["none", "tensorboard", "mlflow", "wandb"])
def test_every_logger_composes(option: str) -> None:
    check(composed(f"logger={option}"), JOBS["train"])


@pytest.mark.parametrize("study", sorted(path.stem for path in (CONFIGS / "study").glob("*.yaml")))
def test_every_study_composes_and_its_hypotheses_are_about_its_arms(study: str) -> None:
    config = composed(f"study={study}", "data.root=somewhere", name="study")
    check(config, JOBS["study"])
    design = StudyDesign.from_json(OmegaConf.to_container(config, resolve=True))
    assert design.pairs
    text = (CONFIGS / "study" / f"{study}.yaml").read_text()
    assert all(f"# {head}:" in text for head in ("Question", "Command", "Hardware", "Time", "Expected"))
    for arm in design.parsed_arms:
        start_filters(arm, (config.filters, 1, config.kernel_size, config.kernel_size), 0, torch.ones(1, 1), PATCHES)


def test_the_evaluation_composes() -> None:
    check(composed("run=somewhere", "data=mnist", name="evaluate"), JOBS["evaluate"])


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_one_file_is_the_home_of_one_class(path: Path) -> None:
    """A `_target_` stands in one file only; its variants inherit it."""
    config = OmegaConf.load(path)
    if "_target_" not in config:
        return
    homes = [other for other in CONFIGS.rglob("*.yaml") if OmegaConf.load(other).get("_target_") == config._target_]
    assert homes == [path]


@pytest.mark.parametrize("model", [model for model in MODELS if not model.startswith(("edge_net", "module"))])
def test_every_model_is_built_for_the_digits(model: str) -> None:
    config = composed(f"model={model}", "data=digits")
    network = build_network(config.model, build_data(config.data), seed=0).network
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    assert describe(network)["target"] == config.model._target_
    check_class(config.model._target_, type(network))


@pytest.mark.parametrize("model", [model for model in MODELS if model.startswith("edge_net")])
def test_every_network_that_draws_is_built_for_boundaries_and_small(model: str, berkeley: Callable[..., Path]) -> None:
    config = composed(f"model={model}", "data=bsds500", f"data.root={berkeley(train=2)}", "data.scored=null")
    data = build_data(config.data)
    network = build_network(config.model, data, seed=0).network
    assert network(torch.rand(2, 3, 9, 8)).shape == (2, 1, 9, 8)
    assert sum(weight.numel() for weight in network.state_dict().values()) <= 100_000
    assert describe(network)["target"] == config.model._target_
    assert isinstance(task_of(config, network, data), BoundaryTask)


def test_data_choose_a_task_and_an_optimizer_where_none_is_given() -> None:
    for data, task, optimizer in (("digits", "ClassificationTask", "SGD"), ("bsds500", "BoundaryTask", "Muon")):
        config = composed(f"data={data}")
        assert config.task._target_.endswith(task)
        assert config.optimizer._target_.endswith(optimizer)
    given = composed("data=bsds500", "optimizer=adamw")
    assert given.optimizer._target_.endswith("AdamW")
    assert given.task._target_.endswith("BoundaryTask")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_every_optimizer_and_schedule_is_built(optimizer: str, schedule: str) -> None:
    config = composed(f"optimizer={optimizer}", f"schedule={schedule}")
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10))
    task = task_of(config, network, build_data(config.data))
    task.trainer = SimpleNamespace(estimated_stepping_batches=20)
    made = task.configure_optimizers()
    first = [group["lr"] for group in made["optimizer"].param_groups]
    for _ in range(20):
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    last = [group["lr"] for group in made["optimizer"].param_groups]
    assert (last == first) == (schedule == "constant")


@pytest.mark.parametrize("trainer", ["auto", "cpu", "ddp"])
def test_every_trainer_for_this_machine_is_built(trainer: str, tmp_path: Path) -> None:
    config = composed(f"trainer={trainer}", "early_stopping=3")
    built = make_trainer(build_recipe(config, tmp_path), tmp_path, validated=True, resumed_step=None)
    names = {type(callback).__name__ for callback in built.callbacks}
    assert {"RunCheckpoints", "KernelSnapshots", "EarlyStopping"} <= names
    assert built.max_epochs == config.trainer.max_epochs


def test_shared_facts_are_said_once() -> None:
    config = composed("seed=5")
    assert config.data.seed == 5
    network = build_network(config.model, build_data(config.data), config.seed).network
    arguments = describe(network)["arguments"]
    assert (arguments["in_channels"], arguments["num_classes"]) == (1, 10)
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_what_is_built_takes_only_its_own_arguments() -> None:
    config = composed("+optimizer.lrr=3")
    with pytest.raises(ValueError, match=r"SGD takes no 'lrr' \(did you mean 'lr'\?\)"):
        build("optimizer", config.optimizer)
    for group, target, words in (
        ("model", "torch.optim.SGD", "is no Module"),
        ("data", "torch.optim.SGD", "is no LightningDataModule"),
        ("trainer", "cnnlab.nn.small_cnn.SmallCNN", "is no Trainer"),
        ("optimizer", "torch.optim.SDG", "did you mean 'SGD'"),
        ("optimizer", "torch.optim.nowhere.SGD", "there is no torch.optim.nowhere.SGD"),
    ):
        with pytest.raises(ValueError, match=words):
            build(group, OmegaConf.create({"_target_": target}))
