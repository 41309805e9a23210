/* What this machine has to run models on besides its processor: which of ONNX Runtime's providers can really be used here, with which
 * versions. Found out once per process.
 *
 *     a device node of NVIDIA's drivers      none: the answer is "no", and nothing is opened
 *      └▶ the runtime was built with the provider, its library lies beside it
 *          └▶ the driver: libcuda answers, there is a GPU: name, compute capability, version
 *              ├▶ cuda
 *              └▶ TensorRT: the libnvinfer that the provider's library asks for can be opened: its full version ─▶ tensorrt
 *
 * How each of these is looked at is a table of functions, so that tests make machines up. Whatever is missing is said in `why`, once it is
 * known that the hardware is there.
 */
#ifndef MUSTER_INFER_MACHINE_H
#define MUSTER_INFER_MACHINE_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/release.h"

#include <stdbool.h>

struct machine_gpu {
    char name[128];
    int compute; /* 87 for 8.7 */
    int driver;  /* CUDA version of the driver, 12060 for 12.6 */
};

struct machine_tensorrt {
    int version[4];    /* major, minor, patch, build */
    char plugins[65];  /* SHA-256 of its plugin library, hex; "": it has none */
    char trtexec[256]; /* "": not here */
};

struct machine {
    bool node; /* accelerator hardware is here */
    bool usable[PROVIDER_COUNT];
    char why[PROVIDER_COUNT][96]; /* of one that is not usable although the hardware is here */
    char runtime[32];             /* "1.22.0"; "": none */
    char l4t[64];                 /* NVIDIA's system for Jetson, "R36 (release), REVISION: 4.3"; "": none */
    struct machine_gpu gpu;
    struct machine_tensorrt tensorrt;
};

/* Each fills in its part. Errors: UNSUPPORTED in words that fit behind "no cuda: ". */
struct machine_probe {
    void *self;
    bool (*node)(void *self);
    /* `library`: the provider's, absolute. */
    int (*provider)(void *self, enum provider provider, char *library, size_t size, struct err *err);
    int (*gpu)(void *self, struct machine_gpu *out, struct err *err);
    int (*tensorrt)(void *self, const char *library, struct machine_tensorrt *out, struct err *err);
    void (*system)(void *self, struct machine *out); /* runtime, l4t */
};

void machine_look(const struct machine_probe *probe, struct machine *out);

/* This machine. The driver is asked by a child with a time limit where this process may have one: a driver that hangs or
 * crashes does not take anybody along, and a process that used the driver could not fork any more. */
const struct machine *machine_get(const char *runtime_path);

/* All that an engine depends on besides model and options, as lines. */
int machine_put_key(const struct machine *machine, struct buf *out, struct err *err) must_check;

#endif
