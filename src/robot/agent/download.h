/* One release from the server into the store: the manifest, then every blob that is missing.
 *
 *     GET /api/v1/blobs/MANIFEST          digest and size were admitted (trust/admission.h)
 *     GET /api/v1/blobs/…                 one after the other, Range from what a partial holds; sizes from
 * the manifest; of what is made for one kind of machine only what this one uses (release/image.h)
 *
 * Free and start again to try again: it goes on where it was. Blobs that lie in the store already are hashed
 * once; those that rotted are fetched anew. Not more than the announced size is ever taken of a body.
 *
 * Errors as they reach `done`: CORRUPT (digest does not fit; thrown away), TOO_BIG (more
 * than announced), NO_SPACE, INVALID (manifest), CONFLICT (the server cannot resume; thrown away), and those
 * of the transport. */
#ifndef MUSTER_ROBOT_AGENT_DOWNLOAD_H
#define MUSTER_ROBOT_AGENT_DOWNLOAD_H

#include "base/err.h"
#include "base/mem.h"
#include "release/image.h"
#include "robot/store/store.h"
#include "sys/fetch.h"

#include <stdint.h>

struct download;

struct download_options {
    struct fetch *fetch; /* borrowed, as everything here */
    struct store *store;
    const char *server;  /* URL without a slash at the end */
    uint64_t rate_limit; /* bytes/s; 0: none */
    int stall_s;         /* 0: 30 */
    struct image_use use;
};

int download_new(const struct download_options *options, const struct digest *release, uint64_t size,
                 struct download **out, struct err *err) must_check;
void download_free(struct download *download); /* cancels */
MUSTER_CLEANUP(struct download *, download_free)
#define cleanup_download __attribute__((cleanup(download_freep)))

enum download_state { DOWNLOAD_RUNNING, DOWNLOAD_DONE, DOWNLOAD_FAILED };

/* Goes on after a transfer has ended. On FAILED *err says why. */
enum download_state download_tick(struct download *download, struct err *err);
uint64_t download_bytes(const struct download *download); /* moved over the network by this one */

#endif
