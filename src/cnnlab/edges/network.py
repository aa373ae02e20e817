"""Edges by a trained network. B batch, C channel, H, W image, T tile."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.borders import accepted, as_float
from cnnlab.edges.contract import Detector, Edges
from cnnlab.edges.thinning import thin
from cnnlab.edges.tiles import aligned, tiles
from cnnlab.filters.gaussian import gaussian
from cnnlab.nn.edge_net import EdgeNet, pretrained

SIGMA = 2.0  # pixels, of the Gaussian whose second derivatives tell which way a line runs
REACH, GRID = 128, 8  # of a network that isn't ours


class NetworkDetector(nn.Module, Detector):
    """Wraps a network image (B, C, H, W) in [0, 1] -> edge logits (B, 1, H, W); None: the one that comes with cnnlab.

    strength: the probability of an edge. orientation: of the normal of the line in the map of probabilities, the
    direction in which the smoothed map bends down most, from its second derivatives (Dollar & Zitnick 2015, IEEE
    PAMI 37(8), section 2.3, with Gaussian derivatives).

    tile: side of the largest part, pixels, that the network is given at once; larger images are worked on tile by
    tile, so that memory is bounded. Tiles overlap by `margin` (how many pixels away a pixel still matters to the
    network) and start on its `grid` (of its strides), so that they give what the whole image would. margin, grid,
    channels (that it takes; None: any): None is what an `EdgeNet` has, and REACH, GRID and any of other networks.
    """

    full_scale = 1.0  # a probability
    second_D1nn: Tensor

    def __init__(
        self,
        network: nn.Module | None = None,
        tile: int = 1024,
        *,
        margin: int | None = None,
        grid: int | None = None,
        channels: int | None = None,
    ) -> None:
        super().__init__()
        network = pretrained() if network is None else network
        self.network = network.eval()
        ours = (network.reach, network.grid, network.front_end.in_channels) if isinstance(network, EdgeNet) else None
        usual_margin, usual_grid, usual_channels = ours or (REACH, GRID, None)
        self.margin, self.grid = usual_margin if margin is None else margin, usual_grid if grid is None else grid
        self.channels = usual_channels if channels is None else channels
        if min(tile, self.grid) < 1 or self.margin < 0:
            raise UsageError(f"tile={tile}, grid={self.grid}: at least 1 pixel; margin={self.margin}: at least 0")
        self.tile = max(tile // self.grid, 1) * self.grid
        second_D1nn = gaussian(sigma=SIGMA, order=2).kernels.float()
        self.register_buffer("second_D1nn", second_D1nn, persistent=False)  # d/dyy, d/dxy, d/dxx
        self._tile_wanted = tile

    @property
    def settings(self) -> Mapping[str, object]:
        """The tile; the network is known by its weights."""
        return {**super().settings, "tile": self._tile_wanted}

    @property
    def reach(self) -> int:
        """The network's, and that of the orientation."""
        return self.margin + self.second_D1nn.shape[-1] // 2

    def forward(self, image_BCHW: Tensor) -> Edges:
        """(B, C, H, W) in [0, 1], or uint8 -> strength and orientation, (B, 1, H, W) each. Grey is shown to a colour
        network as grey in colour. Raises UsageError for another number of channels."""
        strength_B1HW = self.probability(image_BCHW)
        return Edges(strength_B1HW, self.orientation(strength_B1HW).to(strength_B1HW.dtype))

    @torch.no_grad()
    def thinned(self, image_BCHW: Tensor) -> Tensor:
        """(B, 1, H, W): the probability on lines one pixel wide, 0 elsewhere."""
        return thin(*self(image_BCHW))

    @torch.no_grad()
    def both(self, image_BCHW: Tensor) -> tuple[Edges, Tensor]:
        """What calling it and what `thinned` give, by one look of the network."""
        edges = self(image_BCHW)
        return edges, thin(*edges)

    def probability(self, image_BCHW: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1], in the dtype of the image (float32 of uint8)."""
        accepted(image_BCHW)
        image_BCHW, wanted = as_float(image_BCHW), self.channels
        if wanted is not None and image_BCHW.shape[1] not in (1, wanted):
            raise UsageError(f"the network takes images of {wanted} channels, or grey; got {image_BCHW.shape[1]}")
        if wanted is not None:
            image_BCHW = image_BCHW.expand(-1, wanted, -1, -1)
        dtype = next((p.dtype for p in self.network.parameters()), image_BCHW.dtype)
        height, width = image_BCHW.shape[-2:]
        if height <= self.tile + 2 * self.margin and width <= self.tile + 2 * self.margin:
            logits_B1HW: Tensor = self.network(image_BCHW.to(dtype))
            return logits_B1HW.sigmoid().to(image_BCHW.dtype)
        whole_B1HW = image_BCHW.new_empty(len(image_BCHW), 1, height, width)
        for tile in tiles(height, width, self.tile, aligned(self.margin, self.grid)):
            logits_B1hw = self.network(image_BCHW[..., tile.outer[0], tile.outer[1]].to(dtype))
            inside = logits_B1hw[..., tile.crop[0], tile.crop[1]].sigmoid()
            whole_B1HW[..., tile.inner[0], tile.inner[1]] = inside
        return whole_B1HW

    def orientation(self, strength_B1HW: Tensor) -> Tensor:
        """(B, 1, H, W) radians in [0, pi): across the line, from +x towards +y. float32 at least."""
        wide = torch.promote_types(strength_B1HW.dtype, torch.float32)
        radius = self.second_D1nn.shape[-1] // 2
        padded = F.pad(strength_B1HW.to(wide), (radius,) * 4, mode="replicate")
        dyy, dxy, dxx = F.conv2d(padded, self.second_D1nn.to(wide)).unsqueeze(2).unbind(1)
        # The eigenvector of the smaller eigenvalue of [[dxx, dxy], [dxy, dyy]], half a turn in the doubled angle.
        doubled = torch.atan2(-2 * dxy, dyy - dxx)
        angle = torch.remainder(doubled / 2, math.pi)
        return torch.where(angle < math.pi, angle, 0.0)  # remainder rounds up to pi
