#!/usr/bin/env python3
"""Writes coco_vectors.inc: random pictures with the AP that pycocotools, the reference implementation, gives them.

    pip install pycocotools numpy && src/stats/coco_vectors.py > src/stats/coco_vectors.inc
"""
import contextlib
import io
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CLASSES = 3


def box(rng):
    x, y = rng.randint(0, 200), rng.randint(0, 200)
    return [x, y, rng.randint(4, 60), rng.randint(4, 60)]


def near(rng, b, by):
    return [max(0, v + rng.randint(-by, by)) for v in b[:2]] + [max(2, v + rng.randint(-by, by)) for v in b[2:]]


def case(seed):
    rng = random.Random(seed)
    truths, found = [], []
    for frame in range(rng.randint(1, 8)):
        for _ in range(rng.randint(0, 6)):
            b, label = box(rng), rng.randrange(CLASSES)
            truths.append((frame, label, b))
            if rng.random() < 0.8:
                found.append((frame, label if rng.random() < 0.9 else rng.randrange(CLASSES), near(rng, b, rng.choice([0, 2, 6])), rng.randint(1, 99) / 100))
            if rng.random() < 0.2:
                found.append((frame, label, near(rng, b, 3), rng.randint(1, 99) / 100))
        for _ in range(rng.randint(0, 3)):
            found.append((frame, rng.randrange(CLASSES), box(rng), rng.randint(1, 99) / 100))
    return truths or [(0, 0, [1, 1, 9, 9])], found or [(0, 0, [1, 1, 9, 9], 0.5)]


def reference(truths, found):
    frames = 1 + max(t[0] for t in truths + found)
    coco = COCO()
    coco.dataset = {"images": [{"id": i + 1} for i in range(frames)], "categories": [{"id": c + 1} for c in range(CLASSES)],
                    "annotations": [{"id": i + 1, "image_id": f + 1, "category_id": c + 1, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
                                    for i, (f, c, b) in enumerate(truths)]}
    coco.createIndex()
    results = coco.loadRes([{"image_id": f + 1, "category_id": c + 1, "bbox": b, "score": s} for f, c, b, s in found])
    judge = COCOeval(coco, results, "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return judge.stats[1], judge.stats[0]


def main():
    print("/* Made by coco_vectors.py with pycocotools: do not edit. */")
    for seed in range(40):
        truths, found = case(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            ap50, ap = reference(truths, found)
        print(f"{{.ap50 = {ap50:.9f}, .ap = {ap:.9f}, .truth_count = {len(truths)}, .found_count = {len(found)},")
        for name, rows in (("truth", truths), ("found", found)):
            items = ", ".join("{%d, {%d, %d, %d, %d, %.2fF, %d}}" % (r[0], r[2][0], r[2][1], r[2][0] + r[2][2], r[2][1] + r[2][3],
                                                                 r[3] if len(r) > 3 else 1, r[1]) for r in rows)
            print(f" .{name} = {{{items}}},")
        print("},")


main()
