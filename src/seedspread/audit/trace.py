"""A trace as it is read: the processes of one run, and what the training process did, in its order."""

import base64
import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seedspread.config.errors import InputError

FUNCTIONAL = -1  # the number that training without modules has in place of an outermost module's
RAGGED = 0.25  # of the steps: where fewer have the commonest number of forward passes, none is usual
Event = list[Any]  # its kind, and the fields of that kind: see seedspread.audit.tracer


@dataclass(frozen=True)
class Forward:
    """One forward pass of an outermost module; `step` counts the optimizer's steps before it."""

    step: int
    root: int
    training: bool
    gradients: bool
    inputs: str
    rows: tuple[int, ...]
    moved: frozenset[str]  # generators that were drawn from since what came before
    states: dict[str, str]
    output: str
    during: frozenset[str]  # generators that it drew from
    dropout: tuple[str, ...]  # dropout modules in training mode
    loader: int | None  # that has given the batch before it


@dataclass(frozen=True)
class Batch:
    """The examples of one batch, as the process that made them traced it."""

    loader: int
    epoch: int
    number: int  # within the process
    worker: int  # -1: the training process itself
    indices: tuple[int, ...] | None
    rows: tuple[int, ...]
    drawn: dict[str, str]  # state before it of each generator that it drew from


