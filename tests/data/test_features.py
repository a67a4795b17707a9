"""The feature cache: resuming, broken pictures, what makes another cache."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import timm
import torch
from PIL import Image
from torchvision.transforms import functional as F

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.streams import Stream
from seedspread.data import extractor, features
from seedspread.data.crops import RandomResizedCrop
from seedspread.data.extractor import FeatureExtractor
from seedspread.data.features import Extraction
from seedspread.data.picture_files import build_source, read_picture_files
from seedspread.data.pictures import Pictures, build_picture_set
from seedspread.models.backbones import Backbone
from tests.data.pictures import pictures_on_disk

CPU = torch.device("cpu")


def noise(n, size=20, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)
    return Pictures(images, np.arange(n) % 2)


@pytest.fixture
def extraction(tmp_path, checkpoint, one_core):
    """20 and 7 pictures, 3 views, batches of 4 crops, a shard every 4 pictures."""
    return Extraction(
        source=build_source(build_picture_set(noise(20), noise(7, seed=1), ("a", "b")), None, None),
        backbone=Backbone("test_resnet", "timm", checkpoint=checkpoint, size=32, resize=32),
        crops=RandomResizedCrop(),
        views=3,
        view_seed=0,
        batch_size=4,
        shard=12,
        device=CPU,
        cache=tmp_path / "cache",
        skip_broken=False,
    )


def only_entry(extraction):
    (entry,) = extraction.cache.iterdir()
    return entry


def contents(entry):
    return {path.name: path.read_bytes() for path in entry.glob("*.npy")}


def test_features_are_those_of_a_plain_loop_over_the_crops(extraction):
    found = extraction.load_or_extract()
    assert found.train.shape == (20, 3, 96) and found.test.shape == (7, 96) and found.train.dtype == np.float16
    network, transform = extraction.backbone.load(), extraction.backbone.transform
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.mean, transform.std))
    for index, view in ((0, 0), (7, 2), (19, 1)):
        picture = Image.fromarray(extraction.source.train.images[index])
        draw = extraction.crops.draw(Stream("augment", 0).rng(index, view), 20, 20)
        crop = extraction.crops.apply(picture, *draw, transform)
        with torch.no_grad():
            expected = network(((F.to_tensor(crop.copy()) - mean) / std)[None])[0]
        assert np.allclose(found.train[index, view], expected.numpy(), atol=2e-3, rtol=2e-3)
    assert len({found.train[0, view].tobytes() for view in range(3)}) == 3


def test_a_second_opening_reads_and_extracts_nothing(extraction, monkeypatch):
    first = extraction.load_or_extract()
    monkeypatch.setattr(features, "FeatureExtractor", lambda *_: pytest.fail("extracted again"))
    again = extraction.load_or_extract()
    assert again.fingerprint == first.fingerprint and np.array_equal(again.train, first.train)
    assert isinstance(again.train, np.memmap) and not again.train.flags.writeable
    manifest = json.loads((only_entry(extraction) / "manifest.json").read_text())
    assert manifest["description"]["weights_sha256"] == extraction.backbone.weights_sha256()
    assert manifest["shapes"]["train"] == [20, 3, 96]


def test_each_setting_that_changes_features_makes_another_cache(extraction, checkpoint, tmp_path):
    other = tmp_path / "other.pth"
    weights = timm.create_model("test_resnet").state_dict()
    torch.save(weights, other)
    other_pictures = build_picture_set(noise(20, seed=2), noise(7), ("a", "b"))
    changed = [
        extraction,
        replace(extraction, backbone=replace(extraction.backbone, checkpoint=str(other))),
        replace(extraction, backbone=replace(extraction.backbone, size=40, resize=40)),
        replace(extraction, backbone=replace(extraction.backbone, interpolation="bicubic")),
        replace(extraction, crops=RandomResizedCrop(flip=False)),
        replace(extraction, views=2),
        replace(extraction, view_seed=1),
        replace(extraction, source=build_source(other_pictures, None, None)),
    ]
    fingerprints = [each.load_or_extract().fingerprint for each in changed]
    assert len(set(fingerprints)) == len(changed) == len(list(extraction.cache.iterdir()))
    moved = tmp_path / "moved.pth"
    moved.write_bytes(Path(checkpoint).read_bytes())  # the place of the weights does not matter
    same = replace(extraction, backbone=replace(extraction.backbone, checkpoint=str(moved)))
    assert same.load_or_extract().fingerprint == fingerprints[0]
    assert len(list(extraction.cache.iterdir())) == len(changed)


def test_a_stopped_extraction_resumes_after_its_last_shard(extraction, monkeypatch):
    whole = replace(extraction, cache=extraction.cache.parent / "whole")
    whole.load_or_extract()
    batches, begin = [], FeatureExtractor.start

    def stopping(self, crops):
        if len(batches) == 9:  # one for the dimension, then 3 a shard
            raise KeyboardInterrupt
        batches.append(len(crops))
        return begin(self, crops)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractor, "start", stopping)
        with pytest.raises(KeyboardInterrupt):
            extraction.load_or_extract()
    entry = only_entry(extraction)
    assert not (entry / "manifest.json").exists()
    assert len(json.loads((entry / "progress.json").read_text())["train"]["shards"]) == 2
    before = len(batches)
    monkeypatch.setattr(FeatureExtractor, "start", lambda self, crops: batches.append(len(crops)) or begin(self, crops))
    found = extraction.load_or_extract()
    assert sum(batches[before:]) == 1 + 12 * 3 + 7  # the rest of the pictures, and those to score
    assert contents(entry) == contents(only_entry(whole))
    assert found.fingerprint == whole.load_or_extract().fingerprint


@pytest.fixture
def processes(monkeypatch):
    """Extraction in two processes, of however few crops."""
    monkeypatch.setattr(extractor, "count_cores", lambda: 2)
    monkeypatch.setattr(extractor, "CROPS_WORTH_PROCESSES", 1)


def test_processes_extract_the_same_bytes(extraction, request, tmp_path):
    alone = replace(extraction, views=2)
    alone.load_or_extract()
    request.getfixturevalue("processes")
    together, state = replace(alone, cache=tmp_path / "together"), torch.get_rng_state()
    together.load_or_extract()
    assert torch.equal(torch.get_rng_state(), state)
    assert contents(only_entry(together)) == contents(only_entry(alone))


def test_processes_have_one_thread_each_and_name_broken_pictures(extraction, processes, monkeypatch, tmp_path):
    root, begin = pictures_on_disk(tmp_path), FeatureExtractor.start

    def noting(self, crops):
        with (tmp_path / "batches").open("a") as file:
            file.write(f"{os.getpid()} {torch.get_num_threads()}\n")
        return begin(self, crops)

    monkeypatch.setattr(FeatureExtractor, "start", noting)
    picture = sorted((root / "train").glob("*/*"))[5]
    picture.write_bytes(picture.read_bytes()[:300])
    broken = replace(extraction, views=2, source=read_picture_files(str(root), tmp_path, 0))
    with pytest.raises(
        InputError, match=f"^[^\n]*{picture.name}: not a whole picture .*; .* or set data.skip_broken=true"
    ):
        broken.load_or_extract()
    found = replace(broken, skip_broken=True).load_or_extract()
    assert found.train_rows.tolist() == [0, 1, 2, 3, 4, 6, 7]
    of_workers = [
        line for line in (tmp_path / "batches").read_text().split("\n") if not line.startswith(f"{os.getpid()} ")
    ]
    assert len({line.split()[0] for line in of_workers if line}) >= 2
    assert {line.split()[1] for line in of_workers if line} == {"1"}


def test_a_damaged_cache_is_repaired_from_the_first_bad_shard(extraction):
    first = extraction.load_or_extract()
    entry = only_entry(extraction)
    good = contents(entry)
    path = entry / "train.npy"
    path.write_bytes(good["train.npy"][:-40] + b"\x01" * 40)
    assert extraction.load_or_extract().fingerprint == first.fingerprint and contents(entry) == good
    os.truncate(path, 1000)
    assert extraction.load_or_extract().fingerprint == first.fingerprint and contents(entry) == good
    (entry / "manifest.json").write_text("{")
    assert extraction.load_or_extract().fingerprint == first.fingerprint and contents(entry) == good


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_killed_extraction_resumes_to_the_same_bytes(tmp_path, checkpoint, config, start, processes, monkeypatch):
    monkeypatch.setenv("PROCESSES", processes)
    source = tmp_path / "in"
    for part, n in (("train", 12), ("test", 4)):
        for i in range(n):
            for label in "ab":
                place = source / part / label
                place.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng([i, len(part), ord(label)]).integers(0, 256, (24, 30, 3), np.uint8)
                Image.fromarray(pixels).save(place / f"{i}.png")
    arguments = [
        "experiment=cifar_probe", "data=imagenet", "data.train_size=null",
        "data.test_size=null", f"data.root={source}", "backbone.name=test_resnet", "trainer=cpu",
        f"backbone.checkpoint={checkpoint}", "backbone.size=32", "backbone.resize=32", "trainer.max_epochs=1",
        "data.batch_size=8", "data.extract_batch_size=4", "data.shard=8", "data.views=2",
    ]  # fmt: skip
    there = f"data.cache={tmp_path}/killed"
    killed = start("tests.data.extract_slowly", *arguments, there, f"results={tmp_path}/killed")
    progress, waited = [], time.monotonic()
    while not progress and killed.poll() is None and time.monotonic() - waited < 60:
        progress = list((tmp_path / "killed").glob("features-*/progress.json"))
        time.sleep(0.01)
    workers = psutil.Process(killed.pid).children(recursive=True)
    assert len(workers) >= int(processes)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not psutil.wait_procs(workers, timeout=30)[1]
    entry = progress[0].parent
    assert not (entry / "manifest.json").exists()
    assert 1 <= len(json.loads(progress[0].read_text())["train"]["shards"]) < 6
    found = [train(config(*arguments, *more)) for more in ([there], [f"data.cache={tmp_path}/whole", "study=whole"])]
    (whole,) = (tmp_path / "whole").iterdir()
    assert contents(entry) == contents(whole) and set(contents(entry)) == {"train.npy", "test.npy"}
    assert found[0].weights_sha256 == found[1].weights_sha256


def test_of_two_concurrent_extractions_one_waits(extraction, capsys, monkeypatch):
    batches, begin = [], FeatureExtractor.start
    monkeypatch.setattr(
        FeatureExtractor,
        "start",
        lambda self, crops: (batches.append(len(crops)), time.sleep(0.02), begin(self, crops))[2],
    )
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(extraction.load_or_extract().fingerprint)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and sum(batches) == 1 + 60 + 7
    assert "another process extracts the features of features-test_resnet" in capsys.readouterr().out


def test_imagenets_folders_are_read_picture_by_picture(tmp_path, extraction):
    root = pictures_on_disk(tmp_path)
    (root / "train" / "n01" / ".hidden.JPEG").write_bytes(b"")
    (root / "train" / "n01" / "notes.txt").write_bytes(b"")
    found = read_picture_files(str(root), tmp_path, 0)
    assert found.classes == ("n01", "n02") and len(found.train) == len(found.test) == 8
    assert found.train.labels.tolist() == [0] * 4 + [1] * 4
    assert found.train.names[5] == "train/n02/train_1.JPEG" and found.train.load(5).size == (40, 30)
    features = replace(extraction, source=found).load_or_extract()
    assert features.train.shape == (8, 3, 96) and features.train_labels.tolist() == [0] * 4 + [1] * 4
    before = found.fingerprint
    (root / "train" / "n01" / "train_0.JPEG").write_bytes(b"x" * 7)
    assert read_picture_files(str(root), tmp_path, 0).fingerprint != before


@pytest.mark.parametrize("part, row", [("train", 2), ("val", 6)])
def test_a_broken_picture_is_named_and_refused_or_skipped(tmp_path, extraction, capsys, part, row):
    root = pictures_on_disk(tmp_path)
    names = sorted((root / part).glob("*/*"))
    names[row].write_bytes(names[row].read_bytes()[:300])
    broken = replace(extraction, source=read_picture_files(str(root), tmp_path, 0))
    with pytest.raises(InputError, match=f"{names[row].name}: not a whole picture .*; .* or set data.skip_broken=true"):
        broken.load_or_extract()
    found = replace(broken, skip_broken=True).load_or_extract()
    rows, labels = (found.train_rows, found.train_labels) if part == "train" else (found.test_rows, found.test_labels)
    assert row not in rows and len(rows) == len(labels) == 7
    assert f"1 broken pictures skipped in {part.replace('val', 'test')}" in capsys.readouterr().out
    with pytest.raises(InputError, match=f"1 pictures did not decode, .*{names[row].name}"):
        broken.load_or_extract()


def test_a_broken_picture_that_was_replaced_is_extracted_again(tmp_path, extraction):
    root = pictures_on_disk(tmp_path)
    names = sorted((root / "train").glob("*/*"))
    whole = [names[row].read_bytes() for row in (1, 5)]
    repaired = replace(extraction, source=read_picture_files(str(root), tmp_path, 0), cache=tmp_path / "never_broken")
    expected = repaired.load_or_extract()
    for row in (1, 5):
        names[row].write_bytes(b"x" * names[row].stat().st_size)
    cached = replace(extraction, source=read_picture_files(str(root), tmp_path, 0), skip_broken=True)
    before = cached.load_or_extract()
    assert before.train_rows.tolist() == [0, 2, 3, 4, 6, 7]
    names[1].write_bytes(whole[0])
    assert cached.load_or_extract().train_rows.tolist() == [0, 1, 2, 3, 4, 6, 7]
    names[5].write_bytes(whole[1])
    found = replace(cached, skip_broken=False).load_or_extract()
    assert found.fingerprint == expected.fingerprint and np.array_equal(found.train, expected.train)


def test_a_cache_from_before_broken_files_were_hashed_is_read(tmp_path, extraction):
    root = pictures_on_disk(tmp_path)
    sorted((root / "train").glob("*/*"))[3].write_bytes(b"x")
    cached = replace(extraction, source=read_picture_files(str(root), tmp_path, 0), skip_broken=True)
    before = cached.load_or_extract()
    for name in ("manifest.json", "progress.json"):
        stored = json.loads((only_entry(cached) / name).read_text())
        for part in stored.get("parts", stored).values():
            del part["broken_files"]
        (only_entry(cached) / name).write_text(json.dumps(stored))
    kept = (only_entry(cached) / "train.npy").stat().st_mtime_ns
    assert cached.load_or_extract().fingerprint == before.fingerprint
    assert (only_entry(cached) / "train.npy").stat().st_mtime_ns == kept


def test_features_beyond_float16_name_the_picture(tmp_path, extraction, checkpoint):
    weights = torch.load(checkpoint)
    torch.save({name: 1e4 * w if name.endswith("weight") else w for name, w in weights.items()}, tmp_path / "w.pth")
    backbone = replace(extraction.backbone, checkpoint=str(tmp_path / "w.pth"))
    source = read_picture_files(str(pictures_on_disk(tmp_path)), tmp_path, 0)
    with pytest.raises(
        InputError, match=r"train/n01/train_0.JPEG .* the range of float16; choose another backbone, or back"
    ):
        replace(extraction, source=source, backbone=backbone).load_or_extract()


def test_a_full_disk_and_an_unwritable_cache_are_named(tmp_path, extraction, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
        with pytest.raises(InputError, match=r"the features take 0.0 GiB and .* has 0.0 GiB free; .*data.cache=PATH"):
            extraction.load_or_extract()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep the features in .*data.cache=PATH"):
        replace(extraction, cache=tmp_path / "file").load_or_extract()
