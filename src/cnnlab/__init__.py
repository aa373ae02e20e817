"""A lab bench for convolution: from a hand-written derivative kernel to a trained network.

The public names stand in `__init__.pyi`; each is loaded when it is first used, so that `import cnnlab` costs nothing.

>>> import cnnlab
>>> cnnlab.bank("sobel")
FilterBank(2 kernels of 3 x 3: sobel_dy, sobel_dx)
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":  # reading the metadata takes longer than all the rest
        from importlib.metadata import version

        return version("cnnlab")
    return _load(name)
