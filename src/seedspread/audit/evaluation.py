"""Is evaluation free of dropout, and of the generators that training draws from?"""

from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.runs import Runs
from seedspread.audit.trace import Process, Trace

SOURCE = Source.EVALUATION


def judge_evaluation(runs: Runs) -> list[Finding]:
    """The forward passes between training steps that no step takes a gradient of."""
    main = runs.first.main
    if not main.evaluation:
        return [Finding(SOURCE, Verdict.UNKNOWN, f"no evaluation was seen within {main.steps} steps")]
    found = []
    active = [forward for forward in main.occasional if forward.dropout and forward.during]
    if active:
        names = ", ".join(f"`{name}`" for name in active[0].dropout)
        evidence = f"dropout {names} draws in {len(active)} of {len(main.evaluation)} evaluation passes"
        cause = "the network is in training mode while it is evaluated"
        found.append(
            Finding(
                SOURCE, Verdict.ACTIVE, evidence, f"{SOURCE}.dropout", cause, "model.eval() before, model.train() after"
            )
        )
    shared = sorted(_drawn_by_evaluation(runs.first) & _drawn_by_training(runs.first))
    if (altered := _find_altered(runs.first, bool(shared))) is not None:
        found.append(altered)
    elif shared:
        names = ", ".join(name.partition("@")[0] for name in shared)
        evidence = f"training and evaluation both draw from {names}: another number of evaluations is another training"
        cause, fix = "one generator serves both", "a generator of its own for evaluation"
        within = [forward for forward in main.occasional if forward.during and not forward.dropout]
        if within and not any(forward.training for forward in within):
            evidence = f"forward draws in {len(within)} of {count_passes(main)}, from {names} as in training"
            cause = "a dropout that is active in evaluation mode as well, or a network that samples"
            fix = "F.dropout(x, p, training=self.training), or a generator of its own"
        found.append(Finding(SOURCE, Verdict.SHARED, evidence, f"{SOURCE}.shared", cause, fix))
    return found or [Finding(SOURCE, Verdict.NONE, f"nothing that training draws is drawn by {count_passes(main)}")]


def _find_altered(trace: Trace, shared: bool) -> Finding | None:
    """Examples that one loader gives otherwise each time it evaluates, with the numbers drawn for them."""
    main = trace.main
    loaders = {f.loader for f in main.occasional if f.loader is not None} - {*main.training_loaders}
    for loader in sorted(loaders):
        batches = [batch for batch in trace.batches_of(loader) if batch.indices is not None]
        versions: dict[int, set[int]] = {}
        for batch in batches:
            for index, row in zip(batch.indices or (), batch.rows, strict=False):
                versions.setdefault(index, set()).add(row)
        altered = sum(len(rows) > 1 for rows in versions.values())
        names = sorted({name.partition("@")[0] for batch in batches for name in batch.drawn})
        if altered and names:
            evidence = f"{altered} of {len(versions)} examples are others in a later evaluation; drawn from {names[0]}"
            evidence += ", as training draws" if shared else ""
            cause = "random transforms, or noise, in the data set that evaluates"
            fix = "a data set without them for evaluation; where they are meant, a generator seeded anew for each pass"
            return Finding(SOURCE, Verdict.ALTERED, evidence, f"{SOURCE}.altered", cause, fix)
    return None


def count_passes(main: Process) -> str:
    """How many passes evaluate, in words."""
    n = len(main.evaluation)
    return f"{n} evaluation passes" if n > 1 else "one evaluation pass"


def _drawn_by_evaluation(trace: Trace) -> set[str]:
    """By passes that training follows, from generators whose state they leave to it."""
    main = trace.main
    found: set[str] = set()
    for forward in main.occasional:
        renewed = main.left[id(forward)]
        if renewed is not None:
            found |= (forward.moved if forward.dropout else forward.moved | forward.during) - renewed
    for loader, renewed in _evaluation_loaders(main).items():
        found |= _drawn_by_loader(trace, loader) - renewed
    return found


def _drawn_by_training(trace: Trace) -> set[str]:
    main = trace.main
    found: set[str] = set()
    for forward in main.training:
        found |= forward.moved | forward.during
    if main.training_loader is not None:
        found |= _drawn_by_loader(trace, main.training_loader)
        numbered = (e for e in main.of("order") if int(e[1].partition(":")[0]) == main.training_loader)
        found |= {name for event in numbered for name in event[3]}
    return found


def _drawn_by_loader(trace: Trace, loader: int) -> set[str]:
    """What its examples draw in the training process, and the generator that it was given.

    The seed that every loader draws from torch's generator as a pass begins counts for none: it cannot be avoided.
    """
    found = {name for batch in trace.batches_of(loader) if batch.worker < 0 for name in batch.drawn}
    numbered = [event for event in trace.main.of("order") if int(event[1].partition(":")[0]) == loader]
    return found | {name for event in numbered for name in event[3] if "@" in name}


def _evaluation_loaders(main: Process) -> dict[int, frozenset[str]]:
    """The loaders of passes that training follows, and the generators that are renewed after each of these passes."""
    found: dict[int, frozenset[str]] = {}
    for forward in main.evaluation:
        renewed, loader = main.left[id(forward)], forward.loader
        if renewed is not None and loader is not None and loader != main.training_loader:
            found[loader] = found.get(loader, renewed) & renewed
    return found
