"""Edges by a trained network. B batch, C channel, H, W image, T tile."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.detector import Edges
from cnnlab.edges.thinning import thin
from cnnlab.filters.gaussian import gaussian

SIGMA = 2.0  # pixels, of the Gaussian whose second derivatives tell which way a line runs
REACH, GRID = 128, 8  # of a network that doesn't say


class NetworkDetector(nn.Module):
    """Wraps a network image (B, C, H, W) in [0, 1] -> edge logits (B, 1, H, W).

    strength: the probability of an edge. orientation: of the normal of the line in the map of probabilities, the
    direction in which the smoothed map bends down most, from its second derivatives (Dollar & Zitnick 2015, IEEE
    PAMI 37(8), section 2.3, with Gaussian derivatives).

    tile: side of the largest part, pixels, that the network is given at once; larger images are worked on tile by
    tile, so that memory is bounded. Tiles overlap by the network's `reach` (how many pixels away a pixel still
    matters) and start on its `grid` (of its strides), so that they give what the whole image would.

    Has a `reach` of its own, before thinning, for those who cut images themselves.
    """

    full_scale = 1.0  # a probability

    def __init__(self, network: nn.Module, tile: int = 1024) -> None:
        super().__init__()
        self.network = network.eval()
        self.margin, self.grid = getattr(network, "reach", REACH), getattr(network, "grid", GRID)
        if tile < 1:
            raise UsageError(f"tile={tile}: at least 1 pixel")
        self.tile = max(tile // self.grid, 1) * self.grid
        self.channels = getattr(getattr(network, "front_end", None), "in_channels", None)
        second_D1nn = gaussian(sigma=SIGMA, order=2).kernels.float()
        self.register_buffer("second_D1nn", second_D1nn, persistent=False)  # d/dyy, d/dxy, d/dxx
        self.reach = self.margin + second_D1nn.shape[-1] // 2

    def forward(self, image_BCHW: Tensor) -> Edges:
        """(B, C, H, W) in [0, 1] -> strength and orientation, (B, 1, H, W) each. Grey is shown to a colour network
        as grey in colour. Raises ValueError for another number of channels."""
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
        """(B, 1, H, W) in [0, 1], in the dtype of the image."""
        wanted = self.channels
        if wanted is not None and image_BCHW.shape[1] not in (1, wanted):
            raise UsageError(f"the network takes images of {wanted} channels, or grey; got {image_BCHW.shape[1]}")
        if wanted is not None:
            image_BCHW = image_BCHW.expand(-1, wanted, -1, -1)
        dtype = next((p.dtype for p in self.network.parameters()), image_BCHW.dtype)
        height, width = image_BCHW.shape[-2:]
        if height <= self.tile + 2 * self.margin and width <= self.tile + 2 * self.margin:
            return self.network(image_BCHW.to(dtype)).sigmoid().to(image_BCHW.dtype)
        whole_B1HW = image_BCHW.new_empty(len(image_BCHW), 1, height, width)
        for rows, rows_seen, rows_kept in self._tiles(height):
            for columns, columns_seen, columns_kept in self._tiles(width):
                logits = self.network(image_BCHW[..., rows_seen, columns_seen].to(dtype))
                whole_B1HW[..., rows, columns] = logits[..., rows_kept, columns_kept].sigmoid()
        return whole_B1HW

    def _tiles(self, size: int) -> Iterator[tuple[slice, slice, slice]]:
        """Along one axis: the pixels of each tile, those that the network sees, and the tile in what it sees."""
        for start in range(0, size, self.tile):
            stop = min(start + self.tile, size)
            first = max(start - -(-self.margin // self.grid) * self.grid, 0)
            last = min(stop + self.margin, size)
            yield slice(start, stop), slice(first, last), slice(start - first, stop - first)

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
