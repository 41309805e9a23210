"""mAP@0.5 of an ONNX detector on a file of frames, over all five classes (a class it does not know counts 0).

    python evaluate.py model.onnx frames.raw [--bgr] [--floor SCORE] [--into recipe.json --as NAME]
"""
import argparse
import json
import time

import numpy as np
import onnxruntime

from frames import Frames

CLASSES = ("person", "pallet", "forklift", "cone", "crate")


def iou(box, others):
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared / (np.prod(box[2:] - box[:2]) + (others[:, 2:] - others[:, :2]).prod(1) - shared + 1e-9)


def decode(output, floor=0.02, same=0.6, most=60):
    """[4+C,N] -> list of (label, score, box) after suppression per class."""
    scores, found = output[4:], []
    corners = np.concatenate([output[:2] - output[2:4] / 2, output[:2] + output[2:4] / 2]).T
    for label in range(len(scores)):
        order = np.argsort(-scores[label])
        order = order[scores[label][order] > floor]
        while len(order) and len(found) < most * len(scores):
            found.append((label, float(scores[label][order[0]]), corners[order[0]]))
            order = order[1:][iou(corners[order[0]], corners[order[1:]]) < same] if len(order) > 1 else order[1:]
    return sorted(found, key=lambda f: -f[1])[:most]


def average_precision(hits, wanted):
    """hits: (score, right) of one class; area under the interpolated precision-recall curve."""
    if not wanted:
        return float("nan")
    right = np.array([h for _, h in sorted(hits, key=lambda x: -x[0])], float)
    if not len(right):
        return 0.0
    recall, precision = np.cumsum(right) / wanted, np.cumsum(right) / (np.arange(len(right)) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0], recall])) * precision))


def score(predictions, frames, threshold=0.5):
    """predictions: per frame a list of (label, score, box). Returns AP per class name."""
    hits, wanted = {c: [] for c in range(len(CLASSES))}, np.zeros(len(CLASSES), int)
    for found, boxes, labels in zip(predictions, frames.boxes, frames.labels):
        free = labels >= 0
        np.add.at(wanted, labels[free], 1)
        for label, confidence, box in found:
            overlaps = np.where(free & (labels == label), iou(box, boxes), 0)
            best = int(overlaps.argmax())
            hits[label].append((confidence, overlaps[best] >= threshold))
            if overlaps[best] >= threshold:
                free[best] = False
    return {name: average_precision(hits[i], wanted[i]) for i, name in enumerate(CLASSES)}


def session(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def evaluate(path, frames, bgr=False, count=None, floor=0.02):
    run, predictions, times = session(path), [], []
    for i in range(min(count or len(frames), len(frames))):
        rgb = frames.rgb[i][..., ::-1] if bgr else frames.rgb[i]
        x = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32) / 255
        start = time.perf_counter()
        y = run.run(None, {"images": x})[0][0]
        times.append(time.perf_counter() - start)
        predictions.append(decode(y, floor))
    ap = score(predictions, frames)
    tidy = lambda x: round(float(x), 4)
    return {"map50": tidy(np.mean(list(ap.values()))), "ap50": {k: tidy(v) for k, v in ap.items()},
            "frames": len(predictions), "run_ms_p50": tidy(np.median(times) * 1e3)}


def text_of(value, indent=0):
    """JSON with what is short on one line."""
    line, pad = json.dumps(value), " " * (indent + 2)
    if len(line) + indent <= 100 or not isinstance(value, dict):
        return line
    members = [f"{pad}{json.dumps(k)}: {text_of(v, indent + 2)}" for k, v in value.items()]
    return "{\n" + ",\n".join(members) + "\n" + " " * indent + "}"


def note(path, name, result):
    """Adds the result to a recipe.json."""
    with open(path) as f:
        recipe = json.load(f)
    recipe.setdefault("evaluation", {})[name] = result
    with open(path, "w") as f:
        f.write(text_of(recipe) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("frames")
    parser.add_argument("--bgr", action="store_true", help="read the images with red and blue swapped")
    parser.add_argument("--floor", type=float, default=0.02, help="lowest score that counts (default 0.02)")
    parser.add_argument("--count", type=int, help="only so many frames")
    parser.add_argument("--into", help="a recipe.json to note the result in")
    parser.add_argument("--as", dest="name", default="unseen", help="under which name")
    args = parser.parse_args()
    result = evaluate(args.model, Frames(args.frames), args.bgr, args.count, args.floor)
    print(json.dumps(result, indent=1))
    if args.into:
        note(args.into, args.name, result)


if __name__ == "__main__":
    main()
