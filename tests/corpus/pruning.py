#!/usr/bin/env python3
"""How accurate the direction classifier is after pruning without labels: second order beside magnitude, 15, 25 and 40 % of the channels.

    tests/corpus/pruning.py [--count 1500]        a table, and a line of JSON
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from corpus.corpus import BIN, NETWORKS  # noqa: E402

WAYS = ["second-order", "magnitude-rebuilt", "magnitude"]


def accuracy(network, model, fresh, truth, out):
    (scores,) = network.answers(model, fresh, out).values()
    names = (out / "names.txt").read_text().split()
    return sum(["0", "180"][int(s.ravel().argmax())] == truth[n] for n, s in zip(names, scores)) / len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1500)
    args = parser.parse_args()
    network = next(n for n in NETWORKS if n.name == "text-direction")
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        samples, fresh = network.render(home / "samples", 128, 7), network.render(home / "fresh", args.count, 1)
        truth = json.loads((fresh / "labels.json").read_text())
        network.answers(network.file, samples, home / "dense", shaped=True)
        dense = home / "dense/model.onnx"
        rows = {"dense": accuracy(network, dense, fresh, truth, home / "answers")}
        print(f"dense: {100 * rows['dense']:.1f} %")
        for ratio in (0.15, 0.25, 0.40):
            for way in WAYS:
                pruned = home / f"{way}-{ratio}.onnx"
                said = subprocess.run([BIN / "forge-prune", dense, samples, pruned, str(ratio), way], check=True, capture_output=True, text=True)
                rows[f"{way} {ratio}"] = accuracy(network, pruned, fresh, truth, home / f"answers-{way}-{ratio}")
                print(f"{ratio:.0%} {way}: {100 * rows[f'{way} {ratio}']:.1f} %   {said.stdout.strip()}", flush=True)
        print(json.dumps(rows))


main()
