"""One tensor operation as a rule sees it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeAlias

from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.receptive._tracer.geometry import Geometry, Unbounded
from cnnlab.receptive._tracer.layout import plain_dims


class NotJudgedError(UsageError):
    """An operation whose positions can't be told; the message names it and its layer."""


@dataclass(frozen=True)
class Seen:
    """A tensor argument: its shape, and its geometry, or None for a constant that sees nothing of the image.

    origin: the pooling whose maxima's places this is, and nothing else.
    """

    shape: tuple[int, ...]
    geometry: Geometry | None
    is_mask: bool = False
    origin: "Call | None" = None


@dataclass(frozen=True)
class Call:
    """`arguments` by their names in the operation's schema, tensors replaced by `Seen`.

    name: as in aten, without the underscore of in-place variants. where: the layer. label: the function of
    torch.nn.functional that the operation belongs to, in words, or None.
    """

    name: str
    arguments: Mapping[str, object]
    outputs: tuple[Tensor, ...]
    where: str
    label: str | None

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: object = None) -> Any:
        """An argument that only some variants of the operation have; None counts as not given."""
        value = self.arguments.get(argument)
        return default if value is None else value

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return tuple(self.outputs[0].shape)

    @property
    def input(self) -> Seen:
        """The first tensor argument."""
        return self.tensors()[0]

    def reason(self, words: str) -> str:
        return f"{self.label or words} in {self.where}"

    def tensors(self) -> list[Seen]:
        """All tensor arguments, those in lists included, in order."""
        seen: list[Seen] = []
        for value in self.arguments.values():
            items = value if isinstance(value, (list, tuple)) else [value]
            seen += [item for item in items if isinstance(item, Seen)]
        return seen

    def geometries(self) -> list[Geometry]:
        return [seen.geometry for seen in self.tensors() if seen.geometry is not None]

    def everything(self, words: str, kind: str = "mixing") -> Geometry:
        """Every element of the result depends on all positions of all arguments."""
        result = self.geometries()[0]
        for axis in (0, 1):
            for other in self.geometries():
                if isinstance(other.maps[axis], Unbounded) and not isinstance(result.maps[axis], Unbounded):
                    result = result.with_map(axis, other.maps[axis])
        result = result.unbounded((0, 1), self.reason(words), kind)
        same = self.input.geometry if self.input.shape == self.shape else None
        return replace(result, dims=plain_dims(self.shape) if same is None else same.dims)


Result: TypeAlias = Geometry | list[Geometry] | None
Rule = Callable[[Call], Result]


def of_one(rule: Callable[[Call, Geometry], Result]) -> Rule:
    """A rule for what the first tensor sees. Where another one sees the image as well, or alone: everything."""

    @wraps(rule)
    def judged(call: Call) -> Result:
        image = call.input.geometry
        if image is None or len(call.geometries()) > 1:
            return call.everything("parameters made from all positions")
        return rule(call, image)

    return judged


def each(values: int | list[int] | tuple[int, ...], count: int) -> list[int]:
    """`count` numbers from one number, or from a list that may hold only one."""
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    return listed * count if len(listed) == 1 else listed
