"""How the answers of the real models are read, and how alike two models' answers are. Numbers only: what a robot would do is elsewhere."""
import numpy


def iou(a, b):
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    common = max(0, x1 - x0) * max(0, y1 - y0)
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return common / max(area(a) + area(b) - common, 1e-9)


def text_boxes(outputs, i, threshold=0.3, certain=0.6, least=3):
    """PP-OCR's detector: connected pixels over the threshold, kept if they are certain in the mean; their bounding boxes."""
    (name, maps), = outputs.items()
    heat = maps[i].reshape(maps.shape[-2:])
    left, boxes = heat > threshold, []
    while left.any():
        y, x = numpy.argwhere(left)[0]
        todo, seen = [(y, x)], []
        left[y, x] = False
        while todo:
            y, x = todo.pop()
            seen.append((y, x))
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < left.shape[0] and 0 <= u < left.shape[1] and left[v, u]:
                    left[v, u] = False
                    todo.append((v, u))
        ys, xs = zip(*seen)
        if max(xs) - min(xs) >= least and max(ys) - min(ys) >= least and heat[list(ys), list(xs)].mean() >= certain:
            boxes.append([min(xs), min(ys), max(xs) + 1, max(ys) + 1])
    return boxes


def face_boxes(outputs, i, size, threshold=0.5):
    """BlazeFace: 16x16 cells with 2 and 8x8 with 6 boxes each, offsets in pixels from the cell's centre; the best of those that overlap."""
    by_shape = {maps.shape[2:]: maps[i].reshape(maps.shape[2], -1) for maps in outputs.values()}
    scores = numpy.concatenate([by_shape[(512, 1)], by_shape[(384, 1)]])[:, 0]
    rows = numpy.concatenate([by_shape[(512, 16)], by_shape[(384, 16)]])
    centres = numpy.array([((c % side) + 0.5, (c // side) + 0.5, side) for side, per in ((16, 2), (8, 6))
                           for c in range(side * side) for _ in range(per)])
    found = []
    for k in numpy.argsort(-scores):
        if 1 / (1 + numpy.exp(-numpy.clip(scores[k], -60, 60))) < threshold:
            break
        cx, cy = centres[k, :2] / centres[k, 2] * size + rows[k, :2]
        box = [cx - rows[k, 2] / 2, cy - rows[k, 3] / 2, cx + rows[k, 2] / 2, cy + rows[k, 3] / 2]
        if all(iou(box, other) < 0.3 for other in found):
            found.append(box)
    return found


def yolo_boxes(outputs, i, threshold=0.35, overlap=0.5):
    """[1, 4 + classes, cells]: cx cy w h in pixels, then scores; the best of those that overlap, class by class."""
    (name, maps), = outputs.items()
    rows = maps[i].reshape(maps.shape[-2:])
    found = []
    for label in range(rows.shape[0] - 4):
        kept = []
        for k in numpy.argsort(-rows[4 + label]):
            if rows[4 + label, k] < threshold:
                break
            cx, cy, w, h = rows[:4, k]
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            if all(iou(box, other) < overlap for other in kept):
                kept.append(box)
        found += [(label, box) for box in kept]
    return found


def agreement(first, second, overlap=0.5):
    """(matched, only in the first, only in the second), greedily; boxes may carry a label in front."""
    free, matched = list(second), 0
    for one in first:
        label, box = one if isinstance(one, tuple) else (None, one)
        best = max(((iou(box, o[1] if isinstance(o, tuple) else o), n) for n, o in enumerate(free)
                    if not isinstance(o, tuple) or o[0] == label), default=(0, -1))
        if best[0] >= overlap:
            matched += 1
            free.pop(best[1])
    return matched, len(first) - matched, len(free)


def f1(first, second, read, count, **how):
    """F1 of the second model's boxes against the first's, over all samples."""
    tp = fn = fp = 0
    for i in range(count):
        a, b, c = agreement(read(first, i, **how), read(second, i, **how))
        tp, fn, fp = tp + a, fn + b, fp + c
    return 2 * tp / max(2 * tp + fn + fp, 1), tp + fn


def same_class(first, second, count):
    (a,), (b,) = first.values(), second.values()
    return float(numpy.mean([a[i].reshape(-1, a.shape[-1]).argmax(-1) == b[i].reshape(-1, b.shape[-1]).argmax(-1) for i in range(count)]))
