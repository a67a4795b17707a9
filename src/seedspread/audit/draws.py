"""What the training process itself draws between steps, from which generator, and how often."""

from seedspread.audit.trace import Process

OFTEN = 0.5  # of the steps, or of the forward passes


def list_regular(process: Process) -> list[str]:
    """The generators that are drawn from before most batches, whatever for; else those that are once in a while.

    What a forward pass draws itself, as dropout does, does not count; nor does what only permutations draw once in a
    while, which is an order.
    """
    steps: dict[str, set[int]] = {}
    passes: dict[str, int] = {}
    for forward in process.training:
        for name in forward.moved:
            steps.setdefault(name, set()).add(forward.step)
            passes[name] = passes.get(name, 0) + 1
    step_count = len({forward.step for forward in process.training})

    def is_regular(name: str) -> bool:
        often = len(steps[name]) >= OFTEN * step_count or passes[name] >= OFTEN * len(process.training)
        return often and passes[name] >= 2

    regular = sorted(filter(is_regular, steps), key=lambda name: (-passes[name], name))
    return regular or _list_occasional(process)


def _list_occasional(process: Process) -> list[str]:
    """The generators that are drawn from now and then after the first batch, by more than permutations."""
    permuted = {(event[5], event[6]) for event in process.of("permutation")}
    found = {
        name
        for forward in process.training[1:]
        for name in forward.moved
        if (name, forward.states.get(name)) not in permuted
    }
    return sorted(found)


def list_states(process: Process, name: str) -> list[tuple[str, int]]:
    """The state of a generator at each training pass before which it was drawn from, and the network."""
    return [(f.states[name], f.root) for f in process.training if name in f.moved and name in f.states]
