"""Trains one detector and exports it.

    muster-sim frames --seed 1 --site all --count 10000 --raw train.raw
    python train.py detector-2.0.0 --frames train.raw -o ../detector-2.0.0

All three at once, with their evaluation: train_all.sh.
"""
import argparse
import math
import os
import time

import numpy as np
import onnx
import onnxruntime
import torch

from evaluate import session, text_of
from frames import Frames
from loss import loss
from network import HEIGHT, WIDTH, Detector
from recipes import RECIPES


def photometric(x, rng):
    """Light, contrast and colour cast, differently for every image of the batch."""
    b = x.shape[0]
    pick = lambda low, high, c: torch.from_numpy(rng.uniform(low, high, (b, c, 1, 1)).astype(np.float32))
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * pick(0.75, 1.3, 1) + mean * pick(0.75, 1.25, 1)) * pick(0.88, 1.12, 3)


def batch_of(frames, chosen, recipe, rng):
    rgb = np.stack([frames.rgb[i] for i in chosen])
    if recipe["bgr"]:
        rgb = rgb[..., ::-1]
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))).float() / 255
    boxes, labels = torch.from_numpy(frames.boxes[chosen]), torch.from_numpy(frames.labels[chosen])
    labels = torch.where(labels < recipe["classes"], labels, -1)
    most = max(columns_used(labels), 1)
    boxes, labels = boxes[:, :most].clone(), labels[:, :most]
    if rng.random() < 0.5:
        x = x.flip(3)
        boxes[..., [0, 2]] = WIDTH - boxes[..., [2, 0]]
    if recipe["photometric"]:
        x = photometric(x, rng)
    return x.clamp(0, 1).contiguous(memory_format=torch.channels_last), boxes, labels


def columns_used(labels):
    """How many columns of a padded batch hold a box."""
    used = (labels >= 0).any(0).nonzero()
    return int(used.max()) + 1 if len(used) else 0


def fit(model, frames, recipe, steps, rate, rng, average, name):
    """AdamW, one cycle. Updates `average` (the mean of the weights over time) as it goes."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0}], rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: min((i + 1) / 100, 1) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * i / steps))))
    model.train().to(memory_format=torch.channels_last)
    start, order, shown = time.time(), [], 0.0
    for step in range(steps):
        if len(order) < recipe["batch"]:
            order = list(rng.permutation(recipe["frames"]))
        chosen = np.array([order.pop() for _ in range(recipe["batch"])])
        x, boxes, labels = batch_of(frames, chosen, recipe, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.get("bf16", False)):
            logits, found = model.raw(x)
        value = loss(logits, found, model.points, model.strides, boxes, labels)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        shown = 0.98 * shown + 0.02 * float(value) if step else float(value)
        if step % 25 == 24:
            print(f"{name} step {step + 1}/{steps} loss {shown:.3f} {(time.time() - start) / (step + 1):.3f} s/step",
                  flush=True)


def averaged(model):
    keep = lambda old, new, count: old + (new - old) * max(0.003, 1 / (float(count) + 1))
    return torch.optim.swa_utils.AveragedModel(model, avg_fn=keep, use_buffers=False)


def settle(model, frames, recipe, rng, batches=40):
    """Measures the statistics of the batch norms anew for the averaged weights."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    with torch.no_grad():
        for _ in range(batches):
            model.raw(batch_of(frames, rng.integers(0, recipe["frames"], recipe["batch"]), recipe, rng)[0])
    return model.eval()


def tidy(path):
    """Folds what is constant for this input size (shapes) and leaves plain ONNX operators only."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = path + ".folded"
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(path + ".folded")
    os.remove(path + ".folded")
    assert not [n for n in graph.graph.node if n.domain]
    plain = [o for o in graph.opset_import if o.domain == ""]
    del graph.opset_import[:]
    graph.opset_import.extend(plain)
    graph.ir_version = min(graph.ir_version, 9)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def export(model, path):
    sample = torch.rand(1, 3, HEIGHT, WIDTH)
    model = model.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(model, sample, path, input_names=["images"], output_names=["output0"], opset_version=17,
                      dynamo=False, do_constant_folding=True)
    tidy(path)
    with torch.no_grad():
        wanted = model(sample).numpy()
    got = session(path).run(None, {"images": sample.numpy()})[0]
    assert got.shape == wanted.shape and np.abs(got - wanted).max() < 1e-2, np.abs(got - wanted).max()
    assert os.path.getsize(path) < 1_000_000, os.path.getsize(path)


def train(recipe, frames, out, name):
    torch.manual_seed(recipe["seed"])
    rng = np.random.default_rng(recipe["seed"])
    model = Detector(recipe["classes"], **recipe["network"])
    average = averaged(model)
    fit(model, frames, recipe, recipe["passes"] * recipe["frames"] // recipe["batch"], recipe["rate"], rng, average,
        name)
    best = settle(average.module, frames, recipe, rng)
    if recipe.get("doubled"):
        best = train_doubled(best, frames, recipe, rng, name)
    export(best, out)


def train_doubled(small, frames, recipe, rng, name):
    """Puts the wide front before the trained network; all but the first layer of it is taken over."""
    recipe = dict(recipe, batch=recipe["doubled_batch"])
    model = Detector(recipe["classes"], **recipe["network"], doubled=recipe["doubled"])
    taken = {k: v for k, v in small.state_dict().items() if k != "low.0.0.weight"}
    model.load_state_dict(taken, strict=False)
    average = averaged(model)
    fit(model, frames, recipe, recipe["doubled_steps"], 2e-3, rng, average, name + " doubled")
    return settle(average.module, frames, recipe, rng, 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--frames", required=True)
    parser.add_argument("--passes", type=int, help="fewer passes than the recipe says, for a first look")
    parser.add_argument("-o", "--out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(2)
    recipe = dict(RECIPES[args.name], **({"passes": args.passes} if args.passes else {}))
    os.makedirs(args.out, exist_ok=True)
    path, start = os.path.join(args.out, "model.onnx"), time.time()
    train(recipe, Frames(args.frames), path, args.name)
    report = {"name": args.name, "recipe": recipe, "training_s": round(time.time() - start),
              "size_bytes": os.path.getsize(path)}
    with open(os.path.join(args.out, "recipe.json"), "w") as f:
        f.write(text_of(report) + "\n")


if __name__ == "__main__":
    main()
