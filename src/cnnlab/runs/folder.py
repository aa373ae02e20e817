"""Run folders: found, and what was asked in them."""

from pathlib import Path

import yaml

from cnnlab._choices import UsageError, nearest

CONFIG, SUMMARY = "config.yaml", "summary.json"


def is_run(folder: Path) -> bool:
    """A run that a program made has its configuration from the start, one made in Python its summary."""
    return (folder / CONFIG).is_file() or (folder / SUMMARY).is_file()


def find_run(given: object) -> Path:
    """The folder of a run. Raises UsageError, naming runs that are near, if it is none."""
    folder = Path(str(given)).expanduser()
    if is_run(folder):
        return folder
    if not folder.exists():
        runs = [path.name for path in _runs_in(folder.parent)]
        there = f"; runs in {folder.parent}: {', '.join(runs[-5:])}" if runs else ""
        raise UsageError(f"there is no folder {folder}{nearest(folder.name, runs)}{there}")
    inside = _runs_in(folder)
    there = f"; it holds runs, such as {inside[-1]}" if inside else ""
    if not inside:
        usual = _runs_in(Path("outputs/train"))
        there = f"; there are {', '.join(str(path) for path in usual[-3:])}" if usual else ""
    raise UsageError(f"{folder} is not the folder of a run: it has no {CONFIG}{there}")


def _runs_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if is_run(path)) if folder.is_dir() else []


def read_config(folder: Path) -> dict[str, object]:
    """What a program was asked, plain. Raises UsageError if it is no configuration of a training (any more)."""
    try:
        config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    except Exception as error:
        raise UsageError(f"{folder / CONFIG} can't be read: {' '.join(str(error).split())}") from error
    lacking = sorted({"model", "data", "seed"} - set(config if isinstance(config, dict) else ()))
    if lacking:
        raise UsageError(f"{folder / CONFIG} is no configuration of a training: it lacks {', '.join(lacking)}")
    return dict(config)
