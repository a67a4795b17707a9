"""Picture files decoded to 8-bit RGB, with the pixels that torchvision's ImageFolder gives.

As there, transparency is dropped: the colour that is stored beneath it shows. Pixels keep the place that they have in
the file, whatever an EXIF orientation says, and embedded colour profiles are not applied. Of several frames or pages
the first is read. Unlike there, 16-bit grey is scaled: `Image.convert` alone clips values above 255 to white.
"""

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL import __version__ as pillow

from seedspread.config.errors import InputError

DECODING = 2  # a new number where the pixels of some file change: caches of decoded pictures are then made again
# Pictures made of pixels: not EPS and WMF, which other programs draw, nor containers such as .h5.
ENDINGS = {
    ".apng", ".avif", ".avifs", ".bmp", ".bw", ".cur", ".dds", ".dib", ".gif", ".icns", ".ico", ".j2c", ".j2k", ".jfif",
    ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pcx", ".pfm", ".pgm", ".png", ".pnm",
    ".ppm", ".psd", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".webp", ".xbm", ".xpm",
}  # fmt: skip


BLANK = "blank"  # in a decoded picture's `info`: whether only its transparency, which is dropped, drew anything


class BrokenPicture(InputError):
    """A file that is not a whole picture, or has pixels without a known range; the message names it."""


def decode_picture(file: Path | IO[bytes], name: str | Path) -> Image.Image:
    """The picture in `file` as 8-bit RGB; raises BrokenPicture, which names it `name`."""
    try:
        with Image.open(file) as picture:
            picture.load()
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise BrokenPicture(f"{name}: more than {most:,} pixels, which Pillow refuses; make it smaller") from error
    except Exception as error:  # Pillow's plug-ins raise errors of many kinds
        if isinstance(error, OSError) and error.errno is not None:
            raise BrokenPicture(f"{name}: cannot be read ({error.strerror}); make it readable or remove it") from error
        kind = type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            kind = f"or of a kind that Pillow {pillow} does not read"
        raise BrokenPicture(f"{name}: not a whole picture ({kind}); replace or remove it") from error
    try:
        return _convert_to_rgb(picture, name)
    except (ValueError, ImportError) as error:
        raise BrokenPicture(
            f"{name}: colours of mode {picture.mode}, which Pillow {pillow} does not convert; save the picture as RGB"
        ) from error


def _convert_to_rgb(picture: Image.Image, name: str | Path) -> Image.Image:
    # Pillow reads 16-bit grey PNM, and before version 11 PNG, as mode I, which is of 32 bits otherwise.
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        # The upper byte, as Pillow keeps it of 16-bit colour.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        numbers = "floating-point" if picture.mode == "F" else "32-bit or signed integer"
        raise BrokenPicture(
            f"{name}: {numbers} pixels, and no file says which of them is white; save the pictures with 8 bits, or as "
            "16-bit grey from 0 to 65,535"
        )
    has_alpha = picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info
    drawn = has_alpha and np.ptp(np.asarray(picture.convert("RGBA"))[..., 3]) > 0
    picture.info.pop("transparency", None)  # else Pillow warns for some palettes that it is dropped
    found = picture.convert("RGB")
    found.info[BLANK] = bool(drawn and not np.ptp(np.asarray(found), axis=(0, 1)).any())
    return found
