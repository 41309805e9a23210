/* The engine image: muster-runner, ONNX Runtime and every library that they load on this machine, as an OCI image.
 *
 *     etc/passwd, etc/group                 one user, muster-runner (65534)
 *     lib64/ld-linux-x86-64.so.2            the dynamic loader, where the program looks for it
 *     usr/bin/muster-runner                 the entry point
 *     usr/lib/muster/…                      everything else, found by LD_LIBRARY_PATH
 *     dev, proc, sys, run/muster, store, tmp     empty: mount points
 *
 * The archive is sorted, root's and of time 0: equal files give equal bytes (with the same zlib). The image is for machines of this
 * architecture. How it is kept in a release: release/engine.h.
 */
#ifndef MUSTER_FORGE_ENGINE_H
#define MUSTER_FORGE_ENGINE_H

#include "base/err.h"
#include "wire/oci.h"

struct engine_options {
    const char *program; /* muster-runner; NULL: the one beside this program */
    const char *runtime; /* ONNX Runtime; NULL: see infer/runtime.h */
    const char *created; /* RFC 3339 */
    /* Told each file that goes in, with the hash of its contents; may be NULL. */
    int (*file)(void *arg, const char *name, const struct digest *digest, struct err *err);
    void *arg;
};

struct engine_parts {
    struct oci_descriptor manifest, config, rootfs;
    size_t file_count;
    uint64_t unpacked_bytes;
};

/* Adds the three blobs to the layout `dir`; index.json is the caller's business. Errors: NOT_FOUND if the program or a
 * library is missing; UNSUPPORTED without ONNX Runtime. */
int engine_build(const char *dir, const struct engine_options *options, struct engine_parts *out,
                 struct err *err) must_check;

/* A layout of its own in `dir`, which is made: `muster pack --engine -o DIR`. */
int engine_pack(const char *dir, const struct engine_options *options, struct engine_parts *out,
                struct err *err) must_check;

#endif
