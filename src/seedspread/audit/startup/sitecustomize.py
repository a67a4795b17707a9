"""Python imports this file at its start where its folder is on PYTHONPATH: it starts the tracer of a foreign program.

The program may have any Python and no package of ours: the tracer is loaded by its path. A sitecustomize that the
program's environment has runs as well.
"""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _run_their_sitecustomize() -> None:
    others = [place for place in sys.path if Path(place or ".").resolve() != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _start_tracer() -> None:
    folder = _HERE.parent / "tracer"
    spec = importlib.util.spec_from_file_location(
        "seedspread_tracer", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is not None and spec.loader is not None:
        sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.start_from_environment()


if os.environ.get("SEEDSPREAD_TRACE"):
    _start_tracer()
_run_their_sitecustomize()
