/* The words of release.json, by enum value. Private to release.c and release_format.c. */
#ifndef MUSTER_WIRE_RELEASE_WORDS_H
#define MUSTER_WIRE_RELEASE_WORDS_H

#include "wire/release.h"

static const char *const task_words[] = {[TASK_DETECTION] = "detection",
                                         [TASK_CLASSIFICATION] = "classification",
                                         [TASK_TIMESERIES] = "timeseries",
                                         [TASK_CONTROL] = "control",
                                         [TASK_RAW] = "raw"};
static const char *const frame_words[] = {[FRAME_RGB8] = "rgb8", [FRAME_FLOAT32] = "float32"};
static const char *const color_words[] = {[COLOR_RGB] = "rgb", [COLOR_BGR] = "bgr"};
static const char *const layout_words[] = {[LAYOUT_NCHW] = "nchw", [LAYOUT_NHWC] = "nhwc"};
static const char *const resize_words[] = {[RESIZE_LETTERBOX] = "letterbox", [RESIZE_STRETCH] = "stretch"};
static const char *const decoder_words[] = {
    [DECODER_YOLOV8] = "yolov8", [DECODER_RAW] = "values", [DECODER_SCORES] = "scores"};
static const char *const activation_words[] = {
    [ACTIVATION_NONE] = "none", [ACTIVATION_SOFTMAX] = "softmax", [ACTIVATION_SIGMOID] = "sigmoid"};
static const char *const queue_words[] = {[QUEUE_LATEST] = "latest", [QUEUE_LOSSLESS] = "lossless"};
static const char *const provider_words[] = {
    [PROVIDER_CPU] = "cpu", [PROVIDER_CUDA] = "cuda", [PROVIDER_TENSORRT] = "tensorrt"};
static const char *const policy_words[] = {
    [SWITCH_AVAILABILITY] = "availability", [SWITCH_MEMORY] = "memory"};
static const char *const at_words[] = {
    [SWITCH_AT_FRAME] = "frame", [SWITCH_AT_SEQUENCE_END] = "sequence_end"};
static const char *const precision_words[] = {[PRECISION_FP32] = "fp32",
                                              [PRECISION_FP16] = "fp16",
                                              [PRECISION_INT8] = "int8",
                                              [PRECISION_INT8_FP16] = "int8+fp16"};
static const char *const dtype_words[] = {
    [DTYPE_FLOAT32] = "float32",  [DTYPE_UINT8] = "uint8",   [DTYPE_INT8] = "int8",
    [DTYPE_UINT16] = "uint16",    [DTYPE_INT16] = "int16",   [DTYPE_INT32] = "int32",
    [DTYPE_INT64] = "int64",      [DTYPE_BOOL] = "bool",     [DTYPE_FLOAT16] = "float16",
    [DTYPE_FLOAT64] = "float64",  [DTYPE_UINT32] = "uint32", [DTYPE_UINT64] = "uint64",
    [DTYPE_BFLOAT16] = "bfloat16"};

#endif
