"""What the traces show of calls that seed: by which line, with which value, and what was drawn before them."""

from collections import Counter
from dataclasses import dataclass, field

from seedspread.audit.trace import Event, Process, Trace


@dataclass(frozen=True)
class Seeding:
    """One call; `value` is None where the operating system chooses, `drawn` is whether its generator had been used.

    `by_library` is whether torch or another library seeds a generator of its own, with what it has drawn; `forwards` is
    how many forward passes came before.
    """

    function: str
    value: str | None
    caller: str
    generator: str
    drawn: bool
    by_library: bool = False
    forwards: int = field(default=0, compare=False)


def list_seedings(process: Process) -> list[Seeding]:
    """The calls of a process."""
    found, moved, forwards = [], set(), 0
    for event in process.events:
        forwards += event[0] == "f"
        if event[0] == "seed":
            moved.update(event[5])
            function, value, caller, generator = event[1:5]
            by_library = len(event) > 6 and event[6]
            found.append(Seeding(function, value, caller, generator, generator in moved, by_library, forwards))
        moved.update(_moved(event))
    return found


def find_unequal(one: Process, other: Process) -> str | None:
    """The generator whose state is the first to differ between two runs of one seed as a batch is trained on; or None.

    Of several that differ there, one that was drawn from for this batch.
    """
    fits = zip(one.of("fit"), other.of("fit"), strict=False)
    states = [(a.moved, a.states, b.states) for a, b in zip(one.training, other.training, strict=False)]
    for moved, ours, theirs in states + [({*a[4], *a[6]}, a[5], b[5]) for a, b in fits]:
        unequal = sorted(name for name in ours if ours[name] != theirs.get(name, ours[name]))
        if unequal:
            return next((name for name in unequal if name in moved), unequal[0])
    return None


def explain_difference(one: Process, other: Process) -> tuple[str, str]:
    """The likely cause why the data differ between two runs of one seed, and the line to add."""
    name = find_unequal(one, other)
    if name is not None:
        return explain_unseeded(one, name)
    return "a generator that the trace does not see, or data that are read in another order", ""


def _moved(event: Event) -> list[str]:
    """The generators that an event shows to have been drawn from before or during it."""
    if event[0] == "f":
        return [*event[5], *event[8]]
    if event[0] == "fit":
        return [*event[4], *event[6]]
    if event[0] == "order":
        return [*event[3], *event[4]]
    if event[0] == "pass":
        return [*event[3], *event[4]]
    if event[0] == "permutation":
        return [event[5]] if event[5] else []
    return list(event[6]) if event[0] == "s" else []


def find_changing(one: Process, other: Process) -> Seeding | None:
    """The first call of the program that seeds with another value in another run of the same seed; None where none.

    What the processes of loaders and the samplers of libraries call follows from another seed, and is not asked about;
    nor is a state that is restored, nor what may be drawn from a generator whose states differed before.
    """
    ours, theirs = ([c for c in list_seedings(p) if "set" not in c.function and not c.by_library] for p in (one, other))
    for a, b in zip(ours, theirs, strict=False):
        if a.caller != b.caller or a.function != b.function:
            return None
        if a.value != b.value or a.value is None:
            before = zip(one.forwards[: a.forwards], other.forwards[: b.forwards], strict=False)
            follows = a.value is not None and any(f.states != g.states for f, g in before)
            return None if follows else a
    return None


def find_repeated(process: Process, generator: str | None = None) -> Seeding | None:
    """The call that seeds with the same value most often, and at least once after training began; None where none."""
    calls = [c for c in list_seedings(process) if "set" not in c.function and c.value is not None]
    counts = Counter((c.function, c.value, c.caller) for c in calls)
    calls = [c for c in calls if c.forwards and not c.by_library and generator in (None, c.generator)]
    again = [c for c in calls if counts[c.function, c.value, c.caller] > 1]
    return max(again, key=lambda c: counts[c.function, c.value, c.caller], default=None)


def explain_repeats(trace: Trace, generator: str | None = None) -> tuple[str, str] | None:
    """The likely cause why the same numbers are drawn again from a generator, and what to change; None where no call is
    seen that seeds it, or any."""
    in_main, in_workers = find_repeated(trace.main, generator), _find_repeated_in_workers(trace, generator)
    call = in_main or in_workers or find_repeated(trace.main)
    if call is None:
        return None
    cause = f"{call.caller} calls {call.function} with {call.value} again and again"
    if call.generator in SEEDING_LINES:
        return cause, "seed once, before training; what needs numbers of its own draws them from a generator of its own"
    return cause, "make the generator once, before training, or seed it with the epoch as well"


def _find_repeated_in_workers(trace: Trace, generator: str | None) -> Seeding | None:
    counts: Counter[tuple[int, Seeding]] = Counter()
    for process in trace.workers:
        number = next(event[3] for event in process.of("s") if event[3] >= 0)
        counts.update((number, call) for call in list_seedings(process) if call.value is not None)
    again = [call for (_, call), n in counts.items() if n > 1]
    return max(again, key=lambda c: (c.generator == generator, c.caller), default=None)


def explain_unseeded(process: Process, generator: str) -> tuple[str, str]:
    """The likely cause why draws of a generator differ between two runs of one seed, and the line to add."""
    seeding = [call for call in list_seedings(process) if "set" not in call.function]  # a state that is restored
    calls = [call for call in seeding if call.generator == generator]
    made = [call.function for call in calls if call.function in ("random.Random", "numpy.random.RandomState")]
    maker = made[0] if made else "numpy.random.default_rng"
    line = SEEDING_LINES.get(generator.partition(":")[0], f"make it with a seed: {maker}(seed)")
    if generator.startswith(("generator of", "loader.generator")):
        line = "torch.Generator().manual_seed(seed)"
    if not calls:
        return f"no call seeds the generator {generator}", line
    if calls[0].drawn:
        return f"it was drawn from before {calls[0].caller} seeds it ({calls[0].function})", f"earlier: {line}"
    if calls[0].value is None:
        return f"{calls[0].caller} makes it without a seed ({calls[0].function})", line
    return "what it was seeded with, or what was drawn before, differs", line


SEEDING_LINES = {
    "python": "random.seed(seed)",
    "numpy": "numpy.random.seed(seed)",
    "torch": "torch.manual_seed(seed)",
    "cuda": "torch.manual_seed(seed)",
}


def list_seeded_examples(trace: Trace) -> dict[str, set[str]]:
    """The seeds that generators are made with while a loader's examples are, by the line that makes them."""
    found: dict[str, set[str]] = {}
    for process in (trace.main, *trace.workers):
        made: list[tuple[str, str]] = []
        for event in process.events:
            if event[0] == "seed" and event[2] is not None:
                made.append((event[3], event[2]))
            elif event[0] == "s" and int((event[1] or "0").partition(":")[0]) in trace.main.training_loaders:
                for caller, value in made:
                    found.setdefault(caller, set()).add(value)
            if event[0] != "seed":
                made = []
    return found
