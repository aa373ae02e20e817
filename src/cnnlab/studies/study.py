"""A study: arms x conditions x paired seeds, trained together, compared seed by seed, as a page and a table."""

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch

from cnnlab._choices import UsageError
from cnnlab._files import held, write_text
from cnnlab._parallel import cores
from cnnlab.runs.record import RunRecord, recorded
from cnnlab.studies.bench import Bench
from cnnlab.studies.page import write_results
from cnnlab.studies.plan import Group, Plan, Run, missing, read_parts, run_groups, search_groups
from cnnlab.studies.pool import Pool
from cnnlab.studies.records import make_optimizer, make_schedule
from cnnlab.studies.results import StudyResult
from cnnlab.studies.rows import rows_of
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.rates import Rates, choose_rates
from cnnlab.training.fit import quiet_advice
from cnnlab.training.recipe import try_out

Count = int | Literal["auto"]


class Study(StudyDesign):
    """Ways to start and to train a first layer, compared over paired seeds.

    For one seed all arms share the split, the order of the images, the augmentation and the start of all later layers,
    so that the difference of two arms is that of their first layers.

    Args:
        arms: What is compared, each as `start/control@mode`: "kaiming", "jet", "jet/permuted", "jet@frozen",
            "jet@unfrozen:3" (unfrozen at epoch 3), or any filter bank, "sobel + laplacian". See `start` and `control`.
        reference: The arm that every other one is compared with.
        filters: Of the first layer, on each row of the channel mix: grey images have one row, colour images three.
        kernel_size: Side of the first layer's kernels, in pixels.
        match: What the filters of all arms agree in: "norm", or "response", their standard deviation on training
            patches.
        seeds: How many, from 0 on; or a list.
        train_sizes: Numbers of training images, or "all". Each is a condition.
        epochs: A number; a list, each one a condition; or either by train size, as in {50: 100, "all": 20}.
        learning_rates: None for that of the optimizer; a list is searched for every arm alike.
        search_seeds: Seeds of that search, none of which counts afterwards; 0: each learning rate is a condition.
        curve_points: Validations on the way, spread over log(step).
        threshold: Steps are counted up to this fraction of the reference's mean validation accuracy at the end.
        corruptions: Of test images: names, or "all". `severities` are from 1 to 5, `corruption_images` how many images.
        network: Arguments of `SmallCNN`, such as {"widths": [16, 32]}; its first layer is that of the arms.
        data: What `ImageData(...).recipe()` gives; by default the digits.
        recipe: {"optimizer": ..., "schedule": ...}, each {"target": "torch.optim.SGD", "arguments": {"lr": 0.1}};
            "label_smoothing", and "trainer", arguments of lightning.pytorch.Trainer such as {"accelerator": "cpu"}.
        name, question: Titles of the page.
        hypotheses: Written down before: {"text": ..., "claims": [{"arm", "control", "quantity", "sizes", "expect",
            "within"}]}, of which expect is "better", "worse" or "same", no difference larger than `within`.
        relevant: Points of accuracy that matter.

    Raises:
        UsageError: For whatever is invalid, with what is valid, before anything is trained.

    >>> study = Study(arms=("kaiming", "jet", "jet/permuted"), seeds=8, train_sizes=(50, 300), epochs=40)
    >>> study.run("outputs/study/jet").page  # doctest: +SKIP
    """

    def run(
        self,
        folder: str | Path,
        *,
        workers: Count = "auto",
        replicas: Count = "auto",
        trust: Collection[str] = (),
    ) -> StudyResult:
        """Do the study in `folder`, or what is left of it: a study that was interrupted goes on with the same call.

        Args:
            folder: Where parts, study.csv, study.html and figures are left.
            workers: Processes; "auto": one for each core on a CPU, one on a GPU.
            replicas: Networks trained together; "auto": as many as fit into memory.
            trust: Packages that data of one's own may come from (see `ImageData`).

        Raises:
            UsageError: For what does not fit, before the first run; for a folder of another study.
            KeyboardInterrupt: After the page of what is there was written.
        """
        folder, workers = Path(folder), _workers(self, workers)
        _check_count("replicas", replicas)
        quiet_advice()
        folder.mkdir(parents=True, exist_ok=True)
        again = (folder / "plan.json").is_file()
        with held(folder):
            plan = _read_plan(self, folder) if again else _new_plan(self, folder, replicas, trust)
            record = RunRecord(folder, again=again, study=self.name or None, seed=list(self.all_seeds))
            with recorded(record, folder):
                pool = Pool(self, plan.corruptions, folder / "parts", workers, trust)
                return _run(self, plan, pool, folder, record)


