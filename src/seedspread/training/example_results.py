"""What a trained module says of each test example: its hook `example_results`, as arrays."""

import lightning as L
import numpy as np
import torch

from seedspread.config.errors import InputError
from seedspread.records.example_results import check_results
from seedspread.records.examples import ExampleIndex


def read_example_results(
    module: L.LightningModule, probabilities: bool = False
) -> tuple[dict[str, np.ndarray], ExampleIndex | None]:
    """What the hook of a module returns, and the index of its `labels`, as `check_results` has them; empty without one.

    Raises InputError as `check_results`, and where `probabilities` are needed and the module gives none.
    """
    hook, name = getattr(module, "example_results", None), f"{type(module).__name__}.example_results"
    given = {} if hook is None else {key: _to_array(torch.as_tensor(value)) for key, value in hook().items()}
    if probabilities and "probabilities" not in given:
        raise InputError(f"examples.probabilities=float16: {name} returns no probabilities; add them, or set null")
    return check_results(given, name)


def _to_array(value: torch.Tensor) -> np.ndarray:
    value = value.detach().cpu()
    return np.asarray(value.float() if value.dtype == torch.bfloat16 else value)  # which NumPy does not have