@dataclass(frozen=True)
class Process:
    """The events of one process."""

    events: list[Event]

    @cached_property
    def start(self) -> dict[str, Any]:
        """What the process is: its pid, that of its parent, its rank; empty where a damaged trace does not say."""
        return next((event[1] for event in self.events if event[0] == "start"), {})

    @property
    def rank(self) -> int | None:
        return self.start.get("rank")

    def of(self, *kinds: str) -> Iterator[Event]:
        """The events of some kinds, in their order."""
        return (event for event in self.events if event[0] in kinds)

    @cached_property
    def boundary(self) -> str:
        """The kind of event that ends a step: an optimizer's step, else a backward pass, else a forward pass."""
        kinds = Counter(event[0] for event in self.events)
        return next((kind for kind in ("o", "l", "f", "fit") if kinds[kind]), "o")

    @cached_property
    def steps(self) -> int:
        """How many steps there are."""
        return sum(1 for _ in self.of(self.boundary))

    @cached_property
    def roots(self) -> dict[int, str]:
        """The classes of the outermost modules."""
        return {event[1]: event[2] for event in self.of("weights")}

    @cached_property
    def forwards(self) -> list[Forward]:
        """All forward passes."""
        found, step, loader = [], 0, None
        for event in self.events:
            if event[0] == "b":
                loader = int(event[1].partition(":")[0])
            elif event[0] == "f":
                _, root, mode, inputs, rows, moved, states, output, during, dropout = event
                found.append(
                    Forward(
                        step, root, bool(mode & 1), bool(mode & 2), inputs, unpack(rows), frozenset(moved), states,
                        output, frozenset(during), tuple(dropout), loader,
                    )
                )  # fmt: skip
            step += event[0] == self.boundary
        return found

    @cached_property
    def is_evaluation(self) -> list[bool]:
        """Of each forward pass, whether it evaluates: it comes besides those that a step usually has, or is in
        evaluation mode without gradients while others of the same module have some."""
        intervals: dict[int, list[int]] = {}
        for i, forward in enumerate(self.forwards):
            intervals.setdefault(forward.step, []).append(i)
        ends = [event[1] if event[0] == "o" else 0 for event in self.of(self.boundary)]
        usual = self._usual_passes(intervals, ends)
        learned = {forward.root for forward in self.forwards if forward.gradients and forward.training}
        found = [False] * len(self.forwards)
        for step, indices in intervals.items():
            left = Counter(self.forwards[i].root for i in indices)
            for i in indices:
                forward, root = self.forwards[i], self.forwards[i].root
                expected = usual.get((ends[step], root), 0) if step < len(ends) else 0
                is_extra = left[root] > expected and self.boundary != "f"
                if forward.gradients and step < len(ends) and (ends[step], root) not in usual:
                    is_extra = False  # as many as an episode has steps
                silent = not forward.gradients and not forward.training and root in learned
                if (is_extra and not self._is_followed_by_backward[i]) or silent:
                    found[i] = True
                left[root] -= 1
        return found

    def _usual_passes(self, intervals: dict[int, list[int]], ends: Sequence[int]) -> dict[tuple[int, int], int]:
        """How many forward passes of a module a step of an optimizer usually has: the commonest number, the least.

        No number where each step has another.
        """
        counts: dict[tuple[int, int], Counter[int]] = {}
        for step, end in enumerate(ends):
            here = Counter(self.forwards[i].root for i in intervals.get(step, []))
            for root in self.roots:
                counts.setdefault((end, root), Counter())[here[root]] += 1
        most = {key: max(seen.values()) for key, seen in counts.items()}
        return {
            key: min(n for n in seen if seen[n] == most[key])
            for key, seen in counts.items()
            if most[key] >= RAGGED * seen.total()
        }

    @cached_property
    def _is_followed_by_backward(self) -> list[bool]:
        """Of each forward pass, whether a backward pass comes before the next."""
        found: list[bool] = []
        for event in self.events:
            if event[0] == "f":
                found.append(False)
            elif event[0] == "l" and found:
                found[-1] = True
        return found

    @cached_property
    def training(self) -> list[Forward]:
        """The forward passes of training steps."""
        return [f for f, evaluates in zip(self.forwards, self.is_evaluation, strict=True) if not evaluates]

    @cached_property
    def evaluation(self) -> list[Forward]:
        """The forward passes that evaluate."""
        return [f for f, evaluates in zip(self.forwards, self.is_evaluation, strict=True) if evaluates]

    @cached_property
    def occasional(self) -> list[Forward]:
        """The passes that evaluate and are no part of most steps, as those of a teacher or of a policy that acts."""
        ends = [event[1] if event[0] == "o" else 0 for event in self.of(self.boundary)]
        kinds: dict[tuple[int, int, bool, int], set[int]] = {}
        for f in self.forwards:
            if f.step < len(ends) and not f.gradients:
                kinds.setdefault((ends[f.step], f.root, f.training, len(f.rows)), set()).add(f.step)
        regular = {kind[1:] for kind, seen in kinds.items() if 2 * len(seen) > ends.count(kind[0])}
        return [f for f in self.evaluation if f.gradients or (f.root, f.training, len(f.rows)) not in regular]

    @cached_property
    def left(self) -> dict[int, frozenset[str] | None]:
        """Of each forward pass, by identity, the generators that are seeded or restored before training goes on; None
        where no training follows."""
        found: dict[int, frozenset[str] | None] = {}
        passes = zip(reversed(self.forwards), reversed(self.is_evaluation), strict=True)
        seeded: set[str] = set()
        trains = False  # later on
        for event in reversed(self.events):
            if event[0] == "seed":
                seeded.add(event[4])
            elif event[0] == "f":
                forward, evaluates = next(passes)
                found[id(forward)] = frozenset(seeded) if trains else None
                if not evaluates:
                    trains, seeded = True, set()
        return found

    @cached_property
    def training_loader(self) -> int | None:
        """The number of the loader whose batches training steps take; None where none is seen."""
        seen = Counter(f.loader for f in self.training if f.loader is not None)
        if not self.forwards:  # compiled as a whole
            loader: int | None = None
            for event in self.of("b", "o", "l"):
                loader = int(event[1].partition(":")[0]) if event[0] == "b" else loader
                if event[0] != "b" and loader is not None:
                    seen[loader] += 1
        return max(seen, key=lambda one: seen[one]) if seen else None

    @cached_property
    def training_loaders(self) -> list[int]:
        """The training loader, and those like it that train the same module: it is made anew for an epoch."""
        if self.training_loader is None:
            return []
        roots: dict[int | None, set[int]] = {}
        for forward in self.training:
            roots.setdefault(forward.loader, set()).add(forward.root)
        described = {event[1]: event[2] for event in self.of("loader")}
        ours, trained = described.get(self.training_loader), roots.get(self.training_loader, set())
        alike = [n for n, what in described.items() if what == ours and roots.get(n, set()) & trained]
        return sorted({self.training_loader, *alike})

    def orders(self, loaders: Sequence[int]) -> dict[tuple[int, int], list[Any]]:
        """The indices of the batches of each pass over some loaders: lists, or hashes of what are no indices."""
        found: dict[tuple[int, int], list[Any]] = {}
        for _, place, indices, *_ in self.of("order"):
            number, epoch = map(int, place.split(":"))
            if number in loaders:
                found.setdefault((number, epoch), []).append(indices)
        return found

    @cached_property
    def late(self) -> set[int]:
        """The outermost modules that were first called once an optimizer had stepped: theirs may be learned weights."""
        stepped, found = False, set()
        for event in self.of("o", "weights"):
            stepped = stepped or event[0] == "o"
            if stepped and event[0] == "weights":
                found.add(event[1])
        return found

    def weights(self) -> dict[tuple[int, str], str]:
        """The hash of each initial parameter, by its outermost module and name."""
        return {(event[1], name): value for event in self.of("weights") for name, value in event[3].items()}


