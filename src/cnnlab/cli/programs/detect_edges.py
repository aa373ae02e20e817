"""The edge-detection job: a map and a picture of each photograph, any number of them."""

import os
import shlex
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from cnnlab.cli.configs import trusted
from cnnlab.cli.detectors import build_detector
from cnnlab.cli.interruption import interrupted_with
from cnnlab.edges.folder import Detected, detect_folder
from cnnlab.runs.record import RunRecord, recorded

LISTED = 20  # photographs without a map, on the screen; all are in summary.json


def run(config: DictConfig, folder: Path) -> int:
    """Leave <name>.png and <name>_edges.jpg of each photograph in `config.output`, by default in `folder`.

    Returns 1 if a photograph can't be read (the others are done), otherwise 0.
    """
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    output = folder if config.output is None else Path(str(config.output)).expanduser()
    detector = build_detector(config.detector, trusted(config))
    options = {name: config[name] for name in ("grey", "pictures", "overwrite", "device", "threads")}
    plain = OmegaConf.to_object(config.detector)
    record = RunRecord(folder, input=str(config.input), output=str(output), detector=plain)
    command = shlex.join([*(text for text in sys.argv if not text.startswith("output=")), f"output={output}"])
    words = f"interrupted; what is done stays, and to go on: {command}"
    with interrupted_with(words), recorded(record, folder):
        done = detect_folder(str(config.input), output, detector, **options)
        counts = {"written": len(done.made), "done_before": len(done.done_before), "broken": dict(done.broken)}
        record.finish("completed", **counts, left_out=dict(done.left_out), **done.settings)
    _tell(done)
    print(folder)
    return 1 if done.broken else 0


def _tell(done: Detected) -> None:
    before = f", {len(done.done_before)} done before" if done.done_before else ""
    print(f"edges of {len(done.made)} photograph{'' if len(done.made) == 1 else 's'} in {done.folder}{before}")
    if skipped := done.skipped:
        lines = [f"  {path}: {problem}" for path, problem in list(skipped.items())[:LISTED]]
        lines += [f"  and {len(skipped) - LISTED} more, in summary.json"] if len(skipped) > LISTED else []
        print("\n".join([f"cnnlab: {len(skipped)} skipped:", *lines]), file=sys.stderr)
