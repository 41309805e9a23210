/* The engine of a release: an OCI image (root file system with muster-runner, the inference engine and every library
 * that they need) that travels inside the release, so that the same bytes run on every robot, and under podman or docker.
 *
 *     release manifest, further layers:
 *         application/vnd.oci.image.manifest.v1+json     engine/manifest.json   the image: config and one layer
 *         application/vnd.oci.image.config.v1+json       engine/config.json
 *         application/vnd.oci.image.layer.v1.tar+gzip    engine/rootfs.tar.gz
 *     index.json names the image besides, as NAME-VERSION-engine, for podman and skopeo
 *
 * Being layers, they are signed, pushed, fetched, resumed and collected with the release, and an engine that did not change is not
 * fetched again. On a robot it is unpacked once into ENGINES/HEX (the image's digest), read-only:
 *
 *     blob ─ digest ─▶ gunzip ▶ strict tar (wire/tar.h) ▶ ENGINES/HEX.tmp-engine ─ rename ─▶ ENGINES/HEX
 */
#ifndef MUSTER_RELEASE_ENGINE_H
#define MUSTER_RELEASE_ENGINE_H

#include "release/image.h"

#define ENGINE_LIBRARIES "/usr/lib/muster"
#define ENGINE_RUNTIME ENGINE_LIBRARIES "/libonnxruntime.so.1"
#define ENGINE_PROGRAM "/usr/bin/muster-runner"
/* A release may carry an engine for each architecture (annotation org.muster.variant); a robot sees its own only. */
#if defined(__aarch64__)
#define ENGINE_ARCHITECTURE "arm64"
#else
#define ENGINE_ARCHITECTURE "amd64"
#endif
#define OCI_IMAGE_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define OCI_IMAGE_LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"

enum { ENGINE_MAX_FILES = 4096 };
#define ENGINE_MAX_BYTES (4ull << 30) /* unpacked; CUDA and TensorRT are large */

/* The descriptor of its image for this architecture; NULL: this release has none. */
const struct oci_descriptor *engine_of(const struct image *image);

/* *out: the directory with the unpacked, checked engine; free() it. Engines that no release in image->dir has any
 * more are removed. Errors: CORRUPT, INVALID, TOO_BIG, NO_SPACE, BUSY if another process unpacks for longer than a minute. */
int engine_unpack(const struct image *image, const char *engines, char **out, struct err *err) must_check;

#endif
