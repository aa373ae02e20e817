"""Tensors -> matplotlib Figures. A figure shows what it is given; it knows no network and no training."""
