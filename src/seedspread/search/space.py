"""A space of hyperparameters, and which points of it to try: quasi-random ones first, then where scores promise most.

Points and scores only: nothing here knows how a score comes about. Exploring before exploiting, and the roles, are of
the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue, Nado 2023).
"""

import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from scipy.stats import qmc

from seedspread.config.errors import InputError

SCALES = ("log", "linear", "choice")
ROLES = ("scientific", "nuisance")
PARTS = ("range", "scale", "role")
DIGITS = 4  # significant ones of a value: short enough to be typed again
EXAMPLE = "space: {optimizer: {lr: {range: [0.01, 1.0], scale: log, role: nuisance}}}"
MISSES = 1000  # points of the sequence that bring nothing new, after which a space counts as used up
ASKS = 20  # proposals that were tried before, after which a new point is taken from a sequence

Point = dict[str, Any]  # a value for each key, in the order of the space
Tried = tuple[Point, float | None]  # a point and its score: larger is better, nan where it diverged, None while it runs


@dataclass(frozen=True)
class Hyperparameter:
    """One key of the config, the values it may take, and whether its effect is asked for or only to be tuned away."""

    key: str
    range: tuple[Any, ...]
    scale: str
    role: str
    whole: bool = False  # whole numbers only

    def at(self, u: float) -> Any:
        """The value at `u`, from 0 up to but without 1, along the range."""
        if self.scale == "choice":
            return self.range[int(u * len(self.range))]
        return self.rounded(math.floor(self.along(u)) if self.whole else self.along(u))

    def along(self, u: float) -> float:
        """The number at `u`, from 0 to 1, along the range, as it is."""
        low, high = self.range[0], self.range[1] + self.whole
        return low * (high / low) ** u if self.scale == "log" else low + u * (high - low)

    def rounded(self, value: Any) -> Any:
        """`value` as it is typed: within the range, with few digits."""
        if self.scale == "choice":
            return value
        value = min(max(value, self.range[0]), self.range[1])
        return int(value) if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.range[0]), self.range[1])

    def place(self, value: Any) -> float:
        """Where `value` lies along the range, from 0 to 1; choices at equal distances."""
        if self.scale == "choice":
            return self.range.index(value) / max(1, len(self.range) - 1)
        low, high, value = (math.log(x) if self.scale == "log" else x for x in (*self.range, value))
        return (value - low) / (high - low)

    def holds(self, value: Any) -> bool:
        """Whether `value` lies within the range."""
        if self.scale == "choice":
            return value in self.range
        return _is_number(value) and self.range[0] <= value <= self.range[1] and (not self.whole or value % 1 == 0)

    @property
    def distribution(self) -> BaseDistribution:
        if self.scale == "choice":
            return CategoricalDistribution(self.range)
        of = IntDistribution if self.whole else FloatDistribution
        low, high = self.range
        return of(low, high, log=self.scale == "log")


@dataclass(frozen=True)
class Space:
    """The hyperparameters of a search, in the order in which they are declared."""

    hyperparameters: tuple[Hyperparameter, ...]

    @classmethod
    def of(cls, declared: Mapping[str, Any] | None, config: Mapping[str, Any]) -> "Space":
        """The space that an experiment's `space:` declares over `config`; InputError naming the entry that is wrong."""
        if declared is not None and not isinstance(declared, Mapping):
            raise InputError(f"space={declared}: say which keys to search, for example\n{EXAMPLE}")
        found = tuple(_hyperparameters(declared, config, ""))
        if not found:
            raise InputError(
                f"space=?: the experiment declares none. In its yaml say which keys to search, for example\n{EXAMPLE}"
            )
        return cls(found)

    def of_role(self, role: str) -> list[Hyperparameter]:
        return [h for h in self.hyperparameters if h.role == role]

    @property
    def keys(self) -> list[str]:
        return [h.key for h in self.hyperparameters]

    def holds(self, point: Point) -> bool:
        """Whether `point` has a value within the range for each key, and for no other."""
        return point.keys() == set(self.keys) and all(h.holds(point[h.key]) for h in self.hyperparameters)

    def places(self, point: Point) -> np.ndarray:
        """Where `point` lies along each range, (hyperparameters,), from 0 to 1."""
        return np.array([h.place(point[h.key]) for h in self.hyperparameters])

    def described(self) -> dict[str, Any]:
        """Keys with their ranges and scales, as they are written beside a trial."""
        return {h.key: {"range": list(h.range), "scale": h.scale} for h in self.hyperparameters}

    def explored(self, n: int, seed: int | Sequence[int]) -> list[Point]:
        """The first `n` distinct points of a scrambled Halton sequence (Owen 2017); fewer where the space has fewer.

        A larger `n` goes on with the same sequence.
        """
        points: list[Point] = []
        sequence = qmc.Halton(len(self.hyperparameters), seed=np.random.default_rng(seed))
        misses = 0
        while len(points) < n and misses < MISSES:
            (row,) = sequence.random(1)
            point = {h.key: h.at(u) for h, u in zip(self.hyperparameters, row.tolist(), strict=True)}
            misses = misses + 1 if point in points else 0
            if not misses:
                points.append(point)
        return points

    def proposed(self, tried: Sequence[Tried], seed: Sequence[int]) -> Point | None:
        """A new point to try after `tried`, by a tree-structured Parzen estimator (Bergstra et al. 2011).

        It depends on its arguments alone; None where each point of the space was tried. Points outside the space are
        left out; those that run count as poor, so that several at once spread out; those that diverged count as the
        worst score seen.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=1,
                multivariate=True,
                constant_liar=True,
                seed=int(np.random.SeedSequence(list(seed)).generate_state(1)[0]),
            )
        study = self.as_optuna(tried, sampler)
        known = [point for point, _ in tried]
        for _ in range(ASKS):
            asked = study.ask({h.key: h.distribution for h in self.hyperparameters}).params
            point = {h.key: h.rounded(asked[h.key]) for h in self.hyperparameters}
            if point not in known:
                return point
        return next((point for point in self.explored(len(known) + 1, seed) if point not in known), None)

    def as_optuna(
        self,
        tried: Sequence[Tried],
        sampler: optuna.samplers.BaseSampler | None = None,
        storage: optuna.storages.BaseStorage | None = None,
    ) -> optuna.Study:
        """The points within the space and their scores as a study of Optuna's."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(storage=storage, sampler=sampler, direction="maximize", study_name="search")
        distributions = {h.key: h.distribution for h in self.hyperparameters}
        inside = [(point, score) for point, score in tried if self.holds(point)]
        worst = min((score for _, score in inside if score is not None and math.isfinite(score)), default=0.0)
        for point, score in inside:
            state = TrialState.RUNNING if score is None else TrialState.COMPLETE
            value = None if score is None else score if math.isfinite(score) else worst
            study.add_trial(create_trial(state=state, value=value, params=point, distributions=distributions))
        return study


