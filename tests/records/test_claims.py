"""Who trains what: claims of living and of gone processes, stops, and the seeds asked for."""

import json
import platform
import subprocess
import sys

from seedspread.records import claims


def test_a_claim_lasts_as_long_as_its_block_or_until_its_process_is_gone(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with claims.claim_seed(tmp_path, 3):
        others = {5: (gone.pid, platform.node()), 7: (gone.pid, "elsewhere")}
        for seed, (pid, host) in others.items():
            (tmp_path / "running" / f"{seed:06d}.json").write_text(json.dumps({"seed": seed, "pid": pid, "host": host}))
        (tmp_path / "running" / "000009.json").write_text("{")
        assert claims.read_claims(tmp_path) == claims.Claims(alive=[3, 7], abandoned=[5])
    assert claims.read_claims(tmp_path) == claims.Claims(alive=[7], abandoned=[5])


def test_a_new_sweep_forgets_the_stop_and_the_abandoned_claims_of_the_one_before(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert claims.asked_seeds(tmp_path) == [] and claims.stop_reason(tmp_path) is None
    claims.request_stop(tmp_path, "out of luck")
    (tmp_path / "running").mkdir()
    claim = {"seed": 5, "pid": gone.pid, "host": platform.node()}
    (tmp_path / "running" / "000005.json").write_text(json.dumps(claim))
    assert claims.stop_reason(tmp_path) == "out of luck"
    claims.start_sweep(tmp_path, "0-2,7")
    assert claims.stop_reason(tmp_path) is None and claims.asked_seeds(tmp_path) == [0, 1, 2, 7]
    assert claims.read_claims(tmp_path) == claims.Claims()
