#!/usr/bin/env bash
# What llmdbg does on a graphics card, in under ten minutes: the adapter, whether it computes correctly, and how long passes, steps,
# conditions, edits and tokens take compared with PyTorch eager, with the memory. Downloads nothing, and leaves the card's settings
# alone.
#
#   bash benches/gpu/check.sh [BINARY]          from the top of the project
#
# Needs a release build (the argument, or target/release/llmdbg), the Vulkan loader and the card's driver for it, 4 GB of temporary disk and
# 10 GB of memory. Python 3 makes the models and times the program; with torch and transformers, PyTorch is timed too.
#
# Settings: DEVICE=gpu (what llmdbg is given; vulkan and cpu serve for a dry run), QUICK=1 (small shapes), LIMIT=540 (seconds in all),
# OUT=gpu_check (the folder of the results).
set -u -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
LIMIT=${LIMIT:-540} DEVICE=${DEVICE:-gpu} QUICK=${QUICK:-} OUT=${OUT:-gpu_check}
mkdir -p "$OUT"; OUT=$(realpath "$OUT"); WORK=$(mktemp -d)
export OUT WORK DEVICE QUICK PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
export XDG_CONFIG_HOME=$WORK/config XDG_STATE_HOME=$WORK/state
log=$OUT/check.log; : >"$log"; : >"$OUT/llmdbg.jsonl"; : >"$OUT/torch.jsonl"
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$WORK"' EXIT
SECONDS=0
say() { printf '%s\n' "$*" | tee -a "$log"; }
part() { say ""; say "== $* (at $SECONDS s)"; }
# within SECONDS COMMAND...: no longer than that, nor than what is left.
within() {
    local most=$1 rest=$((LIMIT - SECONDS)); shift
    [ "$rest" -lt "$most" ] && most=$rest
    [ "$most" -lt 5 ] && { say "no time is left for: $*"; return 124; }
    timeout -k 5 "$most" "$@"
}
BIN=$(realpath "${1:-target/release/llmdbg}"); export BIN
[ -x "$BIN" ] || { say "no program at $BIN: build it with cargo build --release, or give its path"; exit 2; }

part "machine"
{ uname -srm; echo "$(nproc) cores"; free -g | sed -n 2p
  if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name,driver_version,memory.total,pcie.link.gen.current --format=csv,noheader; else echo "no nvidia-smi"; fi
  "$BIN" --version; } 2>&1 | tee -a "$log"

part "adapter"
within 60 "$BIN" --nx --device "$DEVICE" --batch --ex run --ex 'info model' >"$OUT/adapter.txt" 2>&1
status=$?; grep -iE 'device|llmdbg:|finished' "$OUT/adapter.txt" | head -6 | tee -a "$log"
[ "$status" = 0 ] || { say "llmdbg cannot compute on $DEVICE: see $OUT/adapter.txt"; exit 1; }

part "is it right: each op of the fixtures, and what drivers get wrong, compared with the CPU in 64 bits"
cat >"$WORK/parity.sh" <<'IN'
found=$(timeout 120 "$BIN" "$1" --nx --device "$DEVICE" --dtype "$2" --tokens "$3" --batch --ex run --ex "selftest $4" --ex 'check determinism' 2>&1); status=$?
printf '%s %s status %s: %s\n' "${1##*/}" "$2" "$status" "$(printf '%s' "$found" | grep -E 'within|same bits|llmdbg:' | tr '\n' ' ' | cut -c1-300)"
IN
{ for model in "$here"/../../tests/fixtures/models/*/; do
    [ -n "$QUICK" ] && [[ ! $model =~ /(gpt2|llama|mixtral)/$ ]] && continue
    [ -f "$model/config.json" ] && printf '%s\0f32\0%s\0\0' "${model%/}" 5,9,2,7,1,8,3,6,4
  done
  for name in gpt2 llama mixtral; do printf '%s\0f16\0%s\0\0' "$here/../../tests/fixtures/models/$name" 5,9,2,7,1,8,3,6,4; done
} | within 150 xargs -0 -n 4 -P 4 bash "$WORK/parity.sh" >"$OUT/parity.txt" 2>&1
say "$(grep -c 'status 0' "$OUT/parity.txt") of $(grep -c . "$OUT/parity.txt") agree"
grep -v 'status 0' "$OUT/parity.txt" | tee -a "$log"
[ -n "$QUICK" ] || within 90 bash "$WORK/parity.sh" "$here/../../tests/fixtures/models/gpt2" f32 5,9,2 -full | sed 's/^/large shapes: /' | tee -a "$log"

part "models of random weights"
within 90 python3 "$here/models.py" "$WORK" 2>&1 | tee -a "$log"

part "llmdbg: every value recorded"
lengths="1 64 512"; [ -n "$QUICK" ] && lengths="1 16"
for model in "$WORK"/gpt2 "$WORK"/llama; do
    for length in $lengths; do within 50 python3 "$here/llmdbg_time.py" "$model" "$length" f32 14 2>&1 | tee -a "$log"; done
done
within 40 python3 "$here/llmdbg_time.py" "$WORK/llama" 64 f16 10 2>&1 | tee -a "$log"

part "PyTorch eager on the same shapes"
if python3 -c 'import torch, transformers' 2>"$OUT/torch.err"; then
    within 110 python3 "$here/torch_time.py" "$WORK" "$lengths" 100 2>>"$OUT/torch.err" | tee -a "$log"
else
    say "torch or transformers is not here: llmdbg alone"
fi

part "side by side"
python3 "$here/table.py" "$OUT" | tee -a "$log"
say ""; say "done in $SECONDS s; everything is in $OUT"
