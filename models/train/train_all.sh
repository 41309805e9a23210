#!/bin/sh
# Renders the frames, trains the three detectors, evaluates them on unseen seeds and writes
# models/detector-*/{model.onnx,recipe.json} anew.
#
#     python3 -m venv venv && venv/bin/pip install -r models/train/requirements.txt
#     make && models/train/train_all.sh venv/bin/python
#
# About half an hour on two cores. Arguments: the Python, and a folder for the frames (700 MB).
# With SKIP_TRAINING=1 it only evaluates the models that are there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}
work=${2:-$(mktemp -d)}
sim=${MUSTER_SIM:-$here/../../build/bin/muster-sim}
skip=${SKIP_TRAINING:-}

mkdir -p "$work"
[ -n "$skip" ] || "$sim" frames --seed 1 --site all --count 10000 --raw "$work/train.raw"
"$sim" frames --seed 900001 --site all --count 800 --raw "$work/unseen.raw"
"$sim" frames --seed 900002 --dock --every 500 --count 320 --raw "$work/dock.raw"
"$sim" frames --seed 900003 --sequence --every 700 --count 320 --raw "$work/drive.raw"
for name in detector-1.0.0 detector-2.0.0 detector-3.0.0; do
    to=$here/../$name
    [ -n "$skip" ] || "$python" "$here/train.py" "$name" --frames "$work/train.raw" -o "$to"
    for set in unseen dock drive; do
        "$python" "$here/evaluate.py" "$to/model.onnx" "$work/$set.raw" --into "$to/recipe.json" --as "$set"
    done
done
# What the makers of 3.0.0 saw: their own loader, which swaps red and blue.
"$python" "$here/evaluate.py" "$here/../detector-3.0.0/model.onnx" "$work/unseen.raw" --bgr --count 200 \
    --into "$here/../detector-3.0.0/recipe.json" --as unseen_in_its_own_pipeline
