"""Every kind of pixels that a picture file may hold, as 8-bit RGB; what is expected is computed without Pillow."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from seedspread.data.decoding import ENDINGS, BrokenPicture, decode_picture

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4  # 0 to 252
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2)
RAMP_16 = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040  # 0 to 65,520
COLOUR_16 = np.stack([RAMP_16, RAMP_16[::-1], RAMP_16.T], axis=2)


def encode(picture: Image.Image, kind: str, **settings) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The decoded pixels; a warning is an error, since a user would see it at every start."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode_picture(io.BytesIO(data), "x")
    assert picture.mode == "RGB"
    return np.asarray(picture)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, :, None], 3, axis=2)


def tiff(pixels: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF (TIFF 6.0, section 2) for what Pillow does not write; `order` is < or >."""
    height, width, channels = np.atleast_3d(pixels).shape
    kind, bits = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind], 8 * pixels.dtype.itemsize
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    short, long = 3, 4
    fields = [
        (256, long, 1, width), (257, long, 1, height), (258, short, channels, bits), (259, short, 1, 1),
        (262, short, 1, 2 if channels == 3 else 1), (273, long, 1, 200), (277, short, 1, channels),
        (278, long, 1, height), (279, long, 1, len(data)), (339, short, channels, kind),
    ]  # fmt: skip
    after, table = b"", struct.pack(f"{order}H", len(fields))
    for tag, size, count, value in fields:
        packed = struct.pack(order + {short: "H", long: "I"}[size] * count, *[value] * count)
        if len(packed) > 4:  # the entry holds the place where the values are
            place, after = 150 + len(after), after + packed
            packed = struct.pack(f"{order}I", place)
        table += struct.pack(f"{order}HHI", tag, size, count) + packed.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8) + table + bytes(4)
    return (head.ljust(150, b"\0") + after).ljust(200, b"\0") + data


