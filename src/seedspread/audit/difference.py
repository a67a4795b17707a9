"""Where two runs first differ: the first hash that differs while all that it depends on is equal."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from seedspread.audit.trace import FUNCTIONAL, Event, Process


class Part(StrEnum):
    """What differs first."""

    WEIGHTS = "the initial weights"
    COURSE = "the course of the program"
    BATCH = "the batch"
    DRAWS = "the random numbers that a forward pass or a fit draws"
    RECEIVED = "what a module receives from the code before it"
    OUTPUT = "the output"
    TARGETS = "the targets of the loss"
    LOSS = "the loss"
    GRADIENTS = "the gradients"
    SETTINGS = "a setting of the optimizer, as its learning rate"
    UPDATE = "the weights after the step"
    LENGTH = "the number of steps"


COMPARED = ("weights", "f", "l", "o", "fit")  # kinds of events
ORDINARY = {"m", "p", "g"}  # kinds of the second pass, by module


@dataclass(frozen=True)
class Difference:
    """The first one: in which step (from 0), of what, of which module or parameter as far as that is known."""

    step: int
    part: Part
    where: str = ""


def find_difference(one: Process, other: Process) -> Difference | None:
    """The first difference of two traces of one program; None where all that both have is equal."""
    step, ours, theirs = 0, list(one.of(*COMPARED)), list(other.of(*COMPARED))
    for a, b in zip(ours, theirs, strict=False):
        if (found := compare_events(a, b)) is not None:
            part, where = found
            return Difference(step, part, where or (one.roots.get(a[1], "") if a[0] == "f" else ""))
        step += a[0] == one.boundary
    ended = [any(event[0] == "end" and event[1] == "exit" for event in p.events) for p in (one, other)]
    if len(ours) != len(theirs) and all(ended):
        return Difference(step, Part.LENGTH)
    return None


def compare_events(a: Event, b: Event) -> tuple[Part, str] | None:
    """What differs first of two events of the same place in two traces, and of which module; None where nothing."""
    if a[:2] != b[:2] and (a[0] != b[0] or a[0] in ("weights", "f", "o")):
        return Part.COURSE, ""
    if a[0] == "weights":
        name = next((name for name in a[3] if a[3][name] != b[3].get(name)), None)
        return None if name is None else (Part.WEIGHTS, f"{a[2]}.{name}")
    if a[0] == "f":
        return _compare_passes(a, b)
    if a[0] == "l":
        return (Part.TARGETS, "") if a[2:] != b[2:] else (Part.LOSS, "") if a[1] != b[1] else None
    if a[0] == "o":
        parts = (Part.GRADIENTS, 2), (Part.SETTINGS, 4), (Part.UPDATE, 3)
        return next(((part, "") for part, i in parts if a[i : i + 1] != b[i : i + 1]), None)
    if a[1] != b[1]:
        return Part.COURSE, a[1]
    if a[2] != b[2]:
        return Part.BATCH, a[1]
    if any(a[5].get(name) != b[5].get(name) for name in {*a[6], *b[6]}):
        return Part.DRAWS, a[1]
    return (Part.OUTPUT, a[1]) if a[3] != b[3] else None


def _compare_passes(a: Event, b: Event) -> tuple[Part, str] | None:
    if a[2] != b[2]:
        return Part.COURSE, ""
    if a[3] != b[3]:
        return Part.BATCH, ""
    if a[7] == b[7]:
        return None
    functional = a[1] == FUNCTIONAL
    drawn = set(a[5]) | set(b[5]) if functional else set(a[8]) | set(b[8])
    if any(a[6].get(name) != b[6].get(name) for name in drawn):
        return Part.DRAWS, ", ".join(a[9])
    return None if functional else (Part.OUTPUT, "")


def locate_module(one: Process, other: Process) -> Difference | None:
    """The first difference of two traces by module: the module or the gradient behind a different output or update."""
    step, last = 0, None
    for a, b in zip(_fine(one), _fine(other), strict=False):
        if a[0] != b[0]:
            return Difference(step, Part.COURSE)
        if a[0] == "m":
            if a[1] != b[1]:
                return Difference(step, Part.COURSE, a[1])
            if a[3] != b[3] and a[2] == b[2]:
                return Difference(step, Part.OUTPUT, a[1])
            if a[2] != b[2] and a[1] not in one.roots.values():
                return Difference(step, Part.RECEIVED, a[1])
            last = a[1]
        elif a[0] in ("g", "p") and a[1] != b[1]:
            part = Part.GRADIENTS if a[0] == "g" else Part.UPDATE
            return Difference(step, part, _name_parameter(one, a, b))
        elif (found := compare_events(a, b) if a[0] in COMPARED else None) is not None:
            return Difference(step, found[0], found[1] or (last or "" if a[0] == "f" else ""))
        step += a[0] == one.boundary
    return None


def _fine(process: Process) -> list[Event]:
    return list(process.of(*COMPARED, *ORDINARY))


def _name_parameter(process: Process, a: Event, b: Event) -> str:
    """The last parameter with another gradient, the first that a backward pass reaches; its name where it is known."""
    differing = [i for i, (x, y) in enumerate(zip(a[1], b[1], strict=False)) if x != y]
    names: list[Any] = [name for event in process.of("weights") for name in event[3]]
    i = differing[-1] if differing else 0
    return names[i] if len(names) == len(a[1]) else f"parameter {i}"
