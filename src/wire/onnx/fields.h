/* Field numbers of TensorProto (onnx.proto, IR version 8), for its two readers. Private to this room. */
#ifndef MUSTER_WIRE_ONNX_FIELDS_H
#define MUSTER_WIRE_ONNX_FIELDS_H

enum {
    DIMS = 1,
    DATA_TYPE = 2,
    FLOATS = 4,
    INT32S = 5,
    INT64S = 7,
    NAME = 8,
    RAW = 9,
    DOUBLES = 10,
    UINT64S = 11,
    EXTERNAL = 13,
    LOCATION = 14
};

#endif
