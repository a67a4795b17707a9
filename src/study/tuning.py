"""A search for hyperparameters as its records tell it: trials, the best of them, and what it is worth on fresh seeds.

results/<study>-search/search.yaml             the config that trials differ from: the baseline
results/<study>-search/trial-003/              a study, and trial.json: the point, and which search chose it
results/<study>-search/trial-003-fresh/        the same config on seeds that it was not chosen by
results/<study>-search/baseline/               the baseline on those seeds
results/<study>-search/report/                 the page
"""

import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.storages.journal import JournalFileBackend

from src.errors import InputError
from src.study.scores import NothingFinished, Scores, percent
from src.study.space import DIGITS, Hyperparameter, Point, Space, Tried, typed
from src.study.statistics import Array, mean_interval
from src.study.store import STATUSES, Scan, Study, digest_of, told_apart, unwritable, write_atomically
from src.study.verdict import Arm, Compared, NothingVaries, compare, pairing
from src.study.verdict_in_words import sentence

FIRST_FRESH_SEED = 10_000  # those below are for choosing by
BASELINE = "baseline"
EDGE = 0.05  # of a range: nearer to its end the best may lie beyond
NEAR = 0.15  # of each range, on average: so near a point tells something of the best
NEIGHBOURS = 3  # points near the best that show it is no accident
BEST_SHOWN = 3  # trials whose curves are drawn
FEWEST_FOR_IMPORTANCE = 8
RISE = 1.05  # of the test loss above its minimum, while the training loss falls: overfitting


# What is on disk.


@dataclass(frozen=True)
class Trial:
    """A point, and the accuracies in percent that its seeds came to; `name` is its study's."""

    name: str
    point: Point
    scores: dict[int, float]
    diverged: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    search: str = "explore"
    space: dict[str, Any] | None = None  # the one it was chosen from
    search_seed: int = 0
    problems: tuple[str, ...] = ()  # files that are not counted, and why

    @classmethod
    def read(cls, folder: Path) -> "Trial":
        """The trial in `folder`, with the records it has by now; InputError names a damaged file."""
        path = folder / "trial.json"
        try:
            told = json.loads(path.read_text())
            point, search, space = told["point"], told["search"], told["space"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is damaged; put back a copy of it, or remove {folder}") from error
        begun = (folder / "study.yaml").exists() or any(folder.glob("seeds/*.json"))
        scan = Study.load(folder).scan() if begun else Scan()
        records = scan.records
        ended = {status: [s for s, record in records.items() if record["status"] == status] for status in STATUSES}
        scores = {s: float(percent(records[s]["metrics"]["final"]["val/acc"])) for s in ended["finished"]}
        problems = tuple(f"{folder.name}/seeds/{name}: {reason}" for name, reason in scan.problems.items())
        diverged, failed = tuple(ended["diverged"]), tuple(ended["failed"])
        return cls(folder.name, point, scores, diverged, failed, search, space, told.get("search_seed", 0), problems)

    @property
    def score(self) -> float:
        """The mean over the finished seeds; nan where none is."""
        return float(np.mean(list(self.scores.values()))) if self.scores else math.nan

    @property
    def std(self) -> float:
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else math.nan

    @property
    def settings(self) -> str:
        """The point as it is typed."""
        return " ".join(f"{key}={typed(value)}" for key, value in self.point.items())

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("trial-"))

    @property
    def was_trained(self) -> bool:
        """Whether a seed of it came to an end, or left a file that is not counted."""
        return bool(self.scores or self.diverged or self.failed or self.problems)

    @property
    def has_diverged(self) -> bool:
        """Whether all seeds that came to an end diverged."""
        return bool(self.diverged) and not self.scores

    def line(self) -> str:
        """The score or what went wrong, and the point, in a line."""
        if self.scores:
            parts = [f"{self.score:6.2f}" + (f" ± {self.std:.2f} %" if len(self.scores) > 1 else " %")]
            parts += [f"{len(self.diverged)} diverged"] * bool(self.diverged)
            parts += [f"{len(self.failed)} failed"] * bool(self.failed)
        else:
            parts = ["diverged" if self.diverged else "failed"]
        return "  ".join([self.name, *parts, self.settings])

    def describe(self, folder: Path) -> None:
        """Write down the point before it is trained."""
        told = {"search": self.search, "search_seed": self.search_seed, "point": self.point, "space": self.space}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / "trial.json", json.dumps(told, indent=1).encode())
        except OSError as error:
            raise unwritable(folder, error) from error


