"""ImageNet's folders and flat files."""

import subprocess
from pathlib import Path

import pytest

from seedspread.config.errors import InputError
from seedspread.data.picture_files import read_picture_files
from tests.data.pictures import folder, pictures_on_disk


def test_a_wrong_folder_shows_the_expected_layout(tmp_path):
    root = pictures_on_disk(tmp_path, parts=("train",))
    expected = r"train/<wnid>/\*\.JPEG and val/<wnid>/\*\.JPEG"
    for source, says in (
        (None, f"data.root is not set: .*{expected}"),
        (tmp_path / "nowhere", f"no such folder; it should hold {expected}"),
        (tmp_path / "empty", "no pictures in it; it should hold train/<class>/"),
        (root, "nothing to score: there is no test/ or val/ beside train/; fill test/<class>/, or name train/"),
        (root / "train" / "n01" / "train_0.JPEG", "a file; unpack it, or use data=class_folders"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=says):
            read_picture_files(source and str(source), tmp_path, 0)


def test_the_command_that_sorts_a_flat_val_folder_works(tmp_path):
    root = pictures_on_disk(tmp_path)
    flat = {}
    for path in sorted((root / "val").glob("*/*.JPEG")):
        name = f"ILSVRC2012_val_{len(flat):08d}"
        flat[name] = path.parent.name
        path.rename(root / "val" / f"{name}.JPEG")
    for wnid in ("n01", "n02"):
        (root / "val" / wnid).rmdir()
    lines = [f"{name},{wnid} 85 1 499 272 {wnid} 1 2 3 4" for name, wnid in flat.items()]
    (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines]) + "\n")
    with pytest.raises(InputError, match="pictures lie in val/ without a class folder") as raised:
        read_picture_files(str(root), tmp_path, 0)
    command = str(raised.value).split("of the archive: ")[1].replace("PATH", "..")
    subprocess.run(["bash", "-euc", command], cwd=root, check=True)
    found = read_picture_files(str(root), tmp_path, 0)
    assert [Path(name).parent.name for name in found.test.names] == [flat[Path(name).stem] for name in found.test.names]


def test_class_folders_without_a_split(tmp_path):
    buffer = (pictures_on_disk(tmp_path) / "val/n01/val_0.JPEG").read_bytes()
    root = folder(tmp_path / "own", {f"{label}/{i}.jpg": buffer for label in "ab" for i in range(5)})
    found = read_picture_files(str(root), tmp_path, 0)
    assert (len(found.train), len(found.test)) == (8, 2)
