/* Between the files of `muster push`. */
#ifndef MUSTER_CLI_PUSH_H
#define MUSTER_CLI_PUSH_H

#include "cli/client.h"
#include "cli/station.h"
#include "release/image.h"

struct push {
    struct client *client;
    const struct image *image; /* NULL: metadata only */
    struct station station;
    size_t metadata_sent;
    uint64_t done, total; /* bytes, for the progress line */
    uint64_t bytes_sent;
    size_t blobs_sent, blobs_skipped;
};

/* A file as a blob, if the server has not got it. */
int push_file(struct push *push, const struct digest *digest, uint64_t size, const char *file,
              struct err *err) must_check;
/* What the offline keys have signed and the server has not got: roots, the operators' keyring, targets. */
int push_metadata(struct push *push, struct err *err) must_check;

#endif
