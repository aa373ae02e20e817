"""Files of torch.save that are damaged, huge or something else are refused in words, before they take any memory."""

import argparse
import io
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cnnlab import _torch_files
from cnnlab._choices import UsageError
from cnnlab._torch_files import read_torch_file, tensors_in

WEIGHTS = {"conv1.weight": torch.arange(8 * 3 * 7 * 7.0).view(8, 3, 7, 7), "epoch": 3}
LEGACY = {"_use_new_zipfile_serialization": False}


def saved(content: object, path: Path, **how: bool) -> Path:
    torch.save(content, path, **how)
    return path


def compressed(content: object, path: Path) -> Path:
    """The same file, its entries deflated as no torch.save writes them (and torch.load reads them)."""
    whole = io.BytesIO()
    torch.save(content, whole)
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in stored.infolist():
            archive.writestr(entry.filename, stored.read(entry))
    return path


@pytest.mark.parametrize("how", [{}, LEGACY], ids=["zip", "before 1.6"])
def test_what_was_saved_is_read(tmp_path: Path, how: dict[str, bool]) -> None:
    content = read_torch_file(saved(WEIGHTS, tmp_path / "a.pt", **how))
    assert isinstance(content, dict)
    assert torch.equal(content["conv1.weight"], WEIGHTS["conv1.weight"])
    assert content["epoch"] == 3


def test_a_flipped_bit_is_never_read_as_other_weights(tmp_path: Path) -> None:
    path = saved(WEIGHTS, tmp_path / "a.pt")
    whole, draw, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            content = read_torch_file(path)
        except UsageError:
            refused += 1
            continue
        assert isinstance(content, dict)
        assert torch.equal(content["conv1.weight"], WEIGHTS["conv1.weight"]), "a bit that nobody reads"
        assert content["epoch"] == 3
    assert refused > 200


@pytest.mark.parametrize("part", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("how", [{}, LEGACY], ids=["zip", "before 1.6"])
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, part: float, how: dict[str, bool]) -> None:
    path = saved(WEIGHTS, tmp_path / "a.pt", **how)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(UsageError, match=r"a\.pt is cut off or damaged"):
        read_torch_file(path)


class Evil:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return (getattr, ("\x1b[31m", "x"))


def script(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"")
        archive.writestr("a/constants.pkl", b"")


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("hello"), "is not a file that torch.save wrote"),
    "nothing": (lambda path: path.touch(), "is not a file that torch.save wrote"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(WEIGHTS)), "is not a file that torch.save wrote"),
    "another zip": (lambda path: zipfile.ZipFile(path, "w").close(), "is not a file that torch.save wrote"),
    "a script": (script, "is a TorchScript archive; cnnlab reads tensors only"),
    "arguments": (
        lambda path: torch.save({"model": WEIGHTS, "args": argparse.Namespace(lr=1)}, path),
        "holds argparse.Namespace objects; cnnlab reads tensors only; save the state_dict alone: torch.save(",
    ),
    "a module": (lambda path: torch.save(nn.Sequential(nn.Conv2d(1, 1, 3)), path), "objects; cnnlab reads tensors"),
    "an old module": (lambda path: torch.save(nn.Conv2d(1, 1, 3), path, **LEGACY), "objects; cnnlab reads tensors"),
    "code": (lambda path: torch.save(Evil(), path), "getattr objects"),
    "no file": (lambda path: None, "there is no file"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_kind_is_one_line_without_terminal_codes(tmp_path: Path, other: str) -> None:
    write, words = OTHERS[other]
    write(tmp_path / "a.pt")
    with pytest.raises(UsageError) as refused:
        read_torch_file(tmp_path / "a.pt")
    message = str(refused.value)
    assert words in message
    assert "a.pt" in message
    assert message.isprintable()


def test_a_small_file_that_unpacks_to_far_more_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = compressed({"a.weight": torch.zeros(64, 64, 9, 9)}, tmp_path / "a.pt")
    assert isinstance(read_torch_file(path), dict), "a little more is fine"
    monkeypatch.setattr(_torch_files, "MOST_BYTES", 2**20)
    monkeypatch.setattr(torch, "load", None)
    assert path.stat().st_size < 2**15
    with pytest.raises(UsageError, match=r"a\.pt unpacks to far more bytes than it has"):
        read_torch_file(path)


@pytest.mark.parametrize("shape", [(10**6, 10**6, 3, 3), (2**15, 2**14, 1, 1)])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_tensor_of_one_number_with_a_huge_shape_is_refused(
    tmp_path: Path, shape: tuple[int, ...], sparse: bool
) -> None:
    huge = torch.zeros(1).expand(shape)
    if sparse:
        huge = torch.sparse_coo_tensor(
            torch.zeros(4, 1, dtype=torch.int64), torch.ones(1), shape, check_invariants=False
        )
    path = saved({"state_dict": {"\x1b[31ma.weight": huge}}, tmp_path / "a.pt")
    assert path.stat().st_size < 2**12
    with pytest.raises(UsageError) as refused:
        read_torch_file(path)
    assert f"state_dict.\\x1b[31ma.weight {'x'.join(map(str, shape))} has more numbers" in str(refused.value)


def test_a_tensor_that_claims_more_than_the_file_holds_is_not_read(tmp_path: Path) -> None:
    stored, path = io.BytesIO(), tmp_path / "a.pt"
    torch.save(torch.zeros(200), stored)
    with zipfile.ZipFile(stored) as whole, zipfile.ZipFile(path, "w") as archive:
        for entry in whole.infolist():
            content = whole.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = content.replace(b"K\xc8", b"M\xff\xff")  # 200 numbers are 65535
            archive.writestr(entry.filename, content)
    with pytest.raises(UsageError, match="is cut off or damaged"):
        read_torch_file(path)


def test_tensors_are_found_in_nested_content_and_no_circle_catches() -> None:
    first, second = torch.zeros(1), torch.ones(1)
    content: dict[object, object] = {"a": {"b": first}, 3: [None, second], "text": "x"}
    content["itself"] = content
    found: list[tuple[tuple[str, ...], Tensor]] = list(tensors_in(content))
    assert [keys for keys, _ in found] == [("a", "b"), ("3", "1")]
    assert found[0][1] is first
