"""A study on disk: one folder, one config, one record per seed.

    results/<study>/study.yaml          the config without its seeds, its digest, the data's SHA-256
    results/<study>/seeds/000003.json   the record of seed 3, written last and at once
    results/<study>/correct/000003.npy  which test examples seed 3 got right, one bit each
    results/<study>/failed/000003.txt   the traceback of a seed that failed
    results/<study>/running/000003.json which process trains a seed now
    results/<study>/checkpoints/000003.ckpt  where a seed that was cut off goes on; gone once it has its record
    results/<study>/damaged/            what was found in place of a record or a checkpoint

Nothing here deletes a record. Folders of one study filled on several machines may be copied together.
"""

import io
import json
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest, describe_differences
from seedspread.config.overrides import expand_seeds
from seedspread.records.files import unwritable_error, write_atomically
from seedspread.records.record import SCHEMA, STATUSES, Record, has_score

_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is faster, where it is there


def study_folder(results: str, study: Any) -> Path:
    """Where a study lies; InputError where its name is none of a folder in `results`."""
    name = "" if study is None else str(study)
    if not name or name.startswith(".") or Path(name).name != name:
        raise InputError(f"study={study}: a study is the name of one folder in {results}, for example study=digits_2")
    return Path(results) / name


def list_studies(results: str | Path) -> list[str]:
    """The names of the studies in a folder of results."""
    return sorted(path.parent.name for path in Path(results).glob("*/study.yaml"))


@dataclass
class Scan:
    """What a study's folder holds: records by seed, and the files that are no records, each with the reason."""

    records: dict[int, Record] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


