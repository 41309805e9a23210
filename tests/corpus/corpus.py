"""The real networks that Muster is measured on: where they come from, what they are fed, how their answers are compared."""
import functools
import os
import pathlib
import subprocess

import numpy

from . import judge

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "node_modules/.corpus"
BIN = pathlib.Path(os.environ.get("MUSTER_BIN", ROOT / "build/bin"))


class Network:
    """like(parent's outputs, candidate's outputs, samples) → (fidelity 0..1, how many things were compared)"""

    def __init__(self, name, file, render, shapes=(), like=None):
        self.name, self.file, self.render_args, self.shapes, self.like = name, MODELS / file, render, list(shapes), like

    def render(self, folder, count, seed):
        subprocess.run(["/usr/bin/python3", ROOT / "tests/corpus/render.py", self.render_args[0], folder, *self.render_args[1:],
                        "--count", str(count), "--seed", str(seed)], check=True)
        return folder

    def answers(self, model, samples, out, shaped=False):
        """{output: array [samples, …]}; `shaped`: the model has open dimensions still."""
        subprocess.run([BIN / "forge-run", model, samples, out, *(self.shapes if shaped else ())], check=True)
        return {p.stem: numpy.load(p) for p in sorted(pathlib.Path(out).glob("*.npy"))}


def f1(read, **how):
    def like(first, second, count):
        return judge.f1(first, second, functools.partial(read, **how), count)
    return like


def classes(first, second, count):
    return judge.same_class(first, second, count), count


def values(first, second, count):
    """The least over the outputs of 1 - ||a - b|| / ||a||."""
    rest = lambda a, b: float(numpy.linalg.norm(a - b) / max(numpy.linalg.norm(a), 1e-9))
    return 1 - max(rest(first[k].astype(float), second[k].astype(float)) for k in first), count


def face(size):
    return ["faces", "--size", str(size), "--nhwc", "--range", "-1", "1"]


def rooms(size):
    return ["rooms", "--size", str(size), "--nhwc", "--alpha", "--range", "0", "255"]


NETWORKS = [
    Network("text-direction", "ch_ppocr_mobile_v2.0_cls_infer.onnx", ["direction"], ["x=1,3,48,192"], classes),
    Network("text-detector", "ch_PP-OCRv4_det_infer.onnx", ["scenes", "--size", "256"], ["x=1,3,256,256"], f1(judge.text_boxes)),
    Network("text-recognition", "ch_PP-OCRv4_rec_infer.onnx", ["lines"], ["x=1,3,48,320"], classes),
    Network("face-front", "face_detection_front_128x128_barracuda.onnx", face(128), like=f1(judge.face_boxes, size=128)),
    Network("face-back", "face_detection_back_256x256_barracuda.onnx", face(256), like=f1(judge.face_boxes, size=256)),
    Network("line-tiny-320", "mlsd_320x320_tiny.onnx", rooms(320), like=values),
    Network("line-large-320", "mlsd_320x320_large.onnx", rooms(320), like=values),
    Network("line-tiny-512", "mlsd_512x512_tiny.onnx", rooms(512), like=values),
    Network("line-large-512", "mlsd_512x512_large.onnx", rooms(512), like=values),
]
