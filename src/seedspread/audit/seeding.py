"""What the traces show of calls that seed: by which line, with which value, and what was drawn before them."""

from dataclasses import dataclass

from seedspread.audit.trace import Event, Process


@dataclass(frozen=True)
class Seeding:
    """One call; `value` is None where the operating system chooses, `drawn` is whether its generator had been used."""

    function: str
    value: str | None
    caller: str
    generator: str
    drawn: bool


def list_seedings(process: Process) -> list[Seeding]:
    """The calls of a process."""
    found, moved = [], set()
    for event in process.events:
        if event[0] == "seed":
            moved.update(event[5])
            found.append(Seeding(event[1], event[2], event[3], event[4], event[4] in moved))
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

    What the processes of loaders call follows from their seed, and is not asked about; nor is a state that is restored.
    """
    ours, theirs = ([c for c in list_seedings(p) if "set" not in c.function] for p in (one, other))
    for a, b in zip(ours, theirs, strict=False):
        if a.caller != b.caller or a.function != b.function:
            return None
        if a.value != b.value or a.value is None:
            return a
    return None


def explain_unseeded(process: Process, generator: str) -> tuple[str, str]:
    """The likely cause why draws of a generator differ between two runs of one seed, and the line to add."""
    seeding = [call for call in list_seedings(process) if "set" not in call.function]  # a state that is restored
    calls = [call for call in seeding if call.generator == generator]
    line = SEEDING_LINES.get(generator.partition(":")[0], "make it with a seed: numpy.random.default_rng(seed)")
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
