"""The small language of banks: `sobel(size=5) + laplacian[0]`. Parsed, never evaluated; imports no torch."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from cnnlab._choices import UsageError
from cnnlab.filters.families import check_parameters, find

Key = int | str | slice


@dataclass(frozen=True)
class Call:
    """One family with its keyword parameters."""

    family: str
    parameters: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Pick:
    """Some kernels of a bank, by index, slice or name."""

    of: "Node"
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Sum:
    """Two banks, one after the other."""

    left: "Node"
    right: "Node"


Node = Call | Pick | Sum


def parse(text: str) -> Node:
    """The tree of an expression such as "sobel", "gabor(size=7) + laplacian" or "sobel[dx]".

    Parameters are literals given by keyword; a bare word stands for a string (`normalise=l2`).
    A subscript holds indices, slices or names: `[0]`, `[0:2]`, `[dx]`, `[dx, dy]`, `["t22.5"]`.
    UsageError for anything else, for an unknown family or parameter (with the nearest match).
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"a bank is named by an expression such as 'sobel + laplacian', got {text!r}")
    try:
        return _node(ast.parse(" ".join(text.split()), mode="eval").body)
    except SyntaxError as error:
        raise UsageError(f"cannot read the bank {text!r}: {error.msg} at column {error.offset}") from None
    except (RecursionError, MemoryError):
        raise UsageError(f"the bank expression of {len(text)} characters is too deep to read") from None


def check_expression(text: str) -> None:
    """UsageError if `text` names no bank: syntax, families and parameter names, not parameter values."""
    parse(text)


def needs_patches(text: str) -> bool:
    """True if a family of the expression is learned from image patches."""
    return any(find(call.family).needs_patches for call in calls(parse(text)))


def patch_size(text: str) -> int | None:
    """The largest `size` that the expression asks of its learned families; None if it leaves that open."""
    learned = [call for call in calls(parse(text)) if find(call.family).needs_patches]
    sizes = [size for call in learned if type(size := call.parameters.get("size")) is int]
    return max(sizes, default=None)


def calls(node: Node) -> Iterator[Call]:
    """The families of a tree, from left to right."""
    if isinstance(node, Call):
        yield node
    elif isinstance(node, Pick):
        yield from calls(node.of)
    else:
        yield from calls(node.left)
        yield from calls(node.right)


def _node(tree: ast.expr) -> Node:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        return Sum(_node(tree.left), _node(tree.right))
    if isinstance(tree, ast.Subscript):
        return Pick(_node(tree.value), _keys(tree.slice))
    if isinstance(tree, ast.Name):
        find(tree.id)
        return Call(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _call(tree.func.id, tree)
    raise UsageError(
        f"cannot read {ast.unparse(tree)!r} as a bank; valid: a family, family(parameter=value), "
        "bank + bank, bank[index or name]"
    )


def _call(name: str, tree: ast.Call) -> Call:
    find(name)
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise UsageError(f"{name}: parameters are given by name, as in {name}(parameter=value)")
    names = [keyword.arg for keyword in tree.keywords if keyword.arg is not None]
    check_parameters(name, names)
    if len(set(names)) != len(names):
        raise UsageError(f"{name}: a parameter is given twice in {', '.join(names)}")
    values = [_literal(f"{name}: {keyword.arg}", keyword.value) for keyword in tree.keywords]
    return Call(name, dict(zip(names, values, strict=True)))


def _literal(what: str, tree: ast.expr) -> object:
    if isinstance(tree, ast.Name):
        return tree.id
    try:
        return ast.literal_eval(tree)
    except (ValueError, TypeError):
        raise UsageError(f"{what} must be a literal such as 5, 1.5, (1, 2) or l2, got {ast.unparse(tree)!r}") from None


def _keys(tree: ast.expr) -> tuple[Key, ...]:
    return tuple(_key(item) for item in (tree.elts if isinstance(tree, ast.Tuple) else [tree]))


def _key(tree: ast.expr) -> Key:
    if isinstance(tree, ast.Slice):
        bounds = [None if bound is None else _literal("slice", bound) for bound in (tree.lower, tree.upper, tree.step)]
        if all(bound is None or type(bound) is int for bound in bounds):
            return slice(*bounds)
    else:
        key = _literal("subscript", tree)
        if isinstance(key, int | str) and not isinstance(key, bool):
            return key
    raise UsageError(f"a subscript holds indices, slices or names of kernels, got {ast.unparse(tree)!r}")
