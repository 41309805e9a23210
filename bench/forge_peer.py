#!/usr/bin/env python3
"""What onnxruntime.quantization makes of a model, for bench-forge: forge_peer.py MODEL.onnx SAMPLES OUT. Needs Python with onnx and onnxruntime.

OUT/default.onnx     quantize_static as it comes: QDQ, signed activations, per tensor, MinMax
OUT/advised.onnx     as its documentation advises for x86: pre-processed, unsigned activations, weights per channel, percentile
"""
import pathlib
import sys

import numpy
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

onnxruntime.set_default_logger_severity(4)


class Reader(CalibrationDataReader):
    def __init__(self, model, folder):
        self.name = onnxruntime.InferenceSession(model).get_inputs()[0].name
        self.files = iter(sorted(pathlib.Path(folder).glob("*.npy")))

    def get_next(self):
        file = next(self.files, None)
        return None if file is None else {self.name: numpy.load(file)}


def main():
    model, samples, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    quantize_static(model, out / "default.onnx", Reader(model, samples), quant_format=QuantFormat.QDQ)
    ready = str(out / "ready.onnx")
    quant_pre_process(model, ready)
    quantize_static(ready, out / "advised.onnx", Reader(ready, samples), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.Percentile,
                    extra_options={"CalibPercentile": 99.95})


main()
