"""Data from what a run wrote down of them."""

from collections.abc import Collection, Mapping

from cnnlab._choices import UsageError
from cnnlab._targets import current_target
from cnnlab.data.boundaries.module import BoundaryData
from cnnlab.data.contract import Data
from cnnlab.data.images.module import ImageData
from cnnlab.data.images.sources import source_of

KINDS = {f"{kind.__module__}.{kind.__name__}": kind for kind in (ImageData, BoundaryData)}


def rebuild_data(record: Mapping[str, object], trust: Collection[str] = ()) -> Data:
    """The data of `Data.recipe()`, nothing read yet.

    Raises UsageError for a record that names something else, for a factory that is not trusted, and for arguments that
    can't be.
    """
    target = current_target(str(record.get("target")))
    if target not in KINDS:
        raise UsageError(f"{target!r} is no data of cnnlab; known: {', '.join(KINDS)}")
    arguments = record.get("arguments")
    if not isinstance(arguments, Mapping):
        raise UsageError("what the run wrote down of its data has no arguments")
    given = dict(arguments)
    if record.get("factory"):
        given["source"] = source_of(str(record["factory"]), trust)
    try:
        return KINDS[target](**given)
    except TypeError as error:
        raise UsageError(f"what the run wrote down of its data can't be used: {error}") from error
