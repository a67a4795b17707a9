"""A search in words: the decision, the winner's curse, and the reasons not to trust it yet."""

import json
import math
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from seedspread import statistics as st
from seedspread.config.overrides import TRAIN, results_override, split_command
from seedspread.decide.decision import Contest
from seedspread.records.digits import Digits
from seedspread.records.metric import ACCURACY
from seedspread.records.study import Study
from seedspread.records.tables import column_name
from seedspread.report.decision_words import WORDS, decision_digits, format_interval, verdict_line
from seedspread.report.labels import describe_metric
from seedspread.report.study_words import format_p_value
from seedspread.search.judge import Judgement
from seedspread.search.results import SearchResults
from seedspread.search.space import DIGITS, Hyperparameter
from seedspread.search.trials import Trial, best_trial
from seedspread.statistics import Outcome, mean_interval

EDGE = 0.05  # of a range: a best value nearer to its end may lie beyond
NEAR = 0.15  # of each range, on average: the neighbourhood of the best point
NEIGHBOURS = 3  # points near the best that support it
RISE = 1.05  # of the test loss above its minimum, while the training loss falls: overfitting


def search_headline(t: SearchResults) -> str:
    """The decision in a sentence, then its reason."""
    if t.judgement is None:
        return (
            f"{t.best.name} is the best of {len(t.finished)} trials with {what(t)}{t.digits.value(t.best.score)}, not "
            f"yet judged on fresh seeds: {t.unjudged}."
        )
    j, name = t.judgement, t.best.name
    advice = {
        "adopt": f"Adopt {name}",
        "keep": "Keep the baseline",
        "more seeds": f"Keep the baseline for now: {name} is undecided",
    }[j.advice]
    baseline, winner = j.diverged
    if winner > baseline:
        advice += f", since {name} diverged on {winner} fresh seeds and the baseline on {baseline}"
    elif j.advice == "keep" and j.decision.outcome == Outcome.BETTER:
        advice += (
            f", since {name} is not shown to be better on {'the test set' if j.has_test_set else 'other examples'}"
        )
    return " ".join([f"{advice}.", explain_judgement(j), *_on_the_test_set(j), *_continue(j)])


def _continue(j: Judgement) -> Iterator[str]:
    """How an undecided search continues."""
    if j.advice == "more seeds":
        yield (
            f"The same command with fresh_seeds={2 * j.decision.pairs} continues this decision, which holds however "
            "often it is looked at."
        )


def _on_the_test_set(j: Judgement) -> Iterator[str]:
    """Where the seeds decide for the winner: whether it is better on the test set and on other examples."""
    if j.decision.outcome != Outcome.BETTER or (j.comparison is None and not j.has_test_set):
        return
    if (c := j.comparison) is None:
        yield f"On the test set {j.decision.candidate} differs by the same amount on each seed: nothing is shown there."
        return
    if j.has_test_set:
        d = c.digits()
        yield (
            f"On the test set the difference is {d.signed(c.primary.value)} (95 % "
            f"{d.signed_interval(*c.primary.interval)}; {format_p_value(c.primary.p)})."
        )
    if (e := c.examples) is None:
        return
    d, k = c.digits(e.whole.error), j.chosen_on_test_among
    counted = f", and its p-value counts {k} times, for the trials that were compared on them" if k > 1 else ""
    yield (
        f"That is on these {e.count:,} test examples: on others the difference is {d.signed(e.whole.value)} (95 % "
        f"{d.signed_interval(*e.whole.interval)}; {format_p_value(e.whole.p)}){counted}."
    )


def what(t: SearchResults) -> str:
    """The metric's name before a number; nothing for val/acc, which needs no name."""
    return "" if t.metric.name == ACCURACY.name else f"{t.metric.name} "


def explain_judgement(j: Judgement) -> str:
    """What the fresh seeds decide between winner and baseline, in a sentence."""
    x = j.decision
    before, again = j.again
    if x.identical or np.ptp(again - before):
        return verdict_line(_contest(j))
    if not np.any(again - before):
        return f"{x.candidate} and {x.baseline} have the same score on each of {len(again)} seeds."
    d = Digits.of(x.metric, again)
    return (
        f"{x.candidate} differs from {x.baseline} by {d.signed(float(again[0] - before[0]))}{d.difference_suffix} on "
        f"each of {len(again)} seeds: there is no variance to test against."
    )


def _contest(j: Judgement) -> Contest:
    return Contest([j.decision], j.decision)


def decision_rows(j: Judgement) -> list[tuple[str, str]]:
    """The decision as a table."""
    x, look = j.decision, j.decision.look
    d = decision_digits(x)
    difference = f"{d.signed(float(look.mean))}{d.difference_suffix} ({format_interval(x, look)})"
    rows = [
        ("verdict", WORDS[x.outcome]),
        ("pairs of fresh seeds", f"{x.pairs}"),
        (f"difference in {x.metric.name}, always-valid interval", difference),
        ("p, valid at every look", format_p_value(x.p)),
    ]
    if any(counts := [int(n) for n in look.collapsed]):
        rows.append(("collapsed or diverged, of the baseline and of the winner", " and ".join(map(str, counts))))
    if x.worth is not None:
        rows.append(("smallest difference that matters", f"{x.worth:g}"))
    return rows


