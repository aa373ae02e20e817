from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.runs.metrics import EpochLines, MetricsCsv, read_metrics


def epoch(logger: MetricsCsv | EpochLines, number: int, step: int) -> None:
    logger.log_metrics({"val/loss": 0.5, "val/accuracy": 0.9, "epoch": number}, step)
    row = {
        "train/loss": 1 / (number + 1),
        "train/accuracy": 0.8,
        "images_per_second": 1234.0,
        "epoch": number,
    }
    logger.log_metrics(row, step)


def test_validation_and_training_of_an_epoch_share_a_row(tmp_path: Path) -> None:
    csv = MetricsCsv(tmp_path / "metrics.csv")
    epoch(csv, 0, 9)
    (row,) = read_metrics(csv.path)
    assert row["epoch"] == "0"
    assert float(row["val/accuracy"]) == 0.9
    assert float(row["train/loss"]) == 1.0


def test_a_column_that_turns_up_later_keeps_the_rows_before(tmp_path: Path) -> None:
    csv = MetricsCsv(tmp_path / "metrics.csv")
    epoch(csv, 0, 9)
    csv.log_metrics({"test/accuracy": 0.7, "epoch": 1}, 9)
    first, second = read_metrics(csv.path)
    assert float(first["train/accuracy"]) == 0.8
    assert "test/accuracy" not in first
    assert float(second["test/accuracy"]) == 0.7


def test_a_new_logger_wipes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    epoch(MetricsCsv(path), 0, 9)
    epoch(MetricsCsv(path), 1, 19)
    assert [row["epoch"] for row in read_metrics(path)] == ["0", "1"]


@settings(max_examples=30, deadline=None)
@given(epochs=st.integers(1, 6), done=st.integers(0, 6), torn=st.integers(0, 12))
def test_a_resumed_file_equals_an_uninterrupted_one(tmp_path_factory, epochs: int, done: int, torn: int) -> None:
    done = min(done, epochs)
    folder = tmp_path_factory.mktemp("metrics")
    whole, resumed = MetricsCsv(folder / "whole.csv"), MetricsCsv(folder / "resumed.csv")
    for number in range(epochs):
        epoch(whole, number, 10 * number + 9)
        epoch(resumed, number, 10 * number + 9)
    with resumed.path.open("a") as file:
        file.write("7,79,0.123456789"[:torn])  # what a killed process leaves
    again = MetricsCsv(resumed.path, keep_until=10 * done)
    for number in range(done, epochs):
        epoch(again, number, 10 * number + 9)
    assert again.path.read_text() == whole.path.read_text()


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "none.csv") == []


def test_an_epoch_is_one_plain_line(capsys) -> None:
    lines = EpochLines(epochs=3)
    epoch(lines, 1, 19)
    lines.log_metrics({"step/loss": 0.1, "epoch": 2}, 25)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.startswith("epoch 2/3  train loss 0.5000 accuracy 0.8000  val loss 0.5000 accuracy 0.9000")