def _hyperparameters(declared: Any, config: Mapping[str, Any], prefix: str) -> Iterator[Hyperparameter]:
    for name, entry in (declared or {}).items():
        key = f"{prefix}{name}"
        # A group of the config may have a key that is called scale, as ResNet-9 has.
        if isinstance(entry, Mapping) and all(isinstance(entry.get(part, {}), Mapping) for part in PARTS):
            yield from _hyperparameters(entry, config, f"{key}.")
        else:
            yield _hyperparameter(key, entry, config)


def _hyperparameter(key: str, entry: Any, config: Mapping[str, Any]) -> Hyperparameter:
    where = f"space.{key}"
    if not isinstance(entry, Mapping) or (set(PARTS) ^ entry.keys()):
        raise InputError(f"{where}: say its range, scale and role, and no more, for example\n{EXAMPLE}")
    if entry["scale"] not in SCALES:
        raise InputError(f"{where}.scale={entry['scale']}: choose one of {', '.join(SCALES)}")
    if entry["role"] not in ROLES:
        raise InputError(
            f"{where}.role={entry['role']}: scientific, where its effect is asked for, or nuisance, where it is only "
            "to be tuned"
        )
    current = _looked_up(key, config)
    values = entry["range"]
    if entry["scale"] == "choice":
        if not isinstance(values, list) or len(values) < 2 or any(v in values[:i] for i, v in enumerate(values)):
            raise InputError(f"{where}.range={values}: 2 or more different values to choose among, for example [8,16]")
        if any(isinstance(value, Mapping | list) for value in values):
            raise InputError(f"{where}.range={values}: a choice is among plain values, numbers or words")
        return Hyperparameter(key, tuple(values), "choice", entry["role"])
    if not isinstance(values, list) or len(values) != 2 or not all(map(_is_number, values)):
        raise InputError(f"{where}.range={values}: two numbers, for example [0.01,1.0], or scale: choice")
    if values[0] >= values[1]:
        raise InputError(f"{where}.range={values}: empty; the smaller end comes first and the other is larger")
    if entry["scale"] == "log" and values[0] <= 0:
        raise InputError(
            f"{where}.range={values}: a log scale has no zero in it; begin above 0, for example at "
            f"{values[1] / 1000:g}, or say scale: linear"
        )
    if current is not None and not _is_number(current):
        what = "a group of settings" if isinstance(current, Mapping) else current
        raise InputError(f"{where}: {key} is {what}, no number; say scale: choice and its values")
    whole = isinstance(current, int) and all(isinstance(value, int) for value in values)
    return Hyperparameter(key, tuple(values), entry["scale"], entry["role"], whole)


def _looked_up(key: str, config: Mapping[str, Any]) -> Any:
    """What `config` has under a dotted key; InputError where it has no such key."""
    value: Any = config
    for name, known in zip(key.split("."), itertools.accumulate(key.split("."), "{}.{}".format), strict=True):
        if not isinstance(value, Mapping) or name not in value:
            there = sorted(value) if isinstance(value, Mapping) else []
            above = known.rpartition(".")[0] or "the config"
            beside = f"{above} has {', '.join(map(str, there)) or 'no keys of its own'}"
            raise InputError(f"space.{key}: the experiment has no {known}; {beside}")
        value = value[name]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
