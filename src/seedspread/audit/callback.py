"""A Lightning callback that traces a fit: two folders of traces say where two fits first differ."""

from pathlib import Path
from typing import Any

import lightning as L

from seedspread.audit.tracer import Session


class TraceCallback(L.Callback):
    """Traces a fit into `folder`, which is to be empty: the first `steps` optimizer steps, by default all.

    `seedspread audit traces=[A,B]` compares two such folders, also of two machines. What is drawn before the fit is
    not seen. Level "modules" traces each module's output as well.

    >>> callback = ss.TraceCallback("trace/here", steps=100)  # Trainer(callbacks=[callback])
    """

    def __init__(self, folder: str | Path, steps: int | None = None, level: str = "steps") -> None:
        self.folder, self.steps, self.level = Path(folder), steps, level
        self._session: Session | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            self.folder.mkdir(parents=True, exist_ok=True)
            self._session = Session(str(self.folder), level=self.level)
            self._session.start()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        if self.steps is not None and trainer.global_step >= self.steps:
            self._stop()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._session is not None:
            self._session.stop()
            self._session = None
