"""Traces of Lightning's fits: by the callback, and those that `trace=true` keeps."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import seedspread as ss
from seedspread.audit.difference import Difference, Part, find_difference
from seedspread.audit.trace import Trace
from seedspread.commands.reproduce import main as reproduce


class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 1)

    def training_step(self, batch, _):
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, seed=0, order=0, **more):
    L.seed_everything(seed, verbose=False)
    x = torch.arange(48.0).reshape(16, 3) / 48
    generator = torch.Generator().manual_seed(order)
    loader = DataLoader(TensorDataset(x), 4, shuffle=True, generator=generator)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callback = ss.TraceCallback(folder, **more)
    L.Trainer(max_epochs=2, accelerator="cpu", callbacks=[callback], **quiet).fit(Net(), loader)
    return Trace.read(folder).main


def test_two_fits_are_compared(tmp_path):
    one, same, other = (fit(tmp_path / str(i), order=i // 2) for i in range(3))

    assert one.steps == 8 and all(f.gradients for f in one.training)
    assert find_difference(one, same) is None
    assert find_difference(one, other) == Difference(0, Part.BATCH, "Linear")


def test_gradients_of_a_closure_are_read_once_it_has_run(tmp_path):
    gradients = [event[2] for event in fit(tmp_path).of("o")]

    assert len(set(gradients)) == len(gradients) == 8 and None not in gradients


def test_steps_end_the_trace_and_not_the_fit(tmp_path):
    assert fit(tmp_path, steps=3).steps == 3


def test_a_trace_is_kept_and_changes_no_bit(small, invoked, command, tmp_path):
    for study, trace in (("plain", "false"), ("traced", "true")):
        arguments = ["experiment=digits", f"study={study}", "seed=3", "trainer.max_epochs=1", f"trace={trace}"]
        code, _, err = command(*arguments)
        assert not code, err
    plain, traced = (ss.Study.load(tmp_path / "results" / name) for name in ("plain", "traced"))

    assert plain.record(3).weights_sha256 == traced.record(3).weights_sha256
    assert plain.digest == traced.digest
    assert Trace.read(traced.trace_path(3)).main.steps > 5 and not plain.trace_path(3).exists()

    where = f"results={tmp_path}/results"
    code, out, _ = invoked(reproduce, where, "study=traced", "seed=3", "locate=true")
    assert not code and "identical" in out and "its trace and now: identical for all" in out

    [file] = traced.trace_path(3).iterdir()
    text = file.read_text().replace('["o",0,"', '["o",0,"x', 1)  # other gradients in the first step
    file.write_text(text)
    code, out, _ = invoked(reproduce, where, "study=traced", "seed=3", "locate=true")
    assert code == 1 and "its trace and now: first differ at step 0: same loss, other gradients" in out


@pytest.mark.slow
def test_without_a_trace_two_runs_now_are_compared(invoked, command, tmp_path):
    command("experiment=digits", "study=plain", "seed=3", "trainer.max_epochs=1")
    code, out, _ = invoked(reproduce, f"results={tmp_path}/results", "study=plain", "seed=3", "locate=true")

    assert not code and "two runs now: identical for all" in out
