"""How an entry point meets its user: results on standard output, errors in one or two lines, an exit code."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, ListConfig

from seedspread.config.errors import InputError, was_interrupted
from seedspread.config.explain import explain_error
from seedspread.records.metric import Metric
from seedspread.records.study import Study, describe_studies, study_folder

_SHOW_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR") == "1"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an exception into one or two lines and a non-zero exit; with HYDRA_FULL_ERROR=1 let it through."""
    try:
        yield
        sys.stdout.flush()
    except (KeyboardInterrupt, Exception) as error:
        if was_interrupted(error):
            print("\ninterrupted: finished seeds are recorded; the same command resumes", file=sys.stderr)
            sys.exit(130)
        if isinstance(error, BrokenPipeError) and _lost_its_reader(sys.stdout.fileno()):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
            sys.exit(128 + signal.SIGPIPE)
        if _SHOW_TRACEBACK:
            raise
        sys.exit(f"error: {explain_error(error)}")


def _lost_its_reader(pipe: int) -> bool:
    """Whether nobody reads `pipe` any more, as in `seedspread status | head -1` once it has its line."""
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def as_list(value: Any) -> list[Any]:
    """The values of a key that takes one or a list of several."""
    return list(value) if isinstance(value, ListConfig) else [value]


def study_names(cfg: DictConfig) -> list[str]:
    """The names in `cfg.study`: one, a list of several, or none."""
    return [] if cfg.study is None else [str(name) for name in as_list(cfg.study)]


def load_studies(cfg: DictConfig) -> list[Study]:
    """The studies that `cfg.study` names, each once, in their order; InputError where it names none."""
    names = dict.fromkeys(study_names(cfg))
    if not names:
        there = describe_studies(cfg.results)
        raise InputError(f"study=?: name one, or several as study=[ONE,OTHER]; {cfg.results} has {there}")
    return [Study.load(study_folder(cfg.results, name)) for name in names]


def wanted_metric(cfg: DictConfig, study: Study) -> Metric | None:
    """The metric of `study` that `cfg` names, in the direction that it names; None where it names none.

    Raises InputError for another direction of the study's own metric.
    """
    metric = study.metric if cfg.metric is None else study.find_metric(cfg.metric)
    wanted = metric if cfg.direction == "auto" else replace(metric, direction=cfg.direction)
    if wanted != metric and metric == study.metric:
        raise InputError(
            f"direction={cfg.direction}: {study.name} is scored by {metric.describe()}; leave direction out, or "
            "name another metric with metric="
        )
    return None if cfg.metric is None else wanted


def run_command(main: Callable[[], Any]) -> None:
    """Run a Hydra main under `plain_errors`: Hydra's own errors read the same way."""
    # With it Hydra raises every exception as it is, instead of printing it over many lines.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with plain_errors():
        main()
