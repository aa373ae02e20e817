"""Which pixels an answer came from: saliency, integrated gradients and Grad-CAM, as captum computes them.

B batch, C channel, H height, W width of images; K class, Y and X places on a layer's map. captum is an optional extra
and imported when it is needed. The module is left as it was: mode, gradients, hooks and the random state.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
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
    found: dict[str, Tensor] = {}
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
            found[method] = maps.detach().cpu()
    return found


def check_methods(methods: Iterable[str]) -> None:
    """Raises ValueError for a name that is none of METHODS, and where captum is not installed."""
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise UsageError(f"there is no attribution {unknown[0]!r}; valid: {', '.join(METHODS)}")
    try:
        import captum.attr  # noqa: F401
    except ImportError as error:
        raise UsageError(f"attribution is computed by captum, which is not installed: {INSTALL}") from error


def map_layer(module: nn.Module, image_BCHW: Tensor) -> str:
    """The last module within `module` that answers with a map of more than one place: what Grad-CAM looks at.

    ValueError if there is none.
    """
    return list(_map_layers(module, image_BCHW))[-1]


def _checked(module: nn.Module, image_BCHW: Tensor, layer: str | None) -> str:
    known = _map_layers(module, image_BCHW)
    if layer is not None and layer not in known:
        raise UsageError(f"layer {layer!r} has no map; valid: {', '.join(known)}")
    return list(known)[-1] if layer is None else layer


def _map_layers(module: nn.Module, image_BCHW: Tensor) -> dict[str, None]:
    """Names of the modules with maps, in the order in which they answered last."""
    names = {one: name for name, one in module.named_modules() if name}
    found: dict[str, None] = {}

    def note(one: nn.Module, _given: tuple, answer: object) -> None:
        if isinstance(answer, Tensor) and answer.ndim == 4 and answer.shape[-1] * answer.shape[-2] > 1:
            found.pop(names[one], None)
            found[names[one]] = None

    handles = [one.register_forward_hook(note) for one in names]
    try:
        with undisturbed(module), torch.no_grad():
            module(image_BCHW[:1])
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise UsageError("Grad-CAM needs a layer that answers with a map, and this network has none")
    return found
