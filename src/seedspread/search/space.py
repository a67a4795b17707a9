"""A space of hyperparameters, and which points of it to try: quasi-random points, then points that Optuna suggests.

Only points and scores: nothing here trains. Exploring before exploiting and the roles follow the Deep Learning Tuning
Playbook (Godbole, Dahl, Gilmer, Shallue, Nado 2023).
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
from seedspread.config.schema import is_number

SCALES = ("log", "linear", "choice")
ROLES = ("scientific", "nuisance")
PARTS = ("range", "scale", "role")
DIGITS = 4  # significant digits of a value, few enough to type
EXAMPLE = "space: {optimizer: {lr: {range: [0.01, 1.0], scale: log, role: nuisance}}}"
MISSES = 1000  # repeated points in a row after which a space counts as exhausted
ASKS = 20  # suggestions of known points after which the next point comes from the Halton sequence

Point = dict[str, Any]  # a value for each key, in the order of the space
Observation = tuple[Point, float | None]  # a point and its score; nan: diverged, None: running


@dataclass(frozen=True)
class Hyperparameter:
    """One key of the config: its range, scale and role, scientific (its effect is studied) or nuisance (only tuned)."""

    key: str
    range: tuple[Any, ...]
    scale: str
    role: str
    whole: bool = False  # integers only

    def value_at(self, u: float) -> Any:
        """The value at position `u` along the range, 0 <= u < 1."""
        if self.scale == "choice":
            return self.range[int(u * len(self.range))]
        return self.round_value(math.floor(self.number_at(u)) if self.whole else self.number_at(u))

    def number_at(self, u: float) -> float:
        """The number at position `u` along the range, 0 to 1, not rounded."""
        low, high = self.range[0], self.range[1] + self.whole
        return low * (high / low) ** u if self.scale == "log" else low + u * (high - low)

    def round_value(self, value: Any) -> Any:
        """`value` as it is typed: within the range, with DIGITS significant digits."""
        if self.scale == "choice":
            return value
        value = min(max(value, self.range[0]), self.range[1])
        return int(value) if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.range[0]), self.range[1])

    def position(self, value: Any) -> float:
        """The position of `value` along the range, 0 to 1; choices are equidistant."""
        if self.scale == "choice":
            return self.range.index(value) / max(1, len(self.range) - 1)
        low, high, value = (math.log(x) if self.scale == "log" else x for x in (*self.range, value))
        return (value - low) / (high - low)

    def contains(self, value: Any) -> bool:
        """Whether `value` lies within the range."""
        if self.scale == "choice":
            return value in self.range
        return is_number(value) and self.range[0] <= value <= self.range[1] and (not self.whole or value % 1 == 0)

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
            raise InputError(f"space={declared}: list the keys to search, for example\n{EXAMPLE}")
        found = tuple(_hyperparameters(declared, config, ""))
        if not found:
            raise InputError(
                f"space=?: the experiment declares none; list the keys to search in its yaml, for example\n{EXAMPLE}"
            )
        return cls(found)

    def of_role(self, role: str) -> list[Hyperparameter]:
        return [h for h in self.hyperparameters if h.role == role]

    @property
    def keys(self) -> list[str]:
        return [h.key for h in self.hyperparameters]

    def contains(self, point: Point) -> bool:
        """Whether `point` has a value within the range for each key, and for no other."""
        return point.keys() == set(self.keys) and all(h.contains(point[h.key]) for h in self.hyperparameters)

    def positions(self, point: Point) -> np.ndarray:
        """The position of `point` along each range, (H,), 0 to 1."""
        return np.array([h.position(point[h.key]) for h in self.hyperparameters])

    def describe(self) -> dict[str, Any]:
        """Keys with their ranges and scales, as stored with a trial."""
        return {h.key: {"range": list(h.range), "scale": h.scale} for h in self.hyperparameters}

    def sample_points(self, n: int, seed: int | Sequence[int]) -> list[Point]:
        """The first `n` distinct points of a scrambled Halton sequence (Owen 2017); fewer where the space has fewer.

        A larger `n` continues the same sequence.
        """
        points: list[Point] = []
        sequence = qmc.Halton(len(self.hyperparameters), seed=np.random.default_rng(seed))
        misses = 0
        while len(points) < n and misses < MISSES:
            (row,) = sequence.random(1)
            point = {h.key: h.value_at(u) for h, u in zip(self.hyperparameters, row.tolist(), strict=True)}
            misses = misses + 1 if point in points else 0
            if not misses:
                points.append(point)
        return points

    def suggest_point(
        self, observations: Sequence[Observation], seed: Sequence[int], direction: str = "maximize"
    ) -> Point | None:
        """A new point, by a tree-structured Parzen estimator (Bergstra et al. 2011); None where all points are known.

        It depends on the arguments alone. Points outside the space are ignored; running points count as poor (constant
        liar), so that simultaneous suggestions spread out; diverged points count as the worst score.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=1,
                multivariate=True,
                constant_liar=True,
                seed=int(np.random.SeedSequence(list(seed)).generate_state(1)[0]),
            )
        study = self.to_optuna(observations, sampler, direction=direction)
        known = [point for point, _ in observations]
        for _ in range(ASKS):
            asked = study.ask({h.key: h.distribution for h in self.hyperparameters}).params
            point = {h.key: h.round_value(asked[h.key]) for h in self.hyperparameters}
            if point not in known:
                return point
        return next((point for point in self.sample_points(len(known) + 1, seed) if point not in known), None)

    def to_optuna(
        self,
        observations: Sequence[Observation],
        sampler: optuna.samplers.BaseSampler | None = None,
        storage: optuna.storages.BaseStorage | None = None,
        direction: str = "maximize",
    ) -> optuna.Study:
        """The points within the space and their scores as an Optuna study; those without a score have the worst."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        toward = optuna.study.StudyDirection[direction.upper()]
        study = optuna.create_study(storage=storage, sampler=sampler, direction=toward, study_name="search")
        distributions = {h.key: h.distribution for h in self.hyperparameters}
        inside = [(point, score) for point, score in observations if self.contains(point)]
        known = (score for _, score in inside if score is not None and math.isfinite(score))
        worst = (min if direction == "maximize" else max)(known, default=0.0)
        for point, score in inside:
            state = TrialState.RUNNING if score is None else TrialState.COMPLETE
            value = None if score is None else score if math.isfinite(score) else worst
            study.add_trial(create_trial(state=state, value=value, params=point, distributions=distributions))
        return study


def _hyperparameters(declared: Any, config: Mapping[str, Any], prefix: str) -> Iterator[Hyperparameter]:
    for name, entry in (declared or {}).items():
        key = f"{prefix}{name}"
        # A group of the config may itself have a key named scale, as ResNet-9 has.
        if isinstance(entry, Mapping) and all(isinstance(entry.get(part, {}), Mapping) for part in PARTS):
            yield from _hyperparameters(entry, config, f"{key}.")
        else:
            yield _hyperparameter(key, entry, config)


def _hyperparameter(key: str, entry: Any, config: Mapping[str, Any]) -> Hyperparameter:
    where = f"space.{key}"
    if not isinstance(entry, Mapping) or (set(PARTS) ^ entry.keys()):
        raise InputError(f"{where}: give its range, scale and role and nothing else, for example\n{EXAMPLE}")
    if entry["scale"] not in SCALES:
        raise InputError(f"{where}.scale={entry['scale']}: choose one of {', '.join(SCALES)}")
    if entry["role"] not in ROLES:
        raise InputError(
            f"{where}.role={entry['role']}: choose scientific (its effect is studied) or nuisance (only tuned)"
        )
    current = _look_up(key, config)
    values = entry["range"]
    if entry["scale"] == "choice":
        if not isinstance(values, list) or len(values) < 2 or any(v in values[:i] for i, v in enumerate(values)):
            raise InputError(f"{where}.range={values}: give 2 or more different values, for example [8,16]")
        if any(isinstance(value, Mapping | list) for value in values):
            raise InputError(f"{where}.range={values}: choices are plain values, numbers or words")
        return Hyperparameter(key, tuple(values), "choice", entry["role"])
    if not isinstance(values, list) or len(values) != 2 or not all(map(is_number, values)):
        raise InputError(f"{where}.range={values}: give two numbers, for example [0.01,1.0], or scale: choice")
    if values[0] >= values[1]:
        raise InputError(f"{where}.range={values}: empty; the first number must be the smaller one")
    if entry["scale"] == "log" and values[0] <= 0:
        raise InputError(
            f"{where}.range={values}: a log scale excludes 0; start above it, for example at "
            f"{values[1] / 1000:g}, or set scale: linear"
        )
    if current is not None and not is_number(current):
        what = "a group of settings" if isinstance(current, Mapping) else current
        raise InputError(f"{where}: {key} is {what}, not a number; set scale: choice and list values")
    whole = isinstance(current, int) and all(isinstance(value, int) for value in values)
    return Hyperparameter(key, tuple(values), entry["scale"], entry["role"], whole)


def _look_up(key: str, config: Mapping[str, Any]) -> Any:
    """The value of a dotted key in `config`; InputError where there is none."""
    value: Any = config
    for name, known in zip(key.split("."), itertools.accumulate(key.split("."), "{}.{}".format), strict=True):
        if not isinstance(value, Mapping) or name not in value:
            there = sorted(value) if isinstance(value, Mapping) else []
            above = known.rpartition(".")[0] or "the config"
            beside = f"{above} has {', '.join(map(str, there)) or 'no keys of its own'}"
            raise InputError(f"space.{key}: the experiment has no {known}; {beside}")
        value = value[name]
    return value
