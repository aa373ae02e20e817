"""Receptive fields: exact for every layer of any module, and measured (effective) for a trained one."""

from cnnlab.receptive.effective import EffectiveField, effective_field, random_inputs
from cnnlab.receptive.field import Box, ReceptiveField
from cnnlab.receptive.trace import check_layer, receptive_fields

__all__ = [
    "Box",
    "EffectiveField",
    "ReceptiveField",
    "check_layer",
    "effective_field",
    "random_inputs",
    "receptive_fields",
]