def _check_count(name: str, count: Count) -> None:
    if count != "auto" and (not isinstance(count, int) or count < 1):
        raise UsageError(f"{name}={count}: auto, or a number from 1 on")


def _workers(study: StudyDesign, workers: Count) -> int:
    _check_count("workers", workers)
    if workers != "auto":
        return workers
    return 1 if study.on_gpu else cores()


def _read_plan(study: StudyDesign, folder: Path) -> Plan:
    """UsageError if it was for other runs."""
    path = folder / "plan.json"
    try:
        plan = json.loads(path.read_text())
        kept, measured = StudyDesign.from_json(plan.pop("asked")), Plan(**plan)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} can't be read ({error}); start a new study") from error
    if different := study.differences(kept):
        raise UsageError(f"{folder} holds another study: it differs in {', '.join(different)}; start a new one")
    return measured


def _new_plan(study: StudyDesign, folder: Path, replicas: Count, trust: Collection[str]) -> Plan:
    """Everything that the study asks for is built once, so that what can't work is refused."""
    bench = Bench(study, study.corrupted, trust)
    for condition in study.conditions:
        for arm in study.parsed_arms:
            network = bench.network(Run(arm, condition, study.all_seeds[0], None))
    try_out(make_optimizer(study.full_recipe), make_schedule(study.full_recipe), network)
    largest = max(study.conditions, key=lambda condition: condition.train_size or float("inf"))
    at_once = bench.at_once(Run(study.parsed_arms[0], largest, study.all_seeds[0], None))
    plan = Plan(
        at_once if replicas == "auto" else replicas, bench.variances, bench.corruptions, bench.source.describe()
    )
    content = {"asked": study.to_json(), **asdict(plan)}
    write_text(folder / "plan.json", json.dumps(content, indent=1) + "\n")
    return plan


def _run(study: StudyDesign, plan: Plan, pool: Pool, folder: Path, record: RunRecord) -> StudyResult:
    rates = _search(study, plan, pool)
    chosen = {key: rate for key, (rate, _) in rates.items()}
    groups = run_groups(study.parsed_arms, study.conditions, study.all_seeds, chosen, plan.at_once)
    interrupt = None
    try:
        _train(pool, "runs", groups)
    except KeyboardInterrupt as caught:
        interrupt = caught  # what is there already can be looked at
    parts = read_parts(groups, pool.folder)
    if not parts:
        if interrupt:
            raise interrupt
        raise RuntimeError(f"no run was completed: {next(iter(pool.errors.values()), '')}")
    rows = rows_of(parts, study.conditions, study.reference, study.threshold, plan.variances)
    left = missing(groups, pool.folder)
    failed = [(run, pool.errors.get(group.name, "not run")) for group in left for run in group.runs]
    record.add(runs=len(rows), failed=len(failed), device=_device(study, pool.workers), at_once=plan.at_once)
    result = StudyResult(study, folder, rows, rates, failed, plan, record.content)
    metrics = write_results(result)
    if interrupt:
        raise interrupt
    record.finish("failed" if failed else "completed", metrics=metrics)
    return result


def _search(study: StudyDesign, plan: Plan, pool: Pool) -> Rates:
    """(arm, condition) -> its learning rate, and the validation accuracy at it; {} without a search."""
    if not study.searched_rates:
        return {}
    groups = search_groups(study.parsed_arms, study.conditions, study.searched_rates, study.search_seeds, plan.at_once)
    _train(pool, "learning rates", groups)
    return choose_rates(read_parts(groups, pool.folder))


def _train(pool: Pool, stage: str, groups: list[Group]) -> None:
    read_parts(groups, pool.folder)  # what doesn't fit is refused before hours of training, not after them
    left = missing(groups, pool.folder)
    total = sum(len(group.runs) for group in groups)
    done = total - sum(len(group.runs) for group in left)
    if done:
        print(f"{stage}: {done} of {total} runs were trained before", flush=True)
    pool.train(stage, left)


def _device(study: StudyDesign, workers: int) -> str:
    return torch.cuda.get_device_name() if study.on_gpu else f"cpu, {workers} processes"
