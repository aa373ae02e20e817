"""Files are whole or not there, whoever writes beside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnnlab._files import part_of, whole_file, write_bytes


def interrupted(path: Path, error: BaseException) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise error


def test_a_file_is_there_whole_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with whole_file(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_nothing_and_an_oserror_names_the_file(tmp_path: Path) -> None:
    for error in (KeyError("a bug"), OSError("disk"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised:
            interrupted(tmp_path / "a.txt", error)
        assert not list(tmp_path.iterdir())
        if isinstance(error, OSError):
            assert (raised.value.filename, raised.value.strerror) == (str(tmp_path / "a.txt"), "disk")


def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("mine")
    part_of(tmp_path / "a.txt").symlink_to(precious)
    write_bytes(tmp_path / "a.txt", b"new")
    assert precious.read_text() == "mine"
    assert not (tmp_path / "a.txt").is_symlink()


def test_names_of_255_bytes_are_written_side_by_side(tmp_path: Path) -> None:
    paths = [tmp_path / f"{letter * 251}.png" for letter in "abcdefgh"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: write_bytes(path, path.name.encode() * 1000), paths))
    assert sorted(tmp_path.iterdir()) == paths
    assert all(path.read_bytes() == path.name.encode() * 1000 for path in paths)
