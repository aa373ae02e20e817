"""Receptive fields: exact for every layer of any module, and measured (effective) for a trained one."""

from cnnlab.receptive.effective import effective_field, random_inputs
from cnnlab.receptive.field import Box, EffectiveField, ReceptiveField
from cnnlab.receptive.trace import ReceptiveFields, check_layer, receptive_fields

__all__ = [
    "Box",
    "EffectiveField",
    "ReceptiveField",
    "ReceptiveFields",
    "check_layer",
    "effective_field",
    "random_inputs",
    "receptive_fields",
]
