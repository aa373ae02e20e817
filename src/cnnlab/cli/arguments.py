"""Options as a shell gives them, in the grammar of Hydra's: brackets, commas, umlauts mean something to it."""

import re
import typing
from collections.abc import Sequence
from pathlib import Path

from cnnlab.cli.options import OPTIONS

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "data.root")  # further options that take a path
SIMPLE = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+-]*")
OWN_MEANING = ("true", "false", "null", "nan", "inf")
LISTED = re.compile(r"'[^']*'|\"[^\"]*\"|[^,]+")
CALL = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")


def for_hydra(program: str, arguments: Sequence[str]) -> list[str]:
    """The arguments, with quotes around paths that Hydra could not read as they are.

    >>> for_hydra("detect_edges", ["input=My Photo (1).jpg", "output=edges", "grey=true"])
    ["input='My Photo (1).jpg'", 'output=edges', 'grey=true']
    """
    several = any(text in ("-m", "--multirun") for text in arguments)
    return [_for_hydra(program, text, several) for text in arguments]


def _for_hydra(program: str, argument: str, several: bool) -> str:
    name, _, value = argument.partition("=")
    wanted = typing.get_type_hints(OPTIONS[program]).get(name.lstrip("+"))
    takes_path = Path in (wanted, *typing.get_args(wanted)) or name.lstrip("+") in FOLDERS
    if not takes_path or not value or value == "null" or "${" in value or value[0] in "'\"":
        return argument
    if Path(value).exists() or not (several or list[Path] in typing.get_args(wanted)):
        return f"{name}={quoted(value)}"
    if several and CALL.fullmatch(value):
        return argument
    if value[0] == "[" and value[-1] == "]":
        return f"{name}=[{','.join(_parts(value[1:-1]))}]"
    return f"{name}={','.join(_parts(value))}" if several else f"{name}={quoted(value)}"


def _parts(value: str) -> list[str]:
    return [text if text[0] in "'\"" else quoted(text.strip()) for text in LISTED.findall(value)]


def quoted(text: str) -> str:
    r"""Text as a value of an option of Hydra's: in quotes, unless it is nothing but letters, digits and /._+-.

    >>> print(quoted("edges/a.jpg"), quoted("a, b.jpg"), quoted("it's.jpg"))
    edges/a.jpg 'a, b.jpg' 'it\'s.jpg'
    """
    if SIMPLE.fullmatch(text) and text.lower() not in OWN_MEANING:
        return text
    doubled = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{doubled}'"
