"""Seeds whose training collapsed are a finding of their own: all else is told of the other seeds."""

from dataclasses import replace

from seedspread import statistics as st
from seedspread.records.record import Status
from seedspread.records.scores import Scores


def leave_out_collapsed(scores: Scores) -> tuple[Scores, list[int]]:
    """The scores of the seeds that did not collapse, and which did, ascending, with those that diverged."""
    lost = scores.seeds[st.find_collapsed(scores.final, scores.metric.sign)].tolist()
    if lost:
        kept = {seed: record for seed, record in scores.records.items() if seed not in set(lost)}
        return replace(scores, records=kept), sorted([*scores.reasons(Status.DIVERGED), *lost])
    return scores, sorted(scores.reasons(Status.DIVERGED))
