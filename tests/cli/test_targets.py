"""A configuration names classes of a few packages only: anything else is refused before it is imported."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.cli.targets import check_class, check_target

TRAP = """
from pathlib import Path
Path({imported!r}).touch()
class Trap:
    def __init__(self, *args, **kwargs):
        Path({imported!r}).write_text("called")
"""


@pytest.fixture(autouse=True)
def trap(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `trap_module` that can be imported, and the file that is there once it was."""
    folder = tmp_path_factory.mktemp("trap")
    imported = folder / "imported"
    (folder / "trap_module.py").write_text(TRAP.format(imported=str(imported)))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "trap_module", raising=False)
    return imported


def assert_refused(here: Callable, trap: Path, *arguments: object, program: str = "train", left: int = 0) -> None:
    outcome = here(*arguments, program=program)
    assert outcome.status == 2, outcome.out
    assert "refused" in outcome.err
    assert "Traceback" not in outcome.err
    assert not trap.exists()
    assert "trap_module" not in sys.modules
    assert len(list(Path.cwd().iterdir())) == left


def test_the_trap_works(trap: Path) -> None:
    import trap_module  # noqa: F401

    assert trap.exists()


@pytest.mark.parametrize(
    "argument",
    [
        "optimizer._target_=trap_module.Trap",
        "+model.x._target_=trap_module.Trap",
        "+anything=[{deep:{_target_:trap_module.Trap}}]",
        "optimizer._target_=torch.load",
        "optimizer._target_=pathlib.Path.unlink",
        "optimizer._target_=torch.optim.sgd.torch.load",
        "optimizer._target_=torch.optim.sgd.Tensor",
        "optimizer._target_=os.system",
        "+optimizer@_global_=trap trainer._target_=builtins.Exec",
        # Hydra's own section
        "+hydra.callbacks.x._target_=trap_module.Trap",
        "hydra.callbacks.table._target_=trap_module.Trap",
        "+hydra.callbacks.x._target_=cnnlab.runs.record.subprocess.Popen",
        "hydra.launcher._target_=hydra._internal.core_plugins.basic_launcher.Path",
        "hydra.launcher._target_=hydra_plugins.hydra_submitit_launcher.submitit_launcher.os.Trap",
        "hydra.launcher._target_=trap_module.Trap",
        "hydra.sweeper._target_=trap_module.Trap",
        "+hydra.job_logging.handlers.x={class:trap_module.Trap}",
        "+hydra.job_logging.handlers.x.stream=ext://trap_module.Trap",
        "hydra.searchpath=[pkg://trap_module]",
        "--config-path=pkg://trap_module",
        "--experimental-rerun=trap.pickle",
    ],
)
@pytest.mark.parametrize("mode", ["one", "sweep", "--cfg job"])
def test_on_the_command_line(here: Callable, trap: Path, argument: str, mode: str) -> None:
    flags = {"one": [], "sweep": ["-m"], "--cfg job": ["--cfg", "job"]}[mode]
    if mode == "--cfg job" and "hydra" not in argument and "--" not in argument:
        assert here(*flags, *argument.split(" ")).status in (0, 2)  # shown, not built
        assert not trap.exists()
        return
    if mode == "sweep" and "hydra" not in argument and "--" not in argument:
        assert here(*flags, argument).status in (1, 2)
        assert not trap.exists()
        return
    assert_refused(here, trap, *flags, *argument.split(" ")[-1:])


GLOBAL = "# @package _global_\nwhere: trap_module.Trap\nhydra:\n"
YAMLS = {
    "optimizer": "_target_: trap_module.Trap\n_partial_: true\nlr: 0.1\n",
    "callback": GLOBAL + "  callbacks: {x: {_target_: trap_module.Trap}}\n",
    "interpolated": GLOBAL + "  callbacks: {x: {_target_: '${where}'}}\n",
    "logging": GLOBAL + "  job_logging: {root: {handlers: [x]}, handlers: {x: {class: trap_module.Trap}}}\n",
    "factory": GLOBAL + "  hydra_logging: {root: {handlers: [x]}, handlers: {x: {'()': trap_module.Trap}}}\n",
}


@pytest.mark.parametrize("kind", YAMLS)
def test_in_a_folder_of_ones_own(here: Callable, trap: Path, kind: str) -> None:
    group = "optimizer" if kind == "optimizer" else "recipe"
    Path("mine", group).mkdir(parents=True)
    Path("mine", group, "odd.yaml").write_text(YAMLS[kind])
    assert_refused(here, trap, "--config-dir", "mine", f"{group}=odd", left=1)
    assert_refused(here, trap, "-cd", "mine", f"{group}=odd", "seed=3", left=1)


def test_in_a_primary_configuration_of_ones_own(here: Callable, trap: Path) -> None:
    Path("mine").mkdir()
    Path("mine/main.yaml").write_text("defaults: [train, _self_]\nhydra:\n  searchpath: ['pkg://trap_module']\n")
    assert_refused(here, trap, "-cd", "mine", "-cn", "main", left=1)
    Path("mine/main.yaml").write_text("defaults: [train, _self_]\nmodel:\n  _target_: trap_module.Trap\n")
    assert_refused(here, trap, "-cd", "mine", "-cn", "main", left=1)


@pytest.mark.parametrize("group", ["optimizer", "data", "model", "trainer"])
def test_in_the_configuration_of_a_run(here: Callable, trap: Path, finished: Path, group: str) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    Path("run/checkpoints/best.ckpt").write_bytes((finished / "checkpoints" / "best.ckpt").read_bytes())
    whole = (finished / "config.yaml").read_text()
    start = whole.index("_target_", whole.index(f"\n{group}:"))
    end = whole.index("\n", start)
    Path("run/config.yaml").write_text(f"{whole[:start]}_target_: trap_module.Trap{whole[end:]}")
    assert_refused(here, trap, "resume=run", left=1)
    here("run=run", program="evaluate")  # the checkpoint says what the network and the data are
    assert not trap.exists()
    assert "trap_module" not in sys.modules


def test_what_reads_well_and_is_no_class_is_refused() -> None:
    import torch

    check_target("torch.optim.SGD")
    check_target("lightning.pytorch.Trainer")
    check_class("torch.optim.SGD", torch.optim.SGD)
    for located in (torch.Tensor, torch.load, Path):
        with pytest.raises(ValueError, match="refused"):
            check_class("torch.optim.sgd.Tensor", located)
    for target in (
        "torch.optim",
        "cnnlab.cli.programs.train.run",
        "lightningx.A",
        "cnnlab..A",
        "${x}",
        3,
        None,
        "cnnlab.A.b",
    ):
        with pytest.raises(ValueError, match="refused"):
            check_target(target)
