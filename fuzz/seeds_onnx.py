#!/usr/bin/env python3
"""Writes corpora/onnx: small models made by the onnx package itself, also read by src/wire/onnx/summary_test.c.

    pip install onnx numpy && fuzz/seeds_onnx.py
"""
import pathlib

import numpy
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent / "corpora" / "onnx"


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, graph, ir=8, opsets=((("", 17)),), producer="muster-seeds"):
    model = helper.make_model(graph, producer_name=producer, opset_imports=[helper.make_opsetid(*o) for o in opsets])
    model.ir_version = ir
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def weights(name="w", shape=(1, 9, 4)):
    return numpy_helper.from_array(numpy.arange(numpy.prod(shape), dtype=numpy.float32).reshape(shape), name)


def detector(shape=(1, 3, 8, 8)):
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Add", ["m", "w"], ["output0"]),
    ]
    return helper.make_graph(nodes, "detector", [value("images", shape)], [value("output0", [1, 9, 4])], [weights()])


def subgraphs(depth):
    """An If in an If in an If …, with a tensor in the innermost branch."""
    constant = helper.make_node("Constant", [], ["y"], value=weights("c", (1,)))
    branch = helper.make_graph([constant], "leaf", [], [value("y", [1])])
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch) if _ == 0 else \
            helper.make_node("If", ["c"], ["y"], then_branch=branch)
        branch = helper.make_graph([node], "branch", [], [value("y", [1])])
    return helper.make_graph(list(branch.node), "main", [value("c", [], TensorProto.BOOL)], [value("y", [1])])


def external():
    graph = detector()
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return graph


def old_inputs():
    """Before IR version 4 the initializers are inputs too."""
    graph = detector()
    graph.input.append(value("w", [1, 9, 4]))
    return graph


OUT.mkdir(parents=True, exist_ok=True)
save("detector", detector())
save("symbolic", detector(("batch", 3, "height", None)))
save("old_inputs", old_inputs(), ir=3)
save("external", external())
save("depth1", subgraphs(1))
save("depth8", subgraphs(8))
save("depth9", subgraphs(9))
save("domains", detector(), opsets=(("com.example", 3), ("ai.onnx", 13), ("ai.onnx.ml", 2)))
save("types", helper.make_graph(
    [helper.make_node("Identity", ["a"], ["y"])], "types",
    [value("a", [2], TensorProto.INT64), value("b", [], TensorProto.UINT8), value("c", None, TensorProto.FLOAT16)],
    [value("y", [2], TensorProto.INT64)]))
