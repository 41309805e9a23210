/* Two shelves for trusted metadata: a directory (un-versioned names: root.json, timestamp.json, …; a delegated role's name percent-encoded,
 * so that no name leaves the directory), written atomically and durably; and memory, for tests, benchmarks and checks that keep nothing. */
#ifndef MUSTER_TRUST_TUF_SHELF_H
#define MUSTER_TRUST_TUF_SHELF_H

#include "trust/tuf/update.h"

struct tuf_shelf *tuf_shelf_dir(const char *dir, struct err *err); /* the directory is made; NULL with *err */
struct tuf_shelf *tuf_shelf_memory(void);                          /* NULL: out of memory */
void tuf_shelf_free(struct tuf_shelf *shelf);
MUSTER_CLEANUP(struct tuf_shelf *, tuf_shelf_free)
#define cleanup_tuf_shelf __attribute__((cleanup(tuf_shelf_freep)))

#endif
