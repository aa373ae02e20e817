"""Checkpoint files that are whole at any moment."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cnnlab._files import write_bytes


class WholeFiles(TorchCheckpointIO):
    """Writes beside the file and renames.

    Lightning writes to the system's temporary folder and moves: where that is another disk, the move is a copy, and
    a process that is killed meanwhile leaves half a checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Raises OSError, which names the file, if it can't be written."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(path, content.getbuffer())