def trials_in(folder: Path) -> list[Trial]:
    """The trials of a search in the order of their numbers."""
    found = [path.parent for path in folder.glob("trial-*/trial.json") if re.fullmatch(r"trial-\d+", path.parent.name)]
    return sorted(map(Trial.read, found), key=lambda trial: trial.number)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest mean, the earliest of equals; None where none has a finished seed."""
    finished = [trial for trial in trials if trial.scores]
    return max(finished, key=lambda trial: trial.score, default=None)


def comparable(trials: Iterable[Trial], space: Space) -> list[Trial]:
    """The trials that have a value for each key of the space, and for no other."""
    return [trial for trial in trials if trial.point.keys() == set(space.keys)]


def tried(trials: Sequence[Trial]) -> list[Tried]:
    """Points and scores of the trials that came to one; nan where all seeds diverged."""
    return [(trial.point, trial.score) for trial in trials if trial.scores or trial.has_diverged]


def check_baseline(folder: Path, config: dict[str, Any]) -> None:
    """Remember the config of the baseline until a seed has a record; InputError where later it is another one."""
    place = folder / "search.yaml"
    elsewhere = f"name another search, for example study={folder.name.removesuffix('-search')}_2"
    if not any(folder.glob("*/seeds/*.json")):
        stored = {"digest": digest_of(config), "config": config}
        try:
            write_atomically(place, yaml.safe_dump(stored, sort_keys=False).encode())
        except OSError as error:
            raise unwritable(folder, error) from error
    if not place.exists():
        raise InputError(f"{folder} holds records but no search.yaml, which says what of; put it back, or {elsewhere}")
    try:
        stored = yaml.safe_load(place.read_text())
        digest, theirs = stored["digest"], stored["config"]
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(f"{place} is damaged; put back a copy of it, or {elsewhere}") from error
    if digest != digest_of(config):
        raise InputError(
            f"{folder} holds a search around another config ({told_apart(theirs, config)}).\n"
            f"Searches around two configs are kept apart: {elsewhere}"
        )


# What the winner is worth.


@dataclass(frozen=True)
class Judgement:
    """The best trial on fresh seeds, beside the baseline on the same ones."""

    winner: Trial
    arms: tuple[Arm, Arm]  # the baseline and the winner
    compared: Compared | None  # None where the scores differ by the same on every seed
    diverged: tuple[int, int]  # of the baseline's fresh seeds, and of the winner's

    @classmethod
    def of(cls, winner: Trial, baseline: Arm, candidate: Arm, diverged: tuple[int, int] = (0, 0)) -> "Judgement":
        compared = None
        with suppress(NothingVaries):  # as where the best of a list of choices is what the baseline has
            (compared,) = compare(baseline, [candidate], pair=True)
        return cls(winner, (baseline, candidate), compared, diverged)

    @cached_property
    def _shared(self) -> tuple[Array, Array]:
        places = pairing(*self.arms, True).places
        assert places is not None
        return self.arms[0].scores[places[0]], self.arms[1].scores[places[1]]

    @property
    def baseline(self) -> Array:
        """Scores of the baseline on the fresh seeds that both finished, (seeds,), in percent."""
        return self._shared[0]

    @property
    def honest(self) -> Array:
        """Scores of the winner on the same seeds, (seeds,)."""
        return self._shared[1]

    @property
    def honest_score(self) -> float:
        return float(self.honest.mean())

    @property
    def curse(self) -> float:
        """What the choice made the winner look better by than it is: chosen less honest score."""
        return self.winner.score - self.honest_score

    @property
    def decision(self) -> str:
        """adopt; keep, because nothing better is shown; or more seeds, because these could not show it."""
        if self.diverged[1] > self.diverged[0]:
            return "keep"
        if self.compared is None:
            return "more seeds" if self.honest_score > self.baseline.mean() else "keep"
        return {"better": "adopt", "too few seeds": "more seeds"}.get(self.compared.verdict, "keep")

    @property
    def reason(self) -> str:
        """What the fresh seeds say of the two, in a sentence."""
        if self.compared is not None:
            return sentence(self.compared)
        baseline, winner = (arm.name for arm in self.arms)
        if difference := self.honest_score - self.baseline.mean():
            told = f"{winner} differs from {baseline} by {difference:+.2f} on each of {len(self.honest)} seeds"
            return f"{told}: nothing varies to test by."
        return f"{winner} and {baseline} have the same score on each of {len(self.honest)} seeds."


def judged(folder: Path, winner: Trial) -> Judgement:
    """The winner's judgement from the records in `folder`; InputError says why there is none."""
    arms = []
    for name in (BASELINE, f"{winner.name}-fresh"):
        if not (folder / name / "study.yaml").exists():
            raise InputError("run the search with fresh_seeds=20")
        arms.append(Arm.of(Scores.of(Study.load(folder / name))))
    baseline, candidate = arms
    assert baseline.seeds is not None
    assert candidate.seeds is not None
    if len(np.intersect1d(baseline.seeds, candidate.seeds)) < 2:
        raise InputError("fewer than 2 fresh seeds are finished by both; run the search once more")
    before, now = (len(arm.study.others("diverged")) for arm in arms if arm.study)
    return Judgement.of(winner, baseline, candidate, (before, now))