@dataclass(frozen=True)
class Trace:
    """The trace of one run of a program."""

    processes: list[Process]

    @classmethod
    def read(cls, folder: Path) -> "Trace":
        """The trace in a folder; InputError where there is none."""
        processes = []
        for path in sorted(folder.glob("*.jsonl")):
            lines = path.read_text(errors="replace").splitlines()
            events = [event for line in lines if (event := _parse(line)) is not None]
            processes.append(Process(events))
        if not processes:
            raise InputError(
                f"{folder}: the program left no trace; is it Python, started without -I, -E or -S, which ignore "
                "PYTHONPATH?"
            )
        return cls(processes)

    @cached_property
    def main(self) -> Process:
        """The process that trains; of several ranks the first."""
        return min(self.ranks, key=lambda process: process.rank or 0)

    @cached_property
    def ranks(self) -> list[Process]:
        """The processes that train: those with the most steps, one per rank."""
        most = max(process.steps for process in self.processes)
        training = [process for process in self.processes if process.steps == most]
        if not most:
            return self.processes[:1]
        by_rank = {process.rank: process for process in self.processes if process.steps and process.rank is not None}
        return list(by_rank.values()) if len(by_rank) > 1 else training

    @cached_property
    def workers(self) -> list[Process]:
        """The processes that the training process started for its loaders, in their order."""
        of_main = [p for p in self.processes if p.start.get("parent") == self.main.start.get("pid", 0)]
        return [p for p in of_main if p is not self.main and any(event[3] >= 0 for event in p.of("s"))]

    @cached_property
    def batches(self) -> list[Batch]:
        """All batches that were made by the training process or by its workers."""
        return self.batches_by(self.main)

    def batches_by(self, rank: Process) -> list[Batch]:
        """The batches that one rank or its workers made."""
        found = []
        for process in self.processes:
            if process is not rank and process.start.get("parent") != rank.start.get("pid", 0):
                continue
            for _, place, number, worker, indices, rows, drawn in process.of("s"):
                loader, epoch = map(int, (place or "0:0").split(":"))
                listed = None if indices is None else tuple(indices)
                found.append(Batch(loader, epoch, number, worker, listed, unpack(rows), drawn))
        return found

    def batches_of(self, loader: int | None) -> list[Batch]:
        """The batches of one loader."""
        return [batch for batch in self.batches if batch.loader == loader]


def _parse(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:  # the last line of a process that was killed
        return None
    return event if isinstance(event, list) and event else None


def unpack(rows: str) -> tuple[int, ...]:
    """The hashes of the examples of a batch, as `pack_rows` of the tracer has written them."""
    data = base64.b64decode(rows)
    return struct.unpack(f"<{len(data) // 4}I", data)
