"""What others reached on the 200 test photographs of BSDS500: the best F with one threshold (ODS)."""

from typing import NamedTuple


class Published(NamedTuple):
    """A detector's name, its ODS, and where it is printed; None where nobody could tell us."""

    name: str
    ods: float
    source: str | None

    @property
    def label(self) -> str:
        """Its name in a picture, which says of a figure without a source that it has none."""
        return self.name if self.source else f"{self.name} (no source)"


# Sobel's is quoted here and there; neither a paper nor a program that gives it was found.
PUBLISHED = (
    Published("Sobel", 0.539, None),
    Published("Canny", 0.611, "table of Liu et al., Richer Convolutional Features for Edge Detection, PAMI 2019"),
    Published("gPb", 0.729, "gPb-UCM of Arbelaez et al., PAMI 2011, in the table of Liu et al., PAMI 2019"),
    Published("HED", 0.788, "Xie & Tu, Holistically-Nested Edge Detection, IJCV 2017"),
    Published("human", 0.803, "Arbelaez et al., PAMI 2011: leave one annotator out; three digits in Su et al."),
    Published("PiDiNet", 0.807, "Su et al., Pixel Difference Networks for Efficient Edge Detection, ICCV 2021"),
)
