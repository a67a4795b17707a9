"""A study on disk: one folder, one config, one record per seed.

    results/<study>/study.yaml            config without its seeds, its digest, the metric, the data's SHA-256
    results/<study>/seeds/000003.json     the record of seed 3, written last and atomically
    results/<study>/examples/             what each seed predicted: seedspread.records.examples
    results/<study>/failed/000003.txt     the traceback of a seed that failed
    results/<study>/checkpoints/000003.ckpt  where an interrupted seed resumes; removed once the seed has its record
    results/<study>/damaged/              what was found in place of a record or a checkpoint

Who trains now: seedspread.execution.leases. Nothing here deletes a record. Folders of one study filled on several
machines may be copied together.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest, describe_differences
from seedspread.records.examples import DAMAGED, ExampleIndex, pack_examples, read_examples
from seedspread.records.files import publish, unwritable_error, write_atomically
from seedspread.records.metric import ACCURACY, Metric
from seedspread.records.record import SCHEMA, Record, Status, find_fault

STUDIES_IN_A_MESSAGE = 8
MOST_NAME_BYTES = 255  # of a folder: the limit of most file systems
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is faster, where it is there
_OF_DATA = re.compile(r"^(train|training|val|valid|validation|test)_")  # train_acc of val_acc, as others write it


def study_folder(results: str, study: Any, key: str = "study") -> Path:
    """The folder of a study; InputError where its name, the value of `key`, is not that of one folder in `results`."""
    name = "" if study is None else str(study)
    if not name or name.startswith(".") or Path(name).name != name or not name.isprintable():
        raise InputError(f"{key}={study}: a study is the name of one folder in {results}, for example {key}=digits_2")
    if (length := len(os.fsencode(name))) > MOST_NAME_BYTES:
        raise InputError(
            f"{key}={name[:30]}...: the name has {length} bytes; a study has a name of {MOST_NAME_BYTES} at most"
        )
    return Path(results) / name


def list_studies(results: str | Path) -> list[str]:
    """The names of the studies in a folder of results."""
    return sorted(path.parent.name for path in Path(results).glob("*/study.yaml"))


def last_active(folder: Path) -> float:
    """When files last came or went in the folder of a study, or in those of a search: seconds since the epoch."""
    places = (folder, *(place for name in ("seeds", "running", "*/seeds", "*/running") for place in folder.glob(name)))
    return max(place.stat().st_mtime for place in places)


def describe_studies(results: str | Path) -> str:
    """The names of the latest studies in a folder of results, for an error that asks for one."""
    latest = sorted(list_studies(results), key=lambda name: last_active(Path(results, name)), reverse=True)
    more = len(latest) - STUDIES_IN_A_MESSAGE
    return (", ".join(latest[:STUDIES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")) or "none"


@dataclass
class Scan:
    """What seeds/ holds: the records that count, by seed, and the other files by name, each with the reason."""

    records: dict[int, Record] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


class Study:
    """A folder of results that all come from one config.

    >>> study = ss.Study.load("results/quick")
    >>> study.name, list(study.scan().records)
    ('quick', [0])
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], metric: Metric = ACCURACY, schema: int = SCHEMA
    ) -> None:
        self.folder, self.config, self.metric, self.schema = folder, config, metric, schema
        self.digest = compute_digest(config)
        self._checked: dict[str, str] = {}  # SHA-256 of data and pretrained weights
        self._index: ExampleIndex | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def kind(self) -> str:
        """What its seeds are of: a `config` that trains here, a `function`, a `command`, or an `import` of logs."""
        return next((kind for kind in ("import", "function", "command") if kind in self.config), "config")

    @property
    def is_imported(self) -> bool:
        """Whether its records come from the logs of another program: nothing here can train them again."""
        return self.kind == "import"

    @property
    def origin(self) -> str:
        """What to say of a study that was imported, in a sentence; empty of others."""
        if not self.is_imported:
            return ""
        return f"{self.name}: imported from {self.config['import']['format']} logs, not reproducible from here."

    def find_metric(self, name: str) -> Metric:
        """The metric `name` of this study; one that differs in the data alone, as train/acc of val/acc, is alike."""
        ours, theirs = (_OF_DATA.sub(r"\1/", one).rpartition("/")[1:] for one in (name, self.metric.name))
        if name == self.metric.test_name or ours == theirs:
            return replace(self.metric, name=name)
        return self.metric if name == self.metric.name else Metric.of(name)

    @classmethod
    def load(cls, folder: Path | str) -> "Study":
        """The study in `folder`; InputError where there is none or its study.yaml cannot be read."""
        folder = Path(folder)
        path = folder / "study.yaml"
        try:
            stored = yaml.load(path.read_text(), _YAML)
            schema = stored.get("schema", 1)
            if schema not in (1, SCHEMA):
                raise InputError(f"{path} has schema {schema}; this seedspread reads 1 and {SCHEMA}: update it")
            metric = ACCURACY if schema == 1 else Metric.read(stored["metric"])
            study = cls(folder, stored["config"], metric, schema)
            intact = stored["digest"] == study.digest
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"no study in {folder}: {path} is not there") from error
        except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path} is damaged; restore a copy of it, or choose another study=NAME") from error
        if not intact:
            raise InputError(f"{path} was edited: its digest does not fit; restore it, or choose another study=NAME")
        return study

    @classmethod
    def open(cls, folder: Path, config: Mapping[str, Any], in_use: bool = False, metric: Metric = ACCURACY) -> "Study":
        """The study in `folder` to train into, scored by `metric`; created where there is none.

        Where no seed was recorded yet it takes on `config`, unless it is `in_use`: somebody trains its first seeds.
        Raises InputError where the folder belongs to another config, naming the keys that differ, where version 1 wrote
        it, and where it cannot be written.
        """
        study, path = cls(folder, config, metric), folder / "study.yaml"
        try:
            (folder / "seeds").mkdir(parents=True, exist_ok=True)
            was_empty = study.is_empty()  # before study.yaml is looked for: others write that first, then records
            known = cls.load(folder) if path.exists() else None
            if known is None and not was_empty:
                raise InputError(
                    f"{folder} holds records but no study.yaml, which says what they are of; restore it, or choose "
                    f"another study=NAME"
                )
            if known is None:
                publish(path, study._describe())  # unless another worker has done so meanwhile
            elif (
                not in_use
                and study.is_empty()
                and (known.schema, known.digest, known.metric) != (SCHEMA, study.digest, metric)
            ):
                write_atomically(path, study._describe())
            theirs = cls.load(folder)
            theirs.check_trainable()
            (folder / "examples").mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable_error(folder, error) from error
        if theirs.is_imported != study.is_imported:
            what = "was imported from logs: nothing is trained into it"
            what = what if theirs.is_imported else "holds seeds trained here: nothing is imported into it"
            raise InputError(
                f"{folder} {what}.\nName a study of its own, for example study={folder.name}_2, and compare the two"
            )
        if theirs.digest != study.digest:
            noun = study.kind
            raise InputError(
                f"{folder} holds results of another {noun} ({describe_differences(theirs.config, config)}).\n"
                f"Results of two {noun}s are kept apart: name this one, for example study={folder.name}_2"
            )
        if theirs.metric != metric:
            raise InputError(
                f"{folder} is scored by {theirs.metric.describe()}, not by {metric.describe()}.\n"
                f"All are recorded: seedspread report study={folder.name} metric={metric.name} reports on another"
            )
        return study

    def check_trainable(self) -> None:
        """Raise InputError where version 1 wrote this study: it is read and reported on, not trained into."""
        if self.schema != SCHEMA:
            raise InputError(
                f"{self.folder} was written by seedspread 0.1: it is read and reported on, not trained into.\n"
                f"Train a new study, for example study={self.name}_2, and compare the two"
            )

    def _describe(self, **more: str) -> bytes:
        """What study.yaml holds."""
        stored = {
            "schema": SCHEMA,
            "digest": self.digest,
            "metric": self.metric.stored(),
            **more,
            "config": self.config,
        }
        return yaml.safe_dump(stored, sort_keys=False).encode()

    def is_empty(self) -> bool:
        """Whether seeds/ holds nothing but drafts."""
        return all(entry.name.startswith(".") for entry in os.scandir(self.folder / "seeds"))

    def check_data(self, sha256: str) -> None:
        """Store the fingerprint of the data the first time; raise InputError where later data differ."""
        self._check("data_sha256", sha256, "data", "data.source")

    def check_pretrained(self, sha256: str) -> None:
        """The same of the pretrained weights that seeds start from."""
        self._check("pretrained_sha256", sha256, "pretrained weights", "backbone.checkpoint")

    def _check(self, name: str, sha256: str, what: str, key: str) -> None:
        if self._checked.get(name) == sha256:
            return  # checked before in this process
        stored = yaml.load((self.folder / "study.yaml").read_text(), _YAML)
        known = stored.get(name)
        if known is None or (known != sha256 and self.is_empty()):
            others = {k: stored[k] for k in ("data_sha256", "pretrained_sha256") if k in stored}
            try:
                write_atomically(self.folder / "study.yaml", self._describe(**{**others, name: sha256}))
            except OSError as error:
                raise unwritable_error(self.folder, error) from error
        elif known != sha256:
            raise InputError(
                f"{self.folder} holds results on other {what} (SHA-256 {known[:12]}..., now {sha256[:12]}...).\n"
                f"Check {key}, or name a study of its own, for example study={self.name}_2"
            )
        self._checked[name] = sha256

    def check_examples(self, index: ExampleIndex) -> None:
        """Store the index of the test examples the first time; raise InputError where a later one differs."""
        if self._index is not None and self._index.equals(index):
            return  # checked before in this process
        try:
            known = self.read_index()
        except DAMAGED:
            known = None
        try:
            if known is None or (self.is_empty() and not known.equals(index)):
                write_atomically(self.index_path, index.to_npz())
            elif not known.equals(index):
                same = f"All seeds of a {self.kind} predict the same examples; correct it"
                fix = "Check data.source" if self.kind == "config" else same
                raise InputError(
                    f"{self.folder} holds results on other test examples than those read now.\n"
                    f"{fix}, or name a study of its own, for example study={self.name}_2"
                )
        except OSError as error:
            raise unwritable_error(self.folder, error) from error
        self._index = index

    def record_path(self, seed: int) -> Path:
        return self.folder / "seeds" / f"{seed:06d}.json"

    @property
    def index_path(self) -> Path:
        return self.folder / "examples" / "index.npz"

    def examples_path(self, seed: int) -> Path:
        """The file that says what `seed` predicted; of a study of version 1, which test examples it got right."""
        part, suffix = ("correct", "npy") if self.schema == 1 else ("examples", "npz")
        return self.folder / part / f"{seed:06d}.{suffix}"

    def checkpoint_path(self, seed: int) -> Path:
        return self.folder / "checkpoints" / f"{seed:06d}.ckpt"

    def trace_path(self, seed: int) -> Path:
        """The folder of the trace that `trace=true` keeps of a seed."""
        return self.folder / "traces" / f"{seed:06d}"

    def move_to_damaged(self, path: Path) -> Path:
        """Move a damaged file to damaged/; return its new place."""
        aside = self.folder / "damaged"
        aside.mkdir(exist_ok=True)
        places = (aside / f"{path.stem}-{number}{path.suffix}" for number in itertools.count())
        return path.replace(next(place for place in places if not place.exists()))

    def read(self, path: Path) -> Record:
        """The record in `path`; ValueError says why it does not count in this study."""
        if not re.fullmatch(r"\d{6,}\.json", path.name) or path.name != f"{int(path.stem):06d}.json":
            raise ValueError("not the name of a record")
        try:
            record = Record.parse(path.read_bytes())
        except IsADirectoryError as error:
            raise ValueError("a folder") from error
        if record.seed != int(path.stem):
            raise ValueError(f"holds seed {record.seed}")
        if record.config_digest != self.digest:
            raise ValueError("comes from another config")
        if fault := find_fault(record, self.metric):
            raise ValueError(fault)
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
        """Every record that counts, in the order of seeds, and every other file in seeds/."""
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

    def stamp(self, seed: int) -> str:
        """What stands in the place of the record of `seed`, as a hash of its bytes; empty where nothing does."""
        try:
            return hashlib.sha256(self.record_path(seed).read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""
        except OSError:
            return "unreadable"

    def write(
        self,
        record: Record,
        predictions: np.ndarray | None = None,
        replaces: str | None = None,
        **more: np.ndarray,
    ) -> bool:
        """Write a record, and before it `predictions`, the predicted label of each test example (N,).

        `more` that a seed says of each example: probabilities (N, classes), kept as float16, and scores (N,).

        What stands in the record's place and does not count moves to damaged/. With `replaces`, the `stamp` from before
        the seed was trained, nothing is written where another worker has published meanwhile; False then. Raises
        InputError where the disk is full or the folder cannot be written, ValueError for a record that would not count;
        nothing is half written then.
        """
        if fault := find_fault(record, self.metric):
            raise ValueError(f"seed {record.seed} has no record that counts: {fault}")
        place = self.record_path(record.seed)
        try:
            stamp = self.stamp(record.seed)
            if replaces not in (None, stamp):
                return False
            if self.problem(record.seed):
                self.move_to_damaged(place)
                stamp = ""
            if predictions is not None or more:
                classes = int(self._index.labels.max()) + 1 if self._index else 0  # the same type for all seeds
                write_atomically(self.examples_path(record.seed), pack_examples(predictions, classes, **more))
            if not stamp:
                return publish(place, record.to_json())
            write_atomically(place, record.to_json())
        except OSError as error:
            raise unwritable_error(self.folder, error) from error
        return True

    def is_done(self, seed: int) -> bool:
        """Whether `seed` has its result, finished or diverged; a failed seed has none."""
        record = self.record(seed)
        return record is not None and record.status != Status.FAILED

    def write_traceback(self, seed: int, trace: str) -> None:
        """Write why `seed` failed to failed/."""
        try:
            (self.folder / "failed").mkdir(exist_ok=True)
            write_atomically(self.folder / "failed" / f"{seed:06d}.txt", trace.encode())
        except OSError as error:
            raise unwritable_error(self.folder, error) from error

    def read_index(self) -> ExampleIndex:
        """The test examples; raises one of examples.DAMAGED where the index is missing or torn."""
        return ExampleIndex.read(self.index_path)

    def predictions(self, seed: int) -> np.ndarray:
        """The labels that `seed` predicted (N,); raises one of examples.DAMAGED where they are missing or torn."""
        return self.examples(seed, "predictions")["predictions"]

    def probabilities(self, seed: int) -> np.ndarray:
        """The probabilities that `seed` gave the classes (N, classes), float16; raises as `predictions` does."""
        return self.examples(seed, "probabilities")["probabilities"]

    def examples(self, seed: int, *names: str) -> dict[str, np.ndarray]:
        """What `seed` said of the test examples, by name, all by default; raises as `predictions` does."""
        return read_examples(self.examples_path(seed), *names)

    def correct(self, record: Record, index: ExampleIndex | None = None) -> np.ndarray:
        """Which test examples a seed got right, a bit each, packed (ceil(N / 8),) uint8.

        `index` saves reading it for every seed; version 1 has none: its files hold these bits. Raises one of
        examples.DAMAGED where they are not known.
        """
        examples, path = record.test_examples or 0, self.examples_path(record.seed)
        if self.schema == 1:
            bits = np.load(path)
        else:
            predictions = self.predictions(record.seed)
            bits = np.packbits(predictions == (index or self.read_index()).labels[: len(predictions)])
        if bits.dtype != np.uint8 or bits.shape != (-(-examples // 8),):
            raise ValueError(f"{path} has other examples than its record")
        return bits


def record_failure(
    study: Study, seed: int, reason: str, trace: str, header: Mapping[str, Any], replaces: str | None = None
) -> None:
    """Record `seed` as failed, with the fields known before it was trained, and write its traceback."""
    study.write_traceback(seed, trace)
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    study.write(Record(**{**header, "seed": seed}, status=Status.FAILED, reason=reason, ended=ended), replaces=replaces)
