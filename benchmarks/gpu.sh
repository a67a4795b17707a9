#!/usr/bin/env bash
# All that is to be measured on a GPU, in one call of at most 9 minutes: bash benchmarks/gpu.sh [FOLDER for the JSON files]
# Runs where torch, torchvision, lightning and tensorboard are installed; hydra-core, omegaconf and antlr4 may lie as wheels
# in wheels/ (pip download hydra-core==1.3.8 -d wheels --no-deps, and so on). Without a GPU it runs at a small size.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-logs/gpu}
mkdir -p "$out"
python=${PYTHON:-python}
ends=$((SECONDS + ${LIMIT:-500}))

if ! $python -c 'import hydra, omegaconf' 2>/dev/null; then
    $python -m pip install --quiet --no-index --find-links wheels --no-deps hydra-core omegaconf antlr4-python3-runtime \
        hydra-joblib-launcher joblib || exit 1
fi
small=$($python -c 'import torch; print("" if torch.cuda.is_available() else "--small")') || exit 1
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv

measure() {  # measure SECONDS NAME ARGUMENTS...: begin nothing after its share or the end of the whole, and keep what is done
    local left=$((ends - SECONDS)) share=$1 name=$2
    shift 2
    left=$((left < share ? left : share))
    echo "== $name"
    [ "$left" -gt 5 ] || { echo "no time left"; return; }
    timeout --kill-after=5 $((left + 20)) $python -m benchmarks.run $small --rounds 1 --limit "$left" "$@" || echo "cut off ($?)"
}

# A step, each trick alone: TFLOP/s, limits, compilation, CUDA graphs, half precisions, the cost of determinism.
measure 190 "step" --part step --json "$out/step.json"
# Whole seeds of the three experiments against the rivals, with the shares of a seed.
measure 190 "seeds" --part seed --json "$out/seeds.json"
# Workers side by side on the one GPU, without and with NVIDIA's MPS.
measure 80 "workers" --part workers --json "$out/workers.json"
if command -v nvidia-cuda-mps-control >/dev/null; then
    export CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d) CUDA_MPS_LOG_DIRECTORY=$(mktemp -d)
    nvidia-cuda-mps-control -d &&
        measure 70 "workers with MPS" --part workers --json "$out/workers_mps.json"
    echo quit | nvidia-cuda-mps-control
fi
echo "all of it in $out after $SECONDS s"
