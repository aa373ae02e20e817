"""metrics.csv and the plain lines on the screen: what Lightning logs, a row at a time."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from cnnlab._files import write_text

COLUMNS = ["epoch", "step"]
Row = dict[str, float | int | str]


class RowLogger(Logger):
    """Puts the validation's and the training's part of an epoch into one row. Steps and tests have their own rows."""

    def __init__(self) -> None:
        super().__init__()
        self._validated: Row = {}

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, *args: object, **kwargs: object) -> None:
        """Nothing: the configuration lies beside the metrics."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row: Row = {"epoch": int(metrics.get("epoch", 0)), "step": int(step or 0)}
        row |= {name: float(value) for name, value in metrics.items() if name != "epoch"}
        if any(name.startswith("val/") for name in row):
            self._validated = row  # the training's part of this epoch follows
            return
        if any(name.startswith("train/") for name in row):
            row, self._validated = self._validated | row, {}
        self.write(row)

    def write(self, row: Row) -> None:
        raise AssertionError("a row logger writes its rows")


class MetricsCsv(RowLogger):
    """Appends to `path`. Columns that turn up later are added to the header; nothing is ever wiped.

    `keep_until` is the step that a resumed run goes on from: rows behind it and tests are redone, so they are taken
    out first, as is a last line that was only half written.
    """

    def __init__(self, path: Path, keep_until: int | None = None) -> None:
        super().__init__()
        self.path = path
        rows = read_metrics(path)
        if keep_until is not None:
            rows = [row for row in rows if float(row["step"]) <= keep_until and not any(map(_is_of_the_end, row))]
        self._columns = list(dict.fromkeys(COLUMNS + [name for row in rows for name in row]))
        if rows or keep_until is not None:
            self._rewrite(rows)

    @rank_zero_only
    def write(self, row: Row) -> None:
        new = [name for name in row if name not in self._columns]
        if new or not self.path.exists():
            self._columns += new
            self._rewrite(read_metrics(self.path))
        with self.path.open("a", newline="") as file:
            file.write(_lines([row], self._columns))

    @rank_zero_only
    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, ",".join(self._columns) + "\n" + _lines(rows, self._columns))


def _is_of_the_end(name: str) -> bool:
    return name.startswith(("test/", "benchmark/"))


def _lines(rows: Sequence[Mapping[str, object]], columns: list[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows of a metrics.csv as text, empty cells left out; [] where there is no file.

    A last line without its end, as a killed process leaves it, is no row.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")  # a damaged file has rows too
    whole = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(io.StringIO(whole))
    return [{name: cell for name, cell in row.items() if name and cell} for row in rows]


def last_epoch(rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """The numbers of the newest epoch. From the file: a run killed after its last step has them too."""
    epochs = [row for row in rows if "train/loss" in row]
    return {name: float(cell) for name, cell in epochs[-1].items() if name not in COLUMNS} if epochs else {}


class EpochLines(RowLogger):
    """One plain line an epoch, for logs and terminals without a cursor."""

    def __init__(self, epochs: int | None) -> None:
        super().__init__()
        self._epochs = epochs

    @rank_zero_only
    def write(self, row: Row) -> None:
        if "train/loss" not in row:
            return
        of = f"/{self._epochs}" if self._epochs and self._epochs > 0 else ""
        parts = [f"epoch {int(row['epoch']) + 1}{of}"]
        for split in ("train", "val"):
            measured = [name for name in ("loss", "accuracy") if f"{split}/{name}" in row]
            if measured:
                parts.append(" ".join([split, *(f"{name} {row[f'{split}/{name}']:.4f}" for name in measured)]))
        parts.append(f"{row['images_per_second']:,.0f} images/s")
        print("  ".join(parts), flush=True)
