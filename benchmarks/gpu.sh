#!/usr/bin/env bash
# All that is to be measured on a GPU, in one call of at most 9 minutes: bash benchmarks/gpu.sh [FOLDER for the JSON files]
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

# A step, each trick alone: TFLOP/s, limits, the cost of determinism, half precisions, CUDA graphs, compilation.
measure 190 "step" --part step --json "$out/step.json"
# Whole seeds of the three experiments against the rivals, with the shares of a seed.
measure 190 "seeds" --part seed --json "$out/seeds.json"
# Workers side by side on the one GPU, without and with NVIDIA's MPS.
measure 80 "workers" --part workers --json "$out/workers.json"
if [ -z "$small" ] && command -v nvidia-cuda-mps-control >/dev/null; then
    export CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d) CUDA_MPS_LOG_DIRECTORY=$(mktemp -d)
    if nvidia-cuda-mps-control -d; then
        trap 'echo quit | nvidia-cuda-mps-control' EXIT
        measure 70 "workers with MPS" --part workers --json "$out/workers_mps.json"
        # Without a server they ran as before: no figure of MPS.
        echo "MPS servers: $(echo get_server_list | nvidia-cuda-mps-control | tr '\n' ' ')"
    fi
fi
echo "all of it in $out after $SECONDS s"
exit $lost
