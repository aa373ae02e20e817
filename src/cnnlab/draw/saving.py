"""Figures as files."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from cnnlab._files import write_bytes


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """A picture of the kind that the ending of `path` names, whole at any moment; its folder is made."""
    content = io.BytesIO()
    if path.suffix == ".png":  # half the time of level 6, 4 % larger
        figure.savefig(content, dpi=dpi, format="png", pil_kwargs={"compress_level": 4})
    else:
        figure.savefig(content, dpi=dpi, format=path.suffix[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getbuffer())
