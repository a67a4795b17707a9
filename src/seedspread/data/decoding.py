"""Picture files decoded to 8-bit RGB."""

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from seedspread.config.errors import InputError


class BrokenPicture(InputError):
    """A file that is not a whole picture; the message names it."""


def decode_picture(file: Path | IO[bytes], name: str | Path) -> Image.Image:
    """The picture in `file` as 8-bit RGB; raises BrokenPicture, which names it `name`."""
    try:
        with Image.open(file) as picture:
            return convert_to_rgb(picture)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrokenPicture(f"{name}: not a whole picture ({type(error).__name__}); replace or remove it") from error


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """`image` as 8-bit RGB; 16-bit grey is scaled, where Pillow's conversion would clip values above 255 to white."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
    return image.convert("RGB")