def png(pixels: np.ndarray) -> bytes:
    """A 16-bit PNG (W3C PNG, section 5) of 1 to 4 channels, most of which Pillow does not write."""
    height, width, channels = np.atleast_3d(pixels).shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)  # 0: a row without a filter
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    body = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def pgm(pixels: np.ndarray, largest: int) -> bytes:
    height, width = pixels.shape
    return f"P5 {width} {height} {largest}\n".encode() + pixels.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        png(RAMP_16),
        tiff(RAMP_16, "<"),
        tiff(RAMP_16, ">"),
        encode(Image.fromarray(RAMP_16), "TIFF", compression="tiff_lzw"),
        encode(Image.fromarray(RAMP_16), "JPEG2000", irreversible=False),
        pgm(RAMP_16, 65535),
    ],
    ids=["png", "tiff", "tiff, big-endian", "tiff, lzw", "jpeg2000", "pgm"],
)
def test_grey_of_16_bits_is_scaled_and_not_clipped_to_white(data):
    assert (decode(data) == grey(RAMP_16 // 256)).all()


@pytest.mark.parametrize(
    "data",
    [png(COLOUR_16), tiff(COLOUR_16, "<"), tiff(COLOUR_16, ">"), png(np.dstack([COLOUR_16, RAMP_16]))],
    ids=["png", "tiff", "tiff, big-endian", "png with alpha"],
)
def test_colour_of_16_bits_is_scaled_as_grey_is(data):
    assert (decode(data) == COLOUR_16 // 256).all()


def test_grey_of_16_bits_with_alpha_is_scaled():
    assert (decode(png(np.dstack([RAMP_16, RAMP_16[::-1]]))) == grey(RAMP_16 // 256)).all()


def test_a_pgm_of_12_bits_is_scaled_by_its_own_white():
    found = decode(pgm(RAMP_16 // 16, 4095)).astype(int)
    assert abs(found - grey(RAMP_16 / 16 / 4095 * 255)).max() < 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "PPM"])
def test_grey_of_1_bit_is_black_and_white(kind):
    bits = RAMP > 100
    assert (decode(encode(Image.fromarray(bits), kind)) == grey(np.where(bits, 255, 0))).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "TGA", "WEBP", "AVIF", "JPEG2000", "ICO", "PCX", "QOI"])
def test_colour_of_8_bits_is_read_from_every_format(kind):
    exact = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
    exact |= {"JPEG2000": {"irreversible": False}, "ICO": {"sizes": [(8, 8)]}}
    found = decode(encode(Image.fromarray(COLOUR), kind, **exact.get(kind, {}))).astype(int)
    assert abs(found - COLOUR).max() <= (4 if kind == "AVIF" else 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "TGA", "JPEG2000"])
def test_transparency_is_dropped_and_the_colour_beneath_shows(kind):
    exact = {"WEBP": {"lossless": True, "exact": True}, "JPEG2000": {"irreversible": False}}.get(kind, {})
    whole = np.dstack([COLOUR, RAMP[::-1]])  # alpha from 252 to 0
    assert (decode(encode(Image.fromarray(whole), kind, **exact)) == COLOUR).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparency_of_grey_is_dropped(kind):
    whole = np.dstack([RAMP, RAMP[::-1]])
    assert (decode(encode(Image.fromarray(whole), kind)) == grey(RAMP)).all()


def test_a_picture_that_only_its_transparency_draws_is_marked():
    black, even = np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 9, np.uint8)
    drawn = Image.fromarray((RAMP > 100).astype(np.uint8))
    drawn.putpalette(bytes(6))  # two indices, both black
    for picture, settings, blank in (
        (Image.fromarray(np.dstack([black, RAMP])), {}, True),
        (Image.fromarray(np.dstack([black, even])), {}, False),  # nothing is drawn at all
        (Image.fromarray(np.dstack([COLOUR, RAMP])), {}, False),
        (Image.fromarray(black), {}, False),
        (drawn, {"transparency": 0}, True),
    ):
        found = decode_picture(io.BytesIO(encode(picture, "PNG", **settings)), "x")
        assert found.info["blank"] is blank


@pytest.mark.parametrize("transparency", [None, 5, bytes(range(0, 256, 4))])
def test_a_palette_gives_its_colours_transparent_or_not_and_no_warning(transparency):
    palette = np.random.default_rng(0).integers(0, 256, (64, 3), np.uint8)
    picture = Image.fromarray(RAMP // 4, "L")
    picture = Image.frombytes("P", (8, 8), picture.tobytes())
    picture.putpalette(palette.tobytes())
    settings = {} if transparency is None else {"transparency": transparency}
    for kind in ("PNG",) if isinstance(transparency, bytes) else ("PNG", "GIF"):
        assert (decode(encode(picture, kind, **settings)) == palette[RAMP // 4]).all()


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_converted_and_a_jpeg_of_adobe_is_no_negative(kind):
    """Pillow writes CMYK JPEGs as Adobe does, inverted; the bytes of the file show it."""
    ink = np.dstack([COLOUR, RAMP // 2])
    settings = {}
    if kind == "JPEG":
        ink, settings = np.full((8, 8, 4), [200, 100, 0, 40], np.uint8), {"quality": 100}
    data = encode(Image.fromarray(ink, "CMYK"), kind, **settings)
    assert kind == "TIFF" or b"Adobe" in data
    expected = (255.0 - ink[..., :3]) * (255.0 - ink[..., 3:]) / 255
    assert abs(decode(data) - expected).max() <= (1 if kind == "TIFF" else 3)


def test_a_tiff_in_lab_is_converted():
    data = encode(Image.new("LAB", (8, 8), (128, 128, 128)), "TIFF")  # L* = 50.2, neither red nor green nor blue
    luminance = ((100 * 128 / 255 + 16) / 116) ** 3
    assert abs(decode(data) - 255 * (1.055 * luminance ** (1 / 2.4) - 0.055)).max() < 2


def test_a_jpeg_keeps_its_pixels_where_its_exif_says_to_turn_it():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees to the right
    picture = Image.fromarray(np.repeat(np.repeat(COLOUR, 8, 0), 16, 1))
    turned = decode(encode(picture, "JPEG", quality=95, exif=exif))
    assert turned.shape == (64, 128, 3)
    assert (turned == decode(encode(picture, "JPEG", quality=95))).all()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_frame_or_page_is_read(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    more = {"lossless": True} if kind == "WEBP" else {}
    found = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], **more))
    assert (found == [255, 0, 0]).all()


@pytest.mark.parametrize(
    "data, says",
    [
        (tiff(RAMP_16.astype(np.int32), "<"), "32-bit or signed integer pixels"),
        (tiff(RAMP_16.astype(np.uint32), "<"), "32-bit or signed integer pixels"),
        (tiff(RAMP_16.astype(np.int16), "<"), "32-bit or signed integer pixels"),
        (tiff(RAMP_16.astype(np.float32) / 65535, "<"), "floating-point pixels"),
        (encode(Image.fromarray(RAMP_16.astype(np.float32)), "PPM"), "floating-point pixels"),
    ],
    ids=["int32", "uint32", "int16", "float32", "pfm"],
)
def test_pixels_without_a_known_range_are_refused_by_name(data, says):
    with pytest.raises(BrokenPicture, match=rf"^cells\.tif: {says}, .*; save the pictures with 8 bits, or as 16-bit"):
        decode_picture(io.BytesIO(data), "cells.tif")


def test_files_that_do_not_decode_say_why(tmp_path, monkeypatch):
    whole = encode(Image.fromarray(COLOUR), "PNG")
    for data, says in (
        (whole[:60], r"x: not a whole picture \(OSError\); replace or remove it"),
        (b"no picture", r"x: not a whole picture \(or of a kind that Pillow .* does not read\)"),
        (b"", "x: not a whole picture"),
    ):
        with pytest.raises(BrokenPicture, match=says):
            decode_picture(io.BytesIO(data), "x")
    with pytest.raises(BrokenPicture, match=r"x: cannot be read \(No such file or directory\)"):
        decode_picture(tmp_path / "x", "x")
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "convert", lambda *_: (_ for _ in ()).throw(ValueError("not supported")))
        with pytest.raises(BrokenPicture, match="x: colours of mode RGB, which Pillow"):
            decode_picture(io.BytesIO(whole), "x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(BrokenPicture, match="x: more than 40 pixels"):
        decode_picture(io.BytesIO(whole), "x")


def test_pillow_reads_every_ending_that_is_taken_for_a_picture():
    Image.init()
    known = Image.registered_extensions()
    assert {ending for ending in ENDINGS if known.get(ending) not in {*Image.OPEN, "MPO"}} == set()  # MPO: by JPEG