def winners_curse(t: SearchResults) -> Iterator[str]:
    """How much the choice among trials inflates the best score, and what the fresh seeds show."""
    yield (
        f"The best of {len(t.finished)} trials looks better than it is: part of its score is luck with the seeds that "
        "it was chosen by."
    )
    if j := t.judgement:
        d = t.digits
        of = f"mean of {len(t.best.scores)} seeds" if len(t.best.scores) > 1 else "one seed"
        before, again = j.again
        yield (
            f"{t.best.name} was chosen with {what(t)}{d.value(t.best.score)} ({of}{_on_validation(j)}). On "
            f"{len(again)} fresh seeds it scores {_with_interval(d, again)}: the winner's curse is "
            f"{d.signed(j.curse)}{d.difference_suffix}. The baseline on the same seeds scores "
            f"{d.value(float(before.mean()))}."
        )
        if j.has_test_set:
            yield (
                f"On the test set, {t.best.name} scores {_with_interval(d, j.fresh)} and the baseline "
                f"{_with_interval(d, j.baseline)}, with the same seeds. The test set chose nothing: trials were "
                "compared on validation data, and each seed was scored on the test set once, at its end."
            )
        else:
            yield (
                "Fresh seeds remove the luck with seeds. They are scored on the same examples as the trials, so luck "
                "with these examples remains."
            )


def _on_validation(j: Judgement) -> str:
    return ", on validation data" if j.has_test_set else ""


def _with_interval(d: Digits, scores: np.ndarray) -> str:
    low, high = mean_interval(scores)
    return f"{d.value(float(scores.mean()))} (95 % {d.plain(low)} to {d.plain(high)})"


def cautions(t: SearchResults) -> Iterator[str]:
    """The reasons not to trust the search yet."""
    if t.curves[0].test_metric is None:
        leave = "" if not t.curves[0].is_of_test_set else "; data.validation=0.1 leaves the test set out of the choice"
        yield (
            f"The {len(t.finished)} trials were compared on the examples that judge the winner as well, so that one of "
            f"them looks good by luck with these examples{leave}."
        )
    yield from _space_cautions(t)
    yield from _curve_cautions(t)
    if t.diverged:
        yield f"{len(t.diverged)} of {len(t.trials)} trials diverged with all their seeds."
    if partly := [f"{trial.name} ({len(trial.diverged)})" for trial in t.finished if trial.diverged]:
        yield f"Seeds diverged and are not in the mean of their trial: {', '.join(partly)}."
    if failed := [f"{trial.name} ({len(trial.failed)})" for trial in t.trials if trial.failed]:
        yield f"Seeds failed: {', '.join(failed)}. The same command retries them."
    if damaged := [problem for trial in t.trials for problem in trial.problems]:
        yield f"Not counted: {'; '.join(damaged)}."
    if len(counts := sorted({len(trial.scores) + len(trial.diverged) for trial in t.finished})) > 1:
        yield f"Trials have {counts[0]} to {counts[-1]} seeds: the means of fewer seeds vary more by luck."
    if t.left_out:
        yield f"{t.left_out} trials of a space with other keys are left out."
    judged = [path.parent.name for path in t.folder.glob("trial-*-fresh/study.yaml")]
    if len(judged) > 1:
        yield (
            f"{len(judged)} winners have been judged on fresh seeds ({', '.join(sorted(judged))}): the test set was "
            f"looked at {len(judged)} times, and choosing among them by these scores is choosing by luck again."
        )


def _space_cautions(t: SearchResults) -> Iterator[str]:
    if not t.space.contains(t.best.point):
        yield f"{t.best.name}, the best, lies outside the space as it is now declared."
        return
    numeric = [h for h in t.space.hyperparameters if h.scale != "choice"]
    for h in numeric:
        value, place, (low, high) = t.best.point[h.key], h.position(t.best.point[h.key]), h.range
        if EDGE <= place <= 1 - EDGE:
            continue
        end, wider = ("lower", _stretch(h, -0.5, 1)) if place < EDGE else ("upper", _stretch(h, 0, 1.5))
        beyond = "the best may lie beyond."
        if wider != _stretch(h, 0, 1):
            beyond += f" Wider: 'space.{h.key}.range={wider}'"
        if low == 0 and place < EDGE:
            beyond = "perhaps the best value is 0."
        yield f"The best {h.key} ({value:g}) lies at the {end} edge of {low:g} to {high:g}: {beyond}"
    at = t.space.positions(t.best.point)
    places = np.array([t.space.positions(trial.point) for trial in t.finished if t.space.contains(trial.point)])
    near = int((np.sqrt(((places - at) ** 2).mean(1)) < NEAR).sum()) - 1
    if numeric and near < NEIGHBOURS:  # choices have no distances
        narrower = " ".join(f"'space.{h.key}.range={_around(h, t.best.point[h.key])}'" for h in numeric)
        yield (
            f"{near or 'No'} other point{'s' * (near > 1)} near the best: it may be luck. Search there: "
            f"search=exploit {narrower}".rstrip()
        )


