#!/usr/bin/env python3
"""Makes the tiny ONNX models of the tests. Needs the Python package onnx; the files are committed, tests only read them.

quadrants.onnx   images [1, 3, 16, 16] -> output0 [1, 6, 4], YOLOv8 layout with two labels: one candidate per quadrant, whose
                 box is the quadrant and whose scores are its mean red (label 0) and mean green (label 1)
transposed.onnx  the same with the axes of output0 exchanged: [1, 4, 6]
unknown_op.onnx  well-formed, right tensors, but an operator that no runtime has
nan.onnx         right tensors, but every score is NaN
garbage.onnx     not ONNX at all
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
BOXES = np.array([[[4, 12, 4, 12], [4, 4, 12, 12], [8, 8, 8, 8], [8, 8, 8, 8]]], np.float32)


def nodes(score_op):
    return [
        helper.make_node("AveragePool", ["images"], ["means"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["means", "flat_shape"], ["flat"]),
        helper.make_node("Slice", ["flat", "zero", "two", "one"], ["red_green"]),
        *score_op("red_green", "scores"),
        helper.make_node("Concat", ["boxes", "scores"], ["candidates"], axis=1),
    ]


def identity(source, target):
    return [helper.make_node("Identity", [source], [target])]


def unknown(source, target):
    return [helper.make_node("Frobnicate", [source], [target])]


def not_a_number(source, target):
    return [
        helper.make_node("Add", [source, "half"], ["positive"]),
        helper.make_node("Neg", ["positive"], ["negative"]),
        helper.make_node("Sqrt", ["negative"], [target]),
    ]


def save(name, score_op, transpose=False):
    last = helper.make_node("Transpose", ["candidates"], ["output0"], perm=[0, 2, 1]) if transpose else \
        helper.make_node("Identity", ["candidates"], ["output0"])
    constants = {"boxes": BOXES, "flat_shape": np.array([1, 3, 4], np.int64), "zero": np.array([0], np.int64),
                 "one": np.array([1], np.int64), "two": np.array([2], np.int64), "half": np.array([0.5], np.float32)}
    graph = helper.make_graph(
        [*nodes(score_op), last], name,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 4, 6] if transpose else [1, 6, 4])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="muster-tests")
    model.ir_version = 8
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


save("quadrants", identity)
save("transposed", identity, transpose=True)
save("unknown_op", unknown)
save("nan", not_a_number)
(HERE / "garbage.onnx").write_bytes(bytes(range(256)) * 2)
