"""Code of one's own runs where the command line trusts it, and never because a file of configurations says so."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NETS = """
from pathlib import Path
from torch import nn

Path("imported").touch()
def net(num_classes=10):
    first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return first.append(nn.Linear(4, num_classes))
"""
OWN = ("model=module", "model.factory=my_own_nets:net", "trainer.accelerator=cpu", "report=false", "figures=false")


@pytest.fixture(autouse=True)
def nets() -> Iterator[None]:
    Path("my_own_nets.py").write_text(NETS)
    yield
    sys.modules.pop("my_own_nets", None)


def test_a_network_of_ones_own_trains_where_it_is_trusted(here: Callable) -> None:
    refused = here(*OWN, "trainer.max_epochs=1", "hydra.run.dir=run")
    assert refused.status == 2
    assert "not trusted; if you trust it, add trust=my_own_nets" in refused.err
    assert not Path("imported").exists()
    assert not Path("run").exists()
    trained = here(*OWN, "trainer.max_epochs=1", "hydra.run.dir=run", "trust=my_own_nets")
    assert trained.status == 0, trained.err
    assert "my_own_nets:net" in Path("run/config.yaml").read_text()
    assert "trust" not in Path("run/config.yaml").read_text()


def test_the_folder_of_a_run_trusts_nothing_when_it_goes_on(here: Callable) -> None:
    assert here(*OWN, "trainer.max_epochs=1", "hydra.run.dir=run", "trust=[my_own_nets]").status == 0
    summary = json.loads(Path("run/summary.json").read_text())
    Path("run/summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    with Path("run/config.yaml").open("a") as file:
        file.write("trust: [my_own_nets]\n")
    Path("imported").unlink()
    sys.modules.pop("my_own_nets")
    refused = here("resume=run")
    assert refused.status == 2
    assert "not trusted" in refused.err
    assert not Path("imported").exists()
    assert here("resume=run", "trust=my_own_nets").status == 0


def test_a_folder_of_configurations_trusts_nothing(here: Callable) -> None:
    Path("mine/data").mkdir(parents=True)
    Path("mine/data/odd.yaml").write_text(
        "# @package _global_\ndefaults: [/data/digits@data, _self_]\ntrust: [my_own_nets]\n"
    )
    outcome = here("--config-dir", "mine", "data=odd", *OWN)
    assert outcome.status == 2
    assert "give it on the command line" in outcome.err
    assert not Path("imported").exists()


def test_what_is_kept_of_a_run_stands_for_itself(here: Callable, finished: Path) -> None:
    """`${new_folder:...}` would make that folder, `${oc.env:...}` read a secret."""
    Path("run").mkdir()
    Path("run/config.yaml").write_text((finished / "config.yaml").read_text() + "x: ${new_folder:made}\n")
    outcome = here("resume=run")
    assert outcome.status == 2
    assert "refused" in outcome.err
    assert not Path("made").exists()
