"""Which pixels a score came from: saliency, integrated gradients and Grad-CAM, as captum computes them.

B batch, C channel, H height, W width of images; K class, Y and X places on a layer's map. captum is an optional extra
and imported when it is needed. The module is left as it was: mode, gradients, hooks and the random state.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.receptive.responses import undisturbed

METHODS = ("saliency", "integrated_gradients", "grad_cam")
SIGNED = ("integrated_gradients",)
INSTALL = "pip install 'cnnlab[attribution]'"
STEPS = 32  # points on the way from the baseline
AT_ONCE = 16  # images


def attribute(
    module: nn.Module, image_BCHW: Tensor, target_B: Tensor, methods: Sequence[str], layer: str | None = None
) -> dict[str, Tensor]:
    """For each of `methods` what the pixels have to do with the score of class `target_B` (B,) int64, on the CPU.

    saliency              (B, C, H, W) >= 0: |gradient| (Simonyan, Vedaldi & Zisserman 2014, arXiv 1312.6034)
    integrated_gradients  (B, C, H, W), signed, from an image of zeros: adds up to f(image) - f(zeros), here to within
                          the error of STEPS Gauss-Legendre points (Sundararajan, Taly & Yan, ICML 2017)
    grad_cam              (B, 1, H, W) >= 0, of `layer`, enlarged bilinearly (Selvaraju et al., ICCV 2017)

    `layer` is a name of a module whose output is a map (B, K, Y, X); None for `map_layer`'s. ValueError for an unknown
    method or layer, and, with the command that installs it, where captum is missing.
    """
    check_methods(methods)
    import captum.attr

    image_BCHW, target_B = image_BCHW.detach(), target_B.detach()
    attributed: dict[str, Tensor] = {}
    with undisturbed(module), torch.enable_grad():
        for method in methods:
            if method == "saliency":
                maps = captum.attr.Saliency(module).attribute(image_BCHW.clone().requires_grad_(), target=target_B)
            elif method == "integrated_gradients":
                integral = captum.attr.IntegratedGradients(module)
                maps = integral.attribute(image_BCHW, target=target_B, n_steps=STEPS, internal_batch_size=AT_ONCE)
            else:
                place = module.get_submodule(_checked(module, image_BCHW, layer))
                cam = captum.attr.LayerGradCam(module, place)
                coarse_B1YX = cam.attribute(image_BCHW.clone().requires_grad_(), target_B, relu_attributions=True)
                maps = F.interpolate(coarse_B1YX, image_BCHW.shape[-2:], mode="bilinear", align_corners=False)
            attributed[method] = maps.detach().cpu()
    return attributed


def check_methods(methods: Iterable[str]) -> None:
    """Raises ValueError for a name that is none of METHODS, and where captum is not installed."""
    for method in methods:
        check_choice("attribution", method, METHODS)
    try:
        import captum.attr  # noqa: F401
    except ImportError as error:
        raise UsageError(f"attribution is computed by captum, which is not installed: {INSTALL}") from error


def map_layer(module: nn.Module, image_BCHW: Tensor) -> str:
    """The last module within `module` that returns a map of more than one place: what Grad-CAM looks at.

    ValueError if there is none.
    """
    return _map_layers(module, image_BCHW)[-1]


def _checked(module: nn.Module, image_BCHW: Tensor, layer: str | None) -> str:
    known = _map_layers(module, image_BCHW)
    if layer is not None:
        check_choice("layer with a map", layer, known)
    return layer or known[-1]


def _map_layers(module: nn.Module, image_BCHW: Tensor) -> list[str]:
    """Names of the modules with maps, in the order of their last calls."""
    names = {part: name for name, part in module.named_modules() if name}
    mapped: dict[str, None] = {}

    def note(part: nn.Module, _inputs: object, response: object) -> None:
        if isinstance(response, Tensor) and response.ndim == 4 and response.shape[-1] * response.shape[-2] > 1:
            mapped.pop(names[part], None)
            mapped[names[part]] = None

    handles = [part.register_forward_hook(note) for part in names]
    try:
        with undisturbed(module), torch.no_grad():
            module(image_BCHW[:1])
    finally:
        for handle in handles:
            handle.remove()
    if not mapped:
        raise UsageError("Grad-CAM needs a layer that returns a map, and this network has none")
    return list(mapped)
