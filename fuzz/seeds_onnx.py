#!/usr/bin/env python3
"""Writes corpora/onnx: small models made by the onnx package itself, also read by src/wire/onnx/summary_test.c; and
corpora/onnx_model and corpora/onnx_graph, for the graph editor.

    pip install onnx numpy && fuzz/seeds_onnx.py
"""
import pathlib

import numpy
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent / "corpora" / "onnx"


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, graph, ir=8, opsets=((("", 17)),), producer="muster-seeds", folders=("onnx",)):
    model = helper.make_model(graph, producer_name=producer, opset_imports=[helper.make_opsetid(*o) for o in opsets])
    model.ir_version = ir
    for folder in folders:
        (OUT.parent / folder).mkdir(parents=True, exist_ok=True)
        (OUT.parent / folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


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


def old_forms():
    """Operators of opset 7 that say by attributes what later ones take as inputs."""
    nodes = [
        helper.make_node("Upsample", ["x"], ["a"], scales=[1.0, 1.0, 2.0, 2.0], mode="nearest"),
        helper.make_node("Clip", ["a"], ["b"], min=0.0, max=6.0),
        helper.make_node("Pad", ["b"], ["c"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.0),
        helper.make_node("Slice", ["c"], ["d"], axes=[2], starts=[1], ends=[3]),
        helper.make_node("Softmax", ["d"], ["e"]),
        helper.make_node("ReduceSum", ["e"], ["f"], axes=[3], keepdims=1),
        helper.make_node("Squeeze", ["f"], ["g"], axes=[3]),
        helper.make_node("Unsqueeze", ["g"], ["h"], axes=[0]),
        helper.make_node("Dropout", ["h"], ["i", "mask"], ratio=0.5),
        helper.make_node("TopK", ["i"], ["j", "at"], k=1),
        helper.make_node("Split", ["j"], ["y", "z"], axis=2, split=[1, 1]),
    ]
    return helper.make_graph(nodes, "old", [value("x", [1, 2, 3, 3])], [value("y", None), value("z", None)])


def kept_verbatim():
    """What the editor does not read: texts, annotations, sparse and string tensors, a subgraph that takes a tensor from outside."""
    leaf = helper.make_graph([helper.make_node("Add", ["x", "w"], ["t"])], "then", [], [value("t", None)])
    other = helper.make_graph([helper.make_node("Relu", ["x"], ["e"])], "else", [], [value("e", None)])
    nodes = [
        helper.make_node("If", ["c"], ["p"], then_branch=leaf, else_branch=other, doc_string="a branch"),
        helper.make_node("Constant", [], ["k"], value_floats=[1.0, 2.0]),
        helper.make_node("Constant", [], ["s"], value_strings=["a", "b"]),
        helper.make_node("Mul", ["p", "k"], ["q"]),
        helper.make_node("Add", ["q", "sparse"], ["y"]),
    ]
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("sparse", TensorProto.FLOAT, [1], [3.0]),
        helper.make_tensor("indices", TensorProto.INT64, [1], [1]), [2])
    graph = helper.make_graph(
        nodes, "kept", [value("c", [], TensorProto.BOOL), value("x", ["n", 2])], [value("y", None)],
        [helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])], doc_string="a graph", value_info=[value("p", ["n", 2])],
        sparse_initializer=[sparse])
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
EDITOR = ("onnx_model", "onnx_graph")
save("detector", detector(("batch", 3, "height", None)), folders=EDITOR)
save("old_inputs", old_inputs(), ir=3, opsets=(("", 7),), folders=EDITOR)
save("subgraphs", subgraphs(3), folders=EDITOR)
save("old_forms", old_forms(), ir=3, opsets=(("", 7),), folders=EDITOR)
save("kept_verbatim", kept_verbatim(), opsets=(("", 13), ("com.example", 3)), folders=EDITOR)
save("external", external(), folders=("onnx_model",))