class Study:
    """A folder of results that all come from one config."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.config = config
        self.digest = compute_digest(config)
        self._data_sha256: str | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @classmethod
    def load(cls, folder: Path) -> "Study":
        """The study in `folder`; InputError where there is none or its study.yaml cannot be read."""
        path = folder / "study.yaml"
        try:
            stored = yaml.load(path.read_text(), _YAML)
            study = cls(folder, stored["config"])
            intact = stored["digest"] == study.digest
        except FileNotFoundError as error:
            raise InputError(f"no study in {folder}: {path} is not there") from error
        except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path} is damaged; put back a copy of it, or choose another study=NAME") from error
        if not intact:
            raise InputError(f"{path} was edited: its digest does not fit; put it back, or choose another study=NAME")
        return study

    @classmethod
    def open(cls, folder: Path, config: Mapping[str, Any]) -> "Study":
        """The study in `folder`, made where there is none or where no seed was recorded yet.

        Raises InputError where the folder belongs to another config, naming the keys that differ, and where it cannot
        be written.
        """
        study = cls(folder, config)
        try:
            for part in ("seeds", "correct"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            if not (folder / "study.yaml").exists() and not study.is_empty():
                raise InputError(
                    f"{folder} holds records but no study.yaml, which says what they are of; put it back, or choose "
                    f"another study=NAME"
                )
            unused = study.is_empty() and not study.claims()[0]
            if not (folder / "study.yaml").exists() or (unused and cls.load(folder).digest != study.digest):
                study._describe()
        except OSError as error:
            raise unwritable_error(folder, error) from error
        theirs = cls.load(folder)
        if theirs.digest != study.digest:
            raise InputError(
                f"{folder} holds results of another config ({describe_differences(theirs.config, config)}).\n"
                f"Results of two configs are kept apart: name this one, for example study={folder.name}_2"
            )
        return study

    def _describe(self, **more: str) -> None:
        stored = {"digest": self.digest, **more, "config": self.config}
        write_atomically(self.folder / "study.yaml", yaml.safe_dump(stored, sort_keys=False).encode())

    def is_empty(self) -> bool:
        """Whether seeds/ holds nothing but drafts."""
        return all(entry.name.startswith(".") for entry in os.scandir(self.folder / "seeds"))

    def check_data(self, sha256: str) -> None:
        """Remember the fingerprint of the data the first time; InputError where later data differ."""
        if self._data_sha256 == sha256:
            return  # checked before in this process
        known = yaml.load((self.folder / "study.yaml").read_text(), _YAML).get("data_sha256")
        if known is None or (known != sha256 and self.is_empty()):
            try:
                self._describe(data_sha256=sha256)
            except OSError as error:
                raise unwritable_error(self.folder, error) from error
        elif known != sha256:
            raise InputError(
                f"{self.folder} holds results on other data (SHA-256 {known[:12]}..., now {sha256[:12]}...).\n"
                f"Check data.source, or name a study of its own, for example study={self.name}_2"
            )
        self._data_sha256 = sha256

    def record_path(self, seed: int) -> Path:
        return self.folder / "seeds" / f"{seed:06d}.json"

    def correct_path(self, seed: int) -> Path:
        return self.folder / "correct" / f"{seed:06d}.npy"

    def checkpoint_path(self, seed: int) -> Path:
        return self.folder / "checkpoints" / f"{seed:06d}.ckpt"

    def set_aside(self, path: Path) -> Path:
        """Move a file that is damaged to damaged/; return its new place."""
        aside = self.folder / "damaged"
        aside.mkdir(exist_ok=True)
        return path.replace(aside / f"{path.stem}-{len(list(aside.iterdir()))}{path.suffix}")

    def read(self, path: Path) -> Record:
        """The record in `path`; ValueError says why it is none of this study's."""
        if not re.fullmatch(r"\d{6,}\.json", path.name) or path.name != f"{int(path.stem):06d}.json":
            raise ValueError("not the name of a record")
        try:
            record = json.loads(path.read_bytes())
        except (ValueError, IsADirectoryError) as error:
            raise ValueError("empty, torn or not JSON") from error
        if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("status") not in STATUSES:
            raise ValueError(f"not a record of schema {SCHEMA}")
        if record.get("seed") != int(path.stem):
            raise ValueError(f"holds seed {record.get('seed')}")
        if record.get("config_digest") != self.digest:
            raise ValueError("comes from another config")
        if record["status"] == "finished" and not has_score(record):
            raise ValueError("finished, but without its final accuracy")
        return record

    def record(self, seed: int) -> Record | None:
        """The record of `seed`, or None where there is none that counts."""
        try:
            return self.read(self.record_path(seed))
        except (ValueError, FileNotFoundError):
            return None

    def problem(self, seed: int) -> str | None:
        """Why the file in the place of this seed's record does not count; None where it does or is not there."""
        try:
            self.read(self.record_path(seed))
        except FileNotFoundError:
            return None
        except ValueError as error:
            return str(error)
        return None

    def scan(self) -> Scan:
        """Every record, in the order of seeds, and every file in seeds/ that is none."""
        scan = Scan()
        seeds = self.folder / "seeds"
        for path in sorted(seeds.iterdir() if seeds.is_dir() else [], key=lambda p: (len(p.name), p.name)):
            if path.name.startswith("."):
                continue  # drafts of records, left where a process was killed
            try:
                scan.records[int(path.stem)] = self.read(path)
            except (ValueError, OSError) as error:
                scan.problems[path.name] = str(error)
        return scan

    def write(self, record: Record, correct: np.ndarray | None = None) -> None:
        """Write a record, and before it `correct`, (examples,) bool, bit-packed.

        What stands in the record's place and is no record moves to damaged/. Raises InputError where the disk is full
        or the folder cannot be written; nothing is half written then.
        """
        seed = record["seed"]
        place = self.record_path(seed)
        try:
            if self.problem(seed):
                self.set_aside(place)
            if correct is not None:
                packed = io.BytesIO()
                np.save(packed, np.packbits(correct))
                write_atomically(self.correct_path(seed), packed.getvalue())
            write_atomically(place, json.dumps(record, indent=1).encode())
        except OSError as error:
            raise unwritable_error(self.folder, error) from error

    def is_done(self, seed: int) -> bool:
        """Whether `seed` has its result, finished or diverged; a failed seed has none."""
        record = self.record(seed)
        return record is not None and record["status"] != "failed"

    @contextmanager
    def claimed(self, seed: int) -> Iterator[None]:
        """Within the block running/ says that this process trains `seed`."""
        place = self.folder / "running" / f"{seed:06d}.json"
        claim = {"seed": seed, "pid": os.getpid(), "host": platform.node(), "since": time.time()}
        try:
            place.parent.mkdir(exist_ok=True)
            place.write_text(json.dumps(claim))
        except OSError as error:
            raise unwritable_error(self.folder, error) from error
        try:
            yield
        finally:
            place.unlink(missing_ok=True)

    def claims(self) -> tuple[dict[int, Record], list[int]]:
        """What running/ says: claims by seed, and the seeds whose process on this machine is no more.

        Of processes on other machines nothing is known here: their claims are taken as they are.
        """
        alive, abandoned = {}, []
        for place in sorted((self.folder / "running").glob("*.json")):
            try:
                claim = json.loads(place.read_text())
                seed, here = int(claim["seed"]), claim["host"] == platform.node()
            except (OSError, ValueError, KeyError, TypeError):
                continue  # just written, or just gone
            if here and not _is_alive(claim["pid"]):
                abandoned.append(seed)
            else:
                alive[seed] = claim
        return alive, abandoned

    def release(self, seeds: Iterable[int]) -> None:
        """Take back the claims of processes that are no more."""
        for seed in seeds:
            (self.folder / "running" / f"{seed:06d}.json").unlink(missing_ok=True)

    def stop(self, reason: str) -> None:
        """Ask all workers of the sweep to stop before their next seed."""
        write_atomically(self.folder / "stop", reason.encode())

    def stopped(self) -> str | None:
        """Why the sweep was stopped, if it was."""
        try:
            return (self.folder / "stop").read_text()
        except FileNotFoundError:
            return None

    def start(self, asked: str) -> None:
        """Note the seeds that a sweep asks for; forget an earlier one's stop and its killed workers' claims."""
        write_atomically(self.folder / "asked", asked.encode())
        (self.folder / "stop").unlink(missing_ok=True)
        self.release(self.claims()[1])

    def asked(self) -> list[int]:
        """The seeds that the latest sweep asked for; none where there was no sweep."""
        try:
            return expand_seeds((self.folder / "asked").read_text())
        except (FileNotFoundError, ValueError):
            return []

    def keep_traceback(self, seed: int, trace: str) -> None:
        """Keep why `seed` failed, in failed/."""
        try:
            (self.folder / "failed").mkdir(exist_ok=True)
            write_atomically(self.folder / "failed" / f"{seed:06d}.txt", trace.encode())
        except OSError as error:
            raise unwritable_error(self.folder, error) from error

    def correct(self, seed: int) -> np.ndarray:
        """Which test examples `seed` got right, (examples,) bool."""
        examples = self.read(self.record_path(seed))["test_examples"]
        return np.unpackbits(np.load(self.correct_path(seed)), count=examples).astype(bool)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def record_failure(study: Study, seed: int, reason: str, trace: str, header: Record) -> None:
    """Record `seed` as failed and keep its traceback."""
    study.keep_traceback(seed, trace)
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    study.write({"schema": SCHEMA, **header, "seed": seed, "status": "failed", "reason": reason, "ended": ended})