def _around(h: Hyperparameter, value: float) -> str:
    """A third of the range around `value`, as it is typed."""
    start = min(max(h.position(value) - 1 / 6, 0.0), 2 / 3)
    return _stretch(h, start, start + 1 / 3)


def _stretch(h: Hyperparameter, start: float, end: float) -> str:
    """The range between two positions, as it is typed; a range above 0 stays above 0."""
    low, high = h.number_at(start), h.number_at(end)
    if h.range[0] > 0:
        low = max(low, 1.0 if h.whole else 0.0)
    if h.whole:
        last = math.ceil(high - 1e-9) - 1  # positions run to the end of the last integer
        first = min(math.floor(low + 1e-9), max(last, h.range[1]) - 1)
        return f"[{first},{max(last, first + 1)}]"
    return f"[{low:.{DIGITS}g},{high:.{DIGITS}g}]"


def _curve_cautions(t: SearchResults) -> Iterator[str]:
    best = t.curves[0]
    points, curves = best.logged(t.metric.name)
    if len(points) < 4:
        return
    steps = t.metric.sign * np.diff(curves[:, len(points) // 2 :], axis=1)
    falls = np.minimum(steps[np.isfinite(steps)], 0)
    jitter = float(np.sqrt(np.mean(falls**2))) if falls.size else 0.0  # for a flat trend with noise of std s it is s
    if jitter > t.noise > 0:
        falls_by = "falls" if t.metric.sign > 0 else "rises"
        yield (
            f"Unstable: from epoch to epoch the {t.metric.quantity} of {t.best.name} {falls_by} by "
            f"{t.digits.difference(jitter)} even in the later half, more than the {t.digits.difference(t.noise)} "
            "between seeds. A smaller learning rate at the end, or gradient clipping, would make the last score more "
            "stable."
        )
    losses = [best.logged(name) for name in ("val/loss", "train/loss")]
    if not all(len(points) for points, _ in losses) or not np.array_equal(losses[0][0], losses[1][0]):
        return
    (points, scored), (_, trained) = losses
    test, training = st.bands(scored).mean, st.bands(trained).mean
    lowest, unit = int(test.argmin()), "epoch" if best.axis == "epochs trained" else "step"
    if test[-1] > RISE * test[lowest] and training[-1] < training[lowest]:
        yield (
            f"Overfitting: the {describe_metric(best, 'val/loss')} of {t.best.name} ends "
            f"{100 * (test[-1] / test[lowest] - 1):.0f} % above its minimum after {unit} {points[lowest]}, while the "
            "training loss still falls. Use more regularisation or fewer epochs."
        )


def trial_command(t: SearchResults, trial: Trial) -> str:
    """The command that trains the seeds of a trial again."""
    seeds = sorted([*trial.scores, *trial.diverged])
    record = Study.load(t.folder / trial.name).record(seeds[0])
    command = record.command if record else None
    words = split_command(command) if command else [f"study={trial.name}", *results_override(t.folder)]
    value = f"range(0,{seeds[-1] + 1})" if seeds == [*range(seeds[-1] + 1)] else ",".join(map(str, seeds))
    others = [word for word in words if not word.startswith("seed=")]
    return shlex.join([*TRAIN, "-m", f"seed={value}", *others])


def search_log(t: SearchResults) -> list[dict[str, Any]]:
    """The playbook's log, a row for each search: trials, the best of them, and the command that trains it again."""
    searches: dict[str, list[Trial]] = {}
    for trial in t.trials:
        searches.setdefault(json.dumps([trial.search, trial.space]), []).append(trial)
    rows = []
    for key, trials in searches.items():
        kind, space = json.loads(key)
        between = {"choice": " or "}
        ranges = [f"{k} {between.get(h['scale'], ' to ').join(map(str, h['range']))}" for k, h in (space or {}).items()]
        row: dict[str, Any] = {"search": kind, "space": ", ".join(ranges), "trials": len(trials)}
        row["diverged"] = sum(trial.has_diverged for trial in trials)
        if best := best_trial(trials):
            row |= {"best": best.name, "score": best.score, "std": best.std, "seeds": len(best.scores)}
            row["command"] = trial_command(t, best)
        rows.append(row)
    return rows


def trials_table(t: SearchResults) -> list[dict[str, Any]]:
    """A row for each trial, in their order."""
    return [
        {"trial": trial.name, "search": trial.search, column_name(t.metric): trial.score, "std": trial.std}
        | {"finished": len(trial.scores), "diverged": len(trial.diverged), "failed": len(trial.failed)}
        | trial.point
        for trial in t.trials
    ]
