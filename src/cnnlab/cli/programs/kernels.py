"""The kernel job: what the kernels of a layer are like, how they changed, and what they respond to."""

import os
from pathlib import Path

from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab.cli.assemble import build_network
from cnnlab.cli.configs import trusted
from cnnlab.kernels.look import look_at_kernels
from cnnlab.kernels.sources import layer_of, layer_of_file
from cnnlab.kernels.subject import Subject, example, subject_of_network, subject_of_run
from cnnlab.runs.run import Run


def run(config: DictConfig, folder: Path) -> int:
    """Leave kernels.csv, summary.json, figures/ and, for a run, the animation in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    given = [name for name in ("run", "file", "model") if config.get(name) is not None]
    if len(given) != 1:
        raise UsageError(f"give one of run=FOLDER, model=NAME, file=PATH; got {', '.join(given) or 'none'}")
    layer = (
        layer_of_file(Path(config.file), config.layer)
        if given == ["file"]
        else layer_of(subject_of(config), config.layer)
    )
    look_at_kernels(
        layer,
        folder,
        units=config.units,
        steps=config.steps,
        attribution=list(config.attribution or ()),
        deeper=config.layer is None,
        seed=config.seed,
    )
    print(folder)
    return 0


def subject_of(config: DictConfig) -> Subject:
    """The network of a run, or that of a model on an example, with the images that were named."""
    image, images = (None if config[name] is None else Path(config[name]) for name in ("image", "images"))
    seed, inputs, trust = config.seed, config.inputs, trusted(config)
    if config.run is not None:
        run = Run.open(config.run, trust)
        return subject_of_run(run, str(config.checkpoint), image=image, images=images, inputs=inputs, seed=seed)
    sizes = config.size, config.channels, config.classes
    shown = example(*sizes, image=image, images=images, inputs=inputs, seed=seed)
    network = build_network(config.model, shown, seed, trust).network
    name = str(config.model.get("name") or config.model.get("factory") or config.model._target_.split(".")[-1])
    return subject_of_network(network, shown, name, trained=bool(config.model.get("weights")))
