"""Small pictures in folders and archives."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from seedspread.data.pictures import Pictures


def png(value: int, size: tuple[int, int] = (8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).save(file, "PNG")
    return file.getvalue()


def files(train: int = 3, test: int = 2, classes: str = "ab") -> dict[str, bytes]:
    """Pictures by path; each holds one value that encodes part, class and position."""
    return {
        f"{part}/{label}/{i}.png": png(100 * (part == "test") + 10 * c + i)
        for part, n in (("train", train), ("test", test))
        for c, label in enumerate(classes)
        for i in range(n)
    }


def folder(where: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_bytes(data)
    return where


def archive(path: Path, contents: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, data in contents.items():
                out.writestr(name, data)
    else:
        with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w") as out:
            for name, data in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    return path


def values(pictures: Pictures) -> list[int]:
    return pictures.images[:, 0, 0, 0].tolist()


def pictures_on_disk(tmp_path, suffix=".JPEG", parts=("train", "val")):
    root = tmp_path / "imagenet"
    for part in parts:
        for label in ("n01", "n02"):
            (root / part / label).mkdir(parents=True)
            for i in range(4):
                pixels = np.random.default_rng([i, len(part), int(label[1:])]).integers(0, 256, (30, 40, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{part}_{i}{suffix}", "JPEG")
    return root
