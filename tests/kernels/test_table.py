"""The table of a layer: small batches change nothing, huge layers are refused, empty columns are left out."""

import math

import pytest
import torch

from cnnlab._choices import UsageError
from cnnlab.filters import bank
from cnnlab.kernels import table
from cnnlab.kernels.sources import Layer
from cnnlab.kernels.table import table_of, without_dashes


def test_rows_are_the_same_however_many_kernels_are_described_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels_KChw = torch.cat([bank("gabor(size=7)").kernels, torch.randn(30, 1, 7, 7)]).float()
    layer = Layer("file", "a", kernels_KChw)
    whole = table_of(layer).rows
    monkeypatch.setattr(table, "AT_ONCE", 0)
    for row, other in zip(whole, table_of(layer).rows, strict=True):
        for name, value in row.items():
            same = math.isclose(value, other[name], rel_tol=1e-6) if type(value) is float else value == other[name]
            assert same or name.startswith(("match_centre", "gabor")), (name, value, other[name])


def test_a_layer_with_too_many_weights_is_refused_before_any_is_touched() -> None:
    endless = torch.zeros(1).expand(10**6, 10**6, 3, 3)
    with pytest.raises(UsageError, match="1000000 x 1000000 x 3 x 3 weights, more than 134 million"):
        table_of(Layer("file", "a", endless))


def test_columns_that_say_nothing_are_left_out() -> None:
    assert without_dashes([{"a": "-", "b": "-", "c": "1"}, {"a": "2", "b": "-", "c": "3"}]) == [
        {"a": "-", "c": "1"},
        {"a": "2", "c": "3"},
    ]
