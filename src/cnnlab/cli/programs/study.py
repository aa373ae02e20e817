"""The study job: arms x conditions x paired seeds, trained together, compared seed by seed, as a page and a table."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError
from cnnlab._files import held, write_text
from cnnlab._targets import current_target
from cnnlab.cli.assemble import build_optimizer
from cnnlab.cli.jobs.invocation import STUDY, write_invocation
from cnnlab.runs.record import RunRecord, recorded
from cnnlab.studies.bench import Bench
from cnnlab.studies.page import Results, write_results
from cnnlab.studies.parts import missing, read_parts
from cnnlab.studies.plan import Group, Run, run_groups, search_groups
from cnnlab.studies.pool import Pool
from cnnlab.studies.rows import rows_of
from cnnlab.studies.spec import PLANNED, Study, read_study
from cnnlab.studies.statistics.rates import choose_rates
from cnnlab.training.fit import quiet_advice

PLAN = "plan.json"


def run(config: DictConfig, folder: Path) -> int:
    """Do the study in `folder`, or what is left of it. Returns the exit status: 1 if some runs failed."""
    study = read_study(config)
    quiet_advice()
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    again = (folder / STUDY).is_file()
    try:
        with held(folder):
            plan = _plan(config, study, folder)
            write_invocation(folder, [], STUDY)
            name = HydraConfig.get().runtime.choices.get("study")
            record = RunRecord(folder, again=again, study=name, seed=list(study.seeds))
            with recorded(record, folder):
                status = _study(config, study, plan, folder, record)
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    print(folder)
    return status


def _plan(config: DictConfig, study: Study, folder: Path) -> dict[str, Any]:
    """What is fixed before the first run: the configuration, how many runs train together, what the data are like.

    Everything that the study asks for is built once here, so that what can't work is refused. A plan that is there
    stays: parts of another machine or of other memory would be other groups. ValueError if it was for other runs.
    """
    asked = OmegaConf.to_container(config, resolve=True)
    asked = json.loads(json.dumps({name: asked[name] for name in PLANNED}))
    path = folder / PLAN
    if path.is_file():
        plan = json.loads(path.read_text())
        kept = _today(plan["asked"])
        other = [name for name in PLANNED if kept.get(name) != asked[name]]
        if other:
            raise UsageError(f"{folder} holds another study: it differs in {', '.join(other)}; start a new one")
        return plan
    bench = Bench(config, list(study.corruptions))
    runs = [Run(arm, condition, study.seeds[0], None) for condition in study.conditions for arm in study.arms]
    for one in runs:
        network = bench.network(one)
    build_optimizer(config, network)
    _check_replicas(config.replicas)
    largest = max(study.conditions, key=lambda one: one.train_size or float("inf"))
    at_once = bench.at_once(Run(study.arms[0], largest, study.seeds[0], None))
    plan = {
        "asked": asked,
        "at_once": at_once if config.replicas == "auto" else config.replicas,
        "variances": bench.variances,
        "corruptions": [list(one) for one in bench.corruptions],
        "data": bench.source.describe(),
    }
    write_text(path, json.dumps(plan, indent=1) + "\n")
    return plan


def _today(asked: dict[str, Any]) -> dict[str, Any]:
    """Classes of an earlier version under the names that they have now."""
    return {
        name: {**value, "_target_": current_target(value["_target_"])}
        if isinstance(value, dict) and "_target_" in value
        else value
        for name, value in asked.items()
    }


def _check_replicas(replicas: Any) -> None:
    if replicas != "auto" and (not isinstance(replicas, int) or replicas < 1):
        raise UsageError(f"replicas={replicas}: auto, or a number from 1 on")


def _study(config: DictConfig, study: Study, plan: dict[str, Any], folder: Path, record: RunRecord) -> int:
    parts = folder / "parts"
    values = OmegaConf.to_container(config, resolve=True)
    pool = Pool(values, [tuple(one) for one in plan["corruptions"]], parts, _workers(config))
    rates, searched = {}, []
    if study.rates:
        groups = search_groups(study.arms, study.conditions, study.rates, study.search_seeds, plan["at_once"])
        _train(pool, "learning rates", groups, parts)
        found = read_parts(groups, parts)
        searched = [{**one, "condition": one["plan"].condition} for one in found]
        rates = choose_rates(searched)
    groups = run_groups(study.arms, study.conditions, study.seeds, {k: v[0] for k, v in rates.items()}, plan["at_once"])
    interrupt = None
    try:
        _train(pool, "runs", groups, parts)
    except KeyboardInterrupt as caught:
        interrupt = caught  # what is there already can be looked at
    found = read_parts(groups, parts)
    if interrupt and not found:
        raise interrupt
    if not found:
        record.finish("failed", error=next(iter(pool.errors.values()), "no run was completed"))
        raise RuntimeError(f"no run was completed: {record.content['error']}")
    rows = rows_of(found, study, plan["variances"], config.threshold)
    failed = [(run, pool.errors.get(group.name, "not run")) for group in missing(groups, parts) for run in group.runs]
    record.add(runs=len(rows), failed=len(failed), device=_device(config), at_once=plan["at_once"])
    results = Results(study, rows, rates, failed, plan, values, record.content)
    metrics = write_results(results, folder)
    if interrupt:
        raise interrupt
    record.finish("failed" if failed else "completed", metrics=metrics)
    return 1 if failed else 0


def _train(pool: Pool, what: str, groups: Sequence[Group], parts: Path) -> None:
    read_parts(groups, parts)  # what doesn't fit is refused before hours of training, not behind them
    left = missing(groups, parts)
    done = sum(len(group.runs) for group in groups) - sum(len(group.runs) for group in left)
    if done:
        print(f"{what}: {done} of {sum(len(group.runs) for group in groups)} runs were trained before", flush=True)
    pool.train(what, left, done)


def _workers(config: DictConfig) -> int:
    if config.workers != "auto":
        if not isinstance(config.workers, int) or config.workers < 1:
            raise UsageError(f"workers={config.workers}: auto, or a number from 1 on")
        return config.workers
    if torch.cuda.is_available() and config.trainer.accelerator != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device(config: DictConfig) -> str:
    if torch.cuda.is_available() and config.trainer.accelerator != "cpu":
        return torch.cuda.get_device_name()
    return f"cpu, {_workers(config)} processes"
