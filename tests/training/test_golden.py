"""Hashes of tiny fixed runs: results that move without being meant to are found here.

tests/golden/ holds one file for each kind of machine, since a processor's kernels are part of what a seed reproduces.
`python -m pytest tests/training/test_golden.py --write-golden` writes that of this machine.
"""

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from seedspread.commands.train import train
from seedspread.config.streams import Streams
from seedspread.training.seeding import draw_from
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "golden"
MOVED = (
    "results moved: a change that should not move results shows identical weights for the same seed; one that should "
    "is named in CHANGELOG.md, and then writes new hashes with --write-golden"
)
CASES = {
    "digits, seed 0, fp32": ["seed=0"],
    "digits, seed 0, bf16": ["seed=0", "trainer.precision=bf16-mixed"],
    "digits, seed 3407, order held": ["seed=3407", "streams.order=0"],
}


def machine_key() -> str:
    """System, processor's maker (math libraries choose kernels by it), instruction sets, torch."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    maker = next((name.lower() for name in ("Intel", "AMD") if f"{name}\n" in cpu), "other")
    amx = "-amx" if getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)() else ""
    capability = torch.backends.cpu.get_cpu_capability().lower().replace(" ", "_")
    version = torch.__version__.split("+")[0]
    return f"{platform.system().lower()}-{platform.machine()}-{maker}-{capability}{amx}-torch{version}"


@pytest.mark.parametrize("case", CASES)
def test_weights_and_predictions_are_what_they_were(small, case, request):
    place = FOLDER / f"{machine_key()}.json"
    golden = json.loads(place.read_text()) if place.exists() else {}
    record = train(small(*CASES[case]))
    found = {key: getattr(record, key) for key in ("weights_sha256", "predictions_sha256")}
    if request.config.getoption("--write-golden"):
        place.write_text(json.dumps(dict(sorted({**golden, case: found}.items())), indent=1) + "\n")
    elif case not in golden:
        pytest.skip(f"no hashes of {machine_key()}; --write-golden writes them")
    else:
        assert found == golden[case], MOVED


def test_draws_are_what_they_were_on_any_machine():
    """NumPy's generators and torch's Mersenne Twister give the same numbers everywhere."""
    digest = hashlib.sha256()
    for seed in (0, 7, 3407, 2**40):
        streams = Streams.of(seed)
        for name in ("init", "order", "augment", "other"):
            digest.update(getattr(streams, name).rng(3, 5).integers(0, 2**63, 1000).tobytes())
        digest.update(streams.order.rng(2).permutation(1000).astype(np.int64).tobytes())
        with draw_from(streams.init):
            digest.update(torch.randint(0, 2**31, (1000,)).numpy().tobytes())
    assert digest.hexdigest() == "718cb1af3e327877d2010a292e2d86b80872adaa5ee858f4b3fa196f45923ec0", MOVED
    split = hashlib.sha256(Streams.of(3407).split.rng(3, 5).integers(0, 2**63, 1000).tobytes())
    assert split.hexdigest() == "ef13ca5d55aa599ac5209fa3114459c01a5806aebfbd27cde92ba55efd699805", MOVED
