"""Picture files decoded to 8-bit RGB."""

import numpy as np
from PIL import Image


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """`image` as 8-bit RGB; 16-bit grey is scaled, where Pillow's conversion would clip values above 255 to white."""
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
    return image.convert("RGB")


class BrokenPicture(Exception):
    """A file that is not a whole picture; the message names it."""
