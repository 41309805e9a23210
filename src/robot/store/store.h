/* The robot's store: releases by content, and the state that says which of them runs.
 *
 *   STATE_DIR/
 *     store/               an OCI image layout (release/image.h), the very form that workstation and server
 * check index.json         a release is in it as soon as its manifest is whole: so its blobs survive a
 * collection blobs/sha256/HEX   only bytes whose digest held when they came in partial/HEX          a blob on
 * its way in; its size is where the download goes on state.json           robot/store/state.h reports.log
 * robot/store/reports.h agent.lock           one agent at a time (the store's owner)
 *
 * Every change is: write beside, fsync, rename, fsync the directory. After a cut at any instruction the store
 * opens, state.json is the old or the new one, and what it names as current is whole. A full disk is an error
 * and changes nothing that is in use. store_crash_test.c enumerates the cuts. */
#ifndef MUSTER_ROBOT_STORE_STORE_H
#define MUSTER_ROBOT_STORE_STORE_H

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "robot/store/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct partial;

/* Opens or creates, takes the lock, sweeps away temporary files of an earlier life. A damaged state.json is
 * set aside as state.json.damaged and the robot starts from an empty state: `*out_recovered` says so (it has
 * to be reported). Errors: BUSY if another agent has the store. */
int store_open(const char *state_dir, struct store **out, bool *out_recovered, struct err *err) must_check;
void store_free(struct store *store);
MUSTER_CLEANUP(struct store *, store_free)
#define cleanup_store __attribute__((cleanup(store_freep)))

const char *store_dir(const struct store *store);    /* STATE_DIR */
const char *store_layout(const struct store *store); /* STATE_DIR/store */
char *store_path(const struct store *store,
                 const char *name); /* STATE_DIR/name; free() it; NULL: out of memory */

/* The state as it stands on the disk. */
const struct robot_state *store_state(const struct store *store);
/* Replaces it durably. On failure the old one stands here, and on the disk the old or (if only the last fsync
 * failed) the new one. */
int store_save(struct store *store, const struct robot_state *state, struct err *err) must_check;

/* Blobs. */
bool store_has_blob(const struct store *store, const struct digest *digest, uint64_t size);
int store_drop_blob(struct store *store, const struct digest *digest, struct err *err) must_check;
/* Fails with NO_SPACE and a line that says how much is there unless `bytes` more fit and a reserve is left.
 */
int store_check_space(const struct store *store, uint64_t bytes, struct err *err) must_check;
/* Enters the release in index.json: its manifest must be in the store. */
int store_add_release(struct store *store, const struct digest *digest, uint64_t size,
                      struct err *err) must_check;
/* Forgets every release that the state does not name (current, previous, candidate), its blobs, and all
 * partials that no candidate waits for. Not while a partial is open. */
int store_collect(struct store *store, uint64_t *out_bytes, struct err *err) must_check;

/* A blob on its way in. `*out_have` bytes are there already: fetch from that offset. A partial that is longer
 * than the blob starts over. */
int partial_open(struct store *store, const struct digest *digest, uint64_t size, struct partial **out,
                 uint64_t *out_have, struct err *err) must_check;
int partial_write(struct partial *partial, const void *data, size_t len,
                  struct err *err) must_check; /* TOO_BIG */
/* The blob is whole: it moves into the store if its digest holds; else the partial is removed and the error
 * is CORRUPT. Short of its size: UNREACHABLE (the connection ended early), and the partial stays. */
int partial_finish(struct partial *partial, struct err *err) must_check;
/* Throws away what is there: the next partial_open starts at 0. */
int partial_discard(struct partial *partial, struct err *err) must_check;
void partial_free(struct partial *partial); /* what was written stays for the next try */
MUSTER_CLEANUP(struct partial *, partial_free)
#define cleanup_partial __attribute__((cleanup(partial_freep)))

#endif
