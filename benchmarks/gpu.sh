#!/usr/bin/env bash
# All that is to be measured on a GPU, in calls of at most 9 minutes: bash benchmarks/gpu.sh [FOLDER for the JSON files]
# PARTS="bits step probe" names some of: bits profile seeds step workers probe sweep. What takes longest stands last. `sweep`
# trains real seeds of cifar_short for as long as is left, where SOURCE=cifar10-images.tar.xz names the pictures.
# Runs where torch, torchvision, lightning, scikit-learn, timm, optuna and rich are installed; Hydra may lie as wheels in
# wheels/: pip wheel --no-deps -w wheels hydra-core==1.3.8 omegaconf==2.3.1 antlr4-python3-runtime==4.9.3
# Without a GPU it runs at a small size. PYTHON=PATH names another Python; LIMIT=SECONDS and PATIENCE=10 give a slow
# machine more time in all and ten times the share of each part.
set -uo pipefail
out=$(realpath -m "${1:-$(dirname "$0")/../logs/gpu}")
mkdir -p "$out" && [ -w "$out" ] || { echo "cannot write to $out; name another folder" >&2; exit 1; }
cd "$(dirname "$0")/.."
python=${PYTHON:-$(command -v python || command -v python3)}
ends=$((SECONDS + ${LIMIT:-500}))
lost=0

if ! "$python" -c 'import hydra, omegaconf' 2>/dev/null; then
    "$python" -m pip install --quiet --no-index --find-links wheels --no-deps hydra-core omegaconf antlr4-python3-runtime ||
        exit 1
fi
small=$("$python" -c 'import torch; print("" if torch.cuda.is_available() else "--small")') || exit 1
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv

measure() {  # measure SECONDS NAME ARGUMENTS...: begin nothing after its share or the end of the whole, and keep what is done
    local left=$((ends - SECONDS)) share=$(($1 * ${PATIENCE:-1})) name=$2
    shift 2
    left=$((left < share ? left : share))
    echo "== $name"
    [ "$left" -gt 5 ] || { echo "no time left"; lost=1; return; }
    timeout --kill-after=5 $((left + 20)) "$python" -m benchmarks.run $small --rounds 1 --limit "$left" "$@" ||
        { echo "not all of it ($?)"; lost=1; }
}

wanted() { [[ " ${PARTS:-bits profile seeds step workers probe sweep} " == *" $1 "* ]] && echo "== $1 ($((ends - SECONDS)) s left)"; }

# The same seed twice, beside another, after a kill, and by captured steps: equal weights. With deterministic=true nothing
# may raise.
if wanted bits; then
    here=$(mktemp -d)
    if [ -n "$small" ]; then size="experiment=digits trainer=cpu" beside="jobs=2" name=digits; else
        size="experiment=cifar_short trainer=gpu data.read._target_=benchmarks.rivals.random_pictures data.source=50000x10000"
        beside="workers_per_gpu=2" name=cifar_short
    fi
    train() { "$python" -m src.train "$@" $size trainer.max_epochs=2 report=false >>"$here/log" 2>&1; }
    train seed=0 results="$here/once" && train seed=0 results="$here/again" && train -m seed=0,1 "$beside" results="$here/beside"
    train seed=0 checkpoint.every_minutes=1e-9 results="$here/killed" & killed=$!
    until [ -e "$here/killed/$name/checkpoints/000000.ckpt" ] || ! kill -0 $killed 2>/dev/null; do sleep 0.05; done
    pkill -KILL -f "results=$here/killed"; wait $killed
    train seed=0 results="$here/killed"
    # Two in one process: what a seed takes over from the one before is looked at as well.
    [ -n "$small" ] || train -m seed=0,1 capture=true jobs=1 results="$here/captured" || { tail -n 3 "$here/log"; lost=1; }
    train seed=0 trainer.deterministic=true results="$here/strict" || { tail -n 3 "$here/log"; lost=1; }
    "$python" - "$here" "$name" >"$out/bits.json" <<'EOF' && cat "$out/bits.json" || { tail -n 3 "$here/log"; lost=1; }
import json, pathlib, sys
here, name = pathlib.Path(sys.argv[1]), sys.argv[2]
hashes = {}
resumed = bool(json.loads((here / f"killed/{name}/seeds/000000.json").read_text()).get("resumed_from"))
for path in sorted(here.glob(f"[!s]*/{name}/seeds/00000[01].json")):  # of the seeds 0 and 1, by the way they were trained
    record = json.loads(path.read_text())
    hashes.setdefault(f"seed {record['seed']}", {})[path.relative_to(here).parts[0]] = record["weights_sha256"]
equal = len(hashes["seed 0"]) >= 4 and all(len(set(ways.values())) == 1 for ways in hashes.values())
print(json.dumps({"equal": equal, "resumed": resumed, **hashes}))
sys.exit(not equal)
EOF
    rm -rf "$here"
fi
# Launches and operators of a step, the share of time in which the GPU is busy, the top 15 kernels.
if wanted profile; then
    "$python" -m benchmarks.step --profile --steps 30 ${small:+--widths 4 --batch 20} --json "$out/profile.json" || lost=1
fi
# Whole seeds of the three experiments against the rivals, with the shares of a seed.
wanted seeds && measure 190 "whole seeds" --part seed --json "$out/seeds.json"
# A step, each trick alone: TFLOP/s, limits, the cost of determinism, half precisions, CUDA graphs, compilation.
wanted step && measure 190 "a step" --part step --json "$out/step.json"
# Workers side by side on the one GPU, without and with NVIDIA's MPS.
wanted workers && measure 80 "workers" --part workers --json "$out/workers.json"
if wanted workers >/dev/null && [ -z "$small" ] && command -v nvidia-cuda-mps-control >/dev/null; then
    export CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d) CUDA_MPS_LOG_DIRECTORY=$(mktemp -d)
    if nvidia-cuda-mps-control -d; then
        trap 'echo quit | nvidia-cuda-mps-control' EXIT
        measure 70 "workers with MPS" --part workers --json "$out/workers_mps.json"
        # Without a server they ran as before: no figure of MPS.
        echo "MPS servers: $(echo get_server_list | nvidia-cuda-mps-control | tr '\n' ' ')"
    fi
fi
# Extraction by the three backbones, stacked heads, batches of kept features.
if wanted probe && [ -z "$small" ] && [ $((ends - SECONDS)) -gt 60 ]; then
    timeout $((ends - SECONDS)) "$python" -m benchmarks.probe | tee "$out/probe.txt" || lost=1
fi
# Real seeds with all that is left: the same command on the next machine resumes the sweep.
if wanted sweep && [ -z "$small" ] && [ -n "${SOURCE:-}" ] && [ $((ends - SECONDS)) -gt 30 ]; then
    timeout -s INT $((ends - SECONDS)) "$python" -m src.train -m 'seed=range(0,2000)' experiment=cifar_short trainer=gpu \
        report=false data.source="$SOURCE" results="$out/results"
    tar -C "$out" -cf "$out/results.tar" results && rm -r "$out/results"
fi
echo "all of it in $out after $SECONDS s"
exit $lost
