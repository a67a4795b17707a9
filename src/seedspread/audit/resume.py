"""Does a run that was ended and resumed train as one that was not?"""

from seedspread.audit.difference import Part, compare_events
from seedspread.audit.finding import Finding, Source, Verdict
from seedspread.audit.trace import Event, Process, Trace

SOURCE = Source.RESUME
CAUSES = {
    Part.BATCH: "the states of the generators that draw order and augmentation, or the place in the epoch",
    Part.DRAWS: "the state of the generator that dropout draws from",
    Part.UPDATE: "the state of the optimizer, as its momentum,",
    Part.SETTINGS: "the state of the learning rate's schedule",
    Part.OUTPUT: "buffers, as the statistics of batch normalisation,",
}


def judge_resume(whole: Trace, resumed: Trace) -> Finding:
    """The steps of the resumed run against those of the whole one that follow the same weights."""
    ours, theirs = whole.main, resumed.main
    start = next((event[4] for event in theirs.of("optimizer")), None)
    if start is None:
        return Finding(SOURCE, Verdict.UNKNOWN, "the resumed run steps no optimizer")
    first = next((event[4] for event in ours.of("optimizer")), None)
    after = [event[3] for event in ours.of("o")]
    if start not in after:
        what = (
            "starts again from the initial weights"
            if start == first
            else "starts from weights that the whole one never had"
        )
        cause = "the checkpoint is not read, or does not hold the weights"
        return Finding(
            SOURCE, Verdict.DIFFERS, f"the resumed run {what}", f"{SOURCE}.differs", cause, "load the weights"
        )
    step = len(after) - after[::-1].index(start)  # the last step with these weights
    a, b = _list_training(ours, step), _list_training(theirs, 0)
    compared = 0
    for one, other in zip(a, b, strict=False):
        if (found := compare_events(one, other)) is not None:
            cause = f"{CAUSES.get(found[0], 'something that the trace does not see')} is not restored"
            when = f"after {compared} equal steps" if compared else "in the next step"
            evidence = f"resumed after step {step}: another run from there, first in {found[0]} {when}"
            fix = "save and load: the states of torch, numpy and random, and the place in the data"
            if found[0] in (Part.UPDATE, Part.SETTINGS):
                fix = "save and load: optimizer.state_dict() and scheduler.state_dict()"
            elif found[0] == Part.OUTPUT:
                fix = "save and load: model.state_dict(), which has the buffers"
            return Finding(SOURCE, Verdict.DIFFERS, evidence, f"{SOURCE}.differs", cause, fix)
        compared += one[0] == "o"
    if not compared:
        return Finding(SOURCE, Verdict.UNKNOWN, f"resumed after step {step}, and no step of both runs follows")
    return Finding(SOURCE, Verdict.SAME, f"resumed after step {step}: the next {compared} steps are the same")


def _list_training(process: Process, start: int) -> list[Event]:
    """Training passes, losses and optimizer's steps from step `start` on."""
    found, step, evaluates = [], 0, iter(process.is_evaluation)
    for event in process.of("f", "l", "o"):
        evaluation = event[0] == "f" and next(evaluates)
        if step >= start and not evaluation:
            found.append(event)
        step += event[0] == "o"
    return found