# The search as a whole.


@dataclass(frozen=True)
class Tuned:
    """Everything that is told of a search, from its records."""

    folder: Path
    space: Space
    trials: list[Trial]  # those with a value for each key of the space, and for no other
    left_out: int
    best: Trial
    judgement: Judgement | None
    unjudged: str  # why there is no judgement

    @classmethod
    def of(cls, folder: Path, space: Space) -> "Tuned":
        """Read the search in `folder`; NothingFinished where no trial has a finished seed."""
        found = [trial for trial in trials_in(folder) if trial.was_trained]
        trials = comparable(found, space)
        best = best_of(trials)
        if best is None:
            more = f" ({len(trials)} trials diverged or failed)" if trials else ""
            if found and not trials:
                keys = ", ".join(found[-1].point)
                more = f" of a space with these keys; {found[-1].name} has {keys}: type the space of that search"
            raise NothingFinished(f"{folder}: no trial with a finished seed to report on{more}")
        judgement, unjudged = None, ""
        try:
            judgement = judged(folder, best)
        except InputError as error:
            unjudged = str(error).rstrip(".")
        return cls(folder, space, trials, len(found) - len(trials), best, judgement, unjudged)

    @property
    def name(self) -> str:
        return self.folder.name.removesuffix("-search")

    @cached_property
    def finished(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.scores]

    @cached_property
    def ranked(self) -> list[Trial]:
        """The finished trials, best first."""
        return sorted(self.finished, key=lambda trial: -trial.score)

    @cached_property
    def curves(self) -> list[Scores]:
        """The learning curves of the best trials, best first."""
        return [Scores.of(Study.load(self.folder / trial.name)) for trial in self.ranked[:BEST_SHOWN]]

    @cached_property
    def diverged(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.has_diverged]

    @cached_property
    def noise(self) -> float:
        """The std between seeds of one trial, pooled over trials; of the better half, since poor ones spread more."""
        better = self.ranked[: -(-len(self.ranked) // 2)]
        variances = [trial.std**2 for trial in better if not math.isnan(trial.std)]
        return math.sqrt(float(np.mean(variances))) if variances else math.nan

    def best_by(self, h: Hyperparameter, bins: int = 6) -> list[tuple[float, float, Trial]]:
        """Along one hyperparameter the best over all others: from, to (places from 0 to 1) and trial of each bin."""
        n = len(h.range) if h.scale == "choice" else bins
        found: dict[int, list[Trial]] = {}
        for trial in self.finished:
            if h.holds(trial.point[h.key]):
                place = h.place(trial.point[h.key])
                at = round(place * (n - 1)) if h.scale == "choice" else min(n - 1, int(place * n))
                found.setdefault(at, []).append(trial)
        return [(at / n, (at + 1) / n, max(trials, key=lambda t: t.score)) for at, trials in sorted(found.items())]

    @cached_property
    def importance(self) -> dict[str, float]:
        """The share of the scores' variance that each hyperparameter explains, by fANOVA (Hutter et al. 2014).

        Empty where too few trials are finished, or where they all score the same.
        """
        inside = [(trial.point, trial.score) for trial in self.finished if self.space.holds(trial.point)]
        if len(inside) < FEWEST_FOR_IMPORTANCE or np.ptp([score for _, score in inside]) == 0:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return optuna.importance.get_param_importances(self.space.as_optuna(inside), evaluator=evaluator)


# Words.


def headline(t: Tuned) -> str:
    """The decision in a sentence."""
    if t.judgement is None:
        return (
            f"{t.best.name} is best of {len(t.finished)} trials with {t.best.score:.2f} %, and not judged on fresh "
            f"seeds: {t.unjudged}."
        )
    told = {
        "adopt": f"Adopt {t.best.name}",
        "keep": "Keep the baseline",
        "more seeds": f"More seeds before anything is changed for {t.best.name}",
    }[t.judgement.decision]
    before, now = t.judgement.diverged
    if now > before:
        told += f", since {t.best.name} diverged on {now} fresh seeds and the baseline on {before}"
    return f"{told}. {t.judgement.reason}"


def honesty(t: Tuned) -> Iterator[str]:
    """What the choice among trials does to the best score, and what the fresh seeds show of it."""
    yield (
        f"Choosing among {len(t.finished)} trials by their scores makes the best look better than it is: part of what "
        "put it first is luck with its seeds."
    )
    if j := t.judgement:
        low, high = mean_interval(j.honest)
        of = f"mean of {len(t.best.scores)} seeds" if len(t.best.scores) > 1 else "one seed"
        yield (
            f"{t.best.name} was chosen with {t.best.score:.2f} % ({of}). On "
            f"{len(j.honest)} seeds that it was not chosen by it scores {j.honest_score:.2f} % (95 % {low:.2f} to "
            f"{high:.2f}): the winner's curse is {j.curse:+.2f} points. The baseline on the same seeds: "
            f"{j.baseline.mean():.2f} %."
        )
        yield (
            "Fresh seeds take out luck with seeds. They are scored on the same test examples as the trials, so luck "
            "with these stays in."
        )


def cautions(t: Tuned) -> Iterator[str]:
    """What speaks against trusting the search as it stands."""
    yield from _of_the_space(t)
    yield from _of_the_curves(t)
    if t.diverged:
        yield f"{len(t.diverged)} of {len(t.trials)} trials diverged with all their seeds."
    if partly := [f"{trial.name} ({len(trial.diverged)})" for trial in t.finished if trial.diverged]:
        yield f"Seeds diverged and are not in the mean of their trial: {', '.join(partly)}."
    if failed := [f"{trial.name} ({len(trial.failed)})" for trial in t.trials if trial.failed]:
        yield f"Seeds failed: {', '.join(failed)}. The same command tries them again."
    if damaged := [problem for trial in t.trials for problem in trial.problems]:
        yield f"Not counted: {'; '.join(damaged)}."
    if len(counts := sorted({len(trial.scores) + len(trial.diverged) for trial in t.finished})) > 1:
        yield f"Trials have {counts[0]} to {counts[-1]} seeds: means of few seeds are luckier, in both directions."
    if t.left_out:
        yield f"{t.left_out} trials of a space with other keys are left out."
    judged_before = [path.parent.name for path in t.folder.glob("trial-*-fresh/study.yaml")]
    if len(judged_before) > 1:
        yield (
            f"{len(judged_before)} winners were judged on fresh seeds by now ({', '.join(sorted(judged_before))}): to "
            "choose among them by these scores is to choose by luck again."
        )


def _of_the_space(t: Tuned) -> Iterator[str]:
    if not t.space.holds(t.best.point):
        yield f"{t.best.name}, the best, lies outside the space as it is declared now."
        return
    numeric = [h for h in t.space.hyperparameters if h.scale != "choice"]
    for h in numeric:
        value, place, (low, high) = t.best.point[h.key], h.place(t.best.point[h.key]), h.range
        if EDGE <= place <= 1 - EDGE:
            continue
        end, wider = ("lower", _stretch(h, -0.5, 1)) if place < EDGE else ("upper", _stretch(h, 0, 1.5))
        beyond = "the best may lie beyond."
        if wider != _stretch(h, 0, 1):
            beyond += f" Wider: 'space.{h.key}.range={wider}'"
        if low == 0 and place < EDGE:
            beyond = "maybe it wants none at all."
        yield f"The best {h.key} ({value:g}) lies at the {end} edge of {low:g} to {high:g}: {beyond}"
    at = t.space.places(t.best.point)
    places = np.array([t.space.places(trial.point) for trial in t.finished if t.space.holds(trial.point)])
    near = int((np.sqrt(((places - at) ** 2).mean(1)) < NEAR).sum()) - 1
    if numeric and near < NEIGHBOURS:  # of choices alone none is nearer than another
        narrower = " ".join(f"'space.{h.key}.range={_around(h, t.best.point[h.key])}'" for h in numeric)
        yield (
            f"{near or 'No'} other point{'s' * (near > 1)} near the best: it may be an accident. Go on there: "
            f"search=exploit {narrower}".rstrip()
        )


def _around(h: Hyperparameter, value: float) -> str:
    """A third of the range around `value`, as it is typed."""
    start = min(max(h.place(value) - 1 / 6, 0.0), 2 / 3)
    return _stretch(h, start, start + 1 / 3)


def _stretch(h: Hyperparameter, start: float, end: float) -> str:
    """The range between two places, as it is typed; what begins above 0 is not widened below."""
    low, high = h.along(start), h.along(end)
    if h.range[0] > 0:
        low = max(low, 1.0 if h.whole else 0.0)
    if h.whole:
        last = math.ceil(high - 1e-9) - 1  # places count to the end of the last whole number
        first = min(math.floor(low + 1e-9), max(last, h.range[1]) - 1)
        return f"[{first},{max(last, first + 1)}]"
    return f"[{low:.{DIGITS}g},{high:.{DIGITS}g}]"


def _of_the_curves(t: Tuned) -> Iterator[str]:
    best = t.curves[0]
    if len(best.epochs) < 4:
        return
    falls = np.minimum(np.diff(best.curves["val/acc"][:, len(best.epochs) // 2 :], axis=1), 0)
    jitter = float(np.sqrt(np.mean(falls**2)))  # about a flat trend with noise of std s it is s
    if jitter > t.noise > 0:
        yield (
            f"Unstable: from epoch to epoch the accuracy of {t.best.name} falls back by {jitter:.2f} points "
            f"even in the later half, more than the {t.noise:.2f} points between seeds. A smaller rate towards the "
            "end, or clipped gradients, would make its last score less of a draw."
        )
    test, training = (best.curves[metric].mean(0) for metric in ("val/loss", "train/loss"))
    lowest = int(test.argmin())
    if test[-1] > RISE * test[lowest] and training[-1] < training[lowest]:
        yield (
            f"Overfitting: the test loss of {t.best.name} ends {100 * (test[-1] / test[lowest] - 1):.0f} % above its "
            f"minimum after epoch {lowest + 1}, while the training loss still falls. More regularisation, or fewer "
            "epochs."
        )


def command_of(t: Tuned, trial: Trial) -> str:
    """What trains the seeds of a trial again."""
    seeds = sorted([*trial.scores, *trial.diverged])
    record = Study.load(t.folder / trial.name).record(seeds[0]) or {}
    words = shlex.split(record.get("command") or f"python -m src.train study={trial.name} results={t.folder}")
    spelt = f"range(0,{seeds[-1] + 1})" if seeds == [*range(seeds[-1] + 1)] else ",".join(map(str, seeds))
    others = [word for word in words[3:] if not word.startswith("seed=")]
    return shlex.join([*words[:3], "-m", f"seed={spelt}", *others])


def log(t: Tuned) -> list[dict[str, Any]]:
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
        if best := best_of(trials):
            row |= {"best": best.name, "score": best.score, "std": best.std, "seeds": len(best.scores)}
            row["command"] = command_of(t, best)
        rows.append(row)
    return rows


def table(t: Tuned) -> list[dict[str, Any]]:
    """A row for each trial, in their order."""
    return [
        {"trial": trial.name, "search": trial.search, "accuracy_percent": trial.score, "std": trial.std}
        | {"finished": len(trial.scores), "diverged": len(trial.diverged), "failed": len(trial.failed)}
        | trial.point
        for trial in t.trials
    ]


def write_journal(t: Tuned, path: Path) -> None:
    """The trials inside the space as Optuna stores them, for its dashboard; the records stay what counts."""
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    t.space.as_optuna(tried(t.trials), storage=storage)
