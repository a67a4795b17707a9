"""`ss.sweep(train, seeds=range(20))`: the seeds of any Python function, recorded as those of a study."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any

import numpy as np
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from seedspread.commands.run import sweep_script, wanted_metric
from seedspread.config.check import check_config
from seedspread.config.compose import compose_config
from seedspread.config.errors import InputError
from seedspread.config.explain import explain_error
from seedspread.config.overrides import format_value, results_override
from seedspread.config.resolve import is_local
from seedspread.config.schema import Run, ScriptMetric
from seedspread.config.streams import check_seed
from seedspread.execution.signals import say
from seedspread.records.scores import Scores
from seedspread.scripts.function import Function
from seedspread.scripts.source import name_function
from seedspread.scripts.worker import Parcel

NOT_OF_FUNCTIONS = ("file", "regex", "events", "timeout", "seed")  # keys of `seedspread run` for programs


def sweep(
    train: Callable[[int], Any],
    seeds: Iterable[int] = range(20),
    *,
    study: str | None = None,
    metric: str | None = None,
    direction: str = "auto",
    unit: str = "auto",
    jobs: int | str = "auto",
    threads: int = 1,
    executor: str = "local",
    results: str = "results",
    overwrite: bool = False,
    report: bool = True,
    settings: Sequence[str] = (),
) -> Scores:
    """Call `train(seed)` for each of `seeds` that has no record yet; return the scores of the study.

    The function returns a dict of metrics, yields one each epoch, or calls `ss.record`. `metric` is what a seed is
    scored by, by default the first final one; `direction` is min or max, `unit` fraction (shown as percent), percent,
    points, nats, seconds or none, both by default what the name suggests. The generators of Python, NumPy, torch and
    TensorFlow are seeded before each call. `jobs` worker processes run the seeds, each with so many CPU `threads`;
    jobs=1 runs them in this process. `settings` are further keys of `seedspread run`, as executor.partition=gpu. Type
    it again to resume, to add seeds, or to share the work of another process.

    Raises InputError where the study belongs to another function, its values or metric, and where seeds failed.

    >>> scores = ss.sweep(lambda seed: {"rmse": 1 + seed}, seeds=range(3), study="mine", jobs=1, report=False)
    seed    0 ...
    >>> scores.final
    array([1., 2., 3.])
    """
    seeds = _check_seeds(seeds)
    settings = [settings] if isinstance(settings, str) else settings
    name = study if study is not None else name_function(train).rpartition(".")[2]
    if name == "<lambda>":
        raise InputError('name the study of a lambda, for example study="mine"')
    for key, value in (("direction", direction), ("unit", unit)):
        if not ScriptMetric.keys[key].accepts(value):
            raise InputError(f'{key}="{value}": {ScriptMetric.keys[key].complaint(key)}')
    if metric is None and (direction, unit) != ("auto", "auto"):
        described = f'direction="{direction}"' if direction != "auto" else f'unit="{unit}"'
        raise InputError(f'{described}: name the metric as well, for example metric="rmse"')
    if wrong := next((one for one in settings if one.partition("=")[0] in NOT_OF_FUNCTIONS), None):
        raise InputError(f"settings: {wrong} is of programs, which `seedspread run` starts")
    given: dict[str, Any] = {
        "results": results,
        "study": name,
        "jobs": jobs,
        "threads": threads,
        "overwrite": overwrite,
    }
    given |= {"report": report, "metric.name": metric, "metric.direction": direction, "metric.unit": unit}
    typed = [f"executor={executor}", *(f"{key}={format_value(value)}" for key, value in given.items()), *settings]
    try:
        cfg = compose_config("run", typed)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain_error(error)) from error
    check_config(cfg, Run)
    function = Function.of(train, wanted_metric(cfg), cfg.threads)
    inline = is_local(cfg) and cfg.jobs == 1
    recorded = sweep_script(function, cfg, seeds, None if inline else Parcel.of(function))
    again = ["seedspread", "compare", f"baseline={recorded.name}", "candidate=OTHER", *results_override(results)]
    say(f"next: more seeds; {shlex.join(again)} for another function")
    return Scores.of(recorded)


def _check_seeds(seeds: Iterable[Any]) -> list[int]:
    """`seeds`, each once, NumPy's whole numbers as Python's; InputError for what is no seed, or for none."""
    if not isinstance(seeds, Iterable):
        raise InputError(f"seeds={seeds}: several are named, for example seeds=range(20) or seeds=[{seeds}]")
    found = [index(seed) if isinstance(seed, np.integer) else seed for seed in seeds]
    if not found:
        raise InputError("seeds: none are named; for example seeds=range(20)")
    return list(dict.fromkeys(check_seed(seed, "seeds") for seed in found))
