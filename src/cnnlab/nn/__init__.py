"""Trainable modules: a filter-bank front end, initialisation by a bank, and networks.

`cnnlab.nn.torchvision_net` is imported by its own name: it brings torchvision along.
"""

from cnnlab.nn.front_end import FrontEnd
from cnnlab.nn.initialisation.writing import InitialisationReport, initialise
from cnnlab.nn.rebuilding import rebuild
from cnnlab.nn.small_cnn import SmallCNN

__all__ = ["FrontEnd", "InitialisationReport", "SmallCNN", "initialise", "rebuild"]
