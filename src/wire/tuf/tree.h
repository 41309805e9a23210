/* What the readers of TUF metadata share: JSON trees of bounded cost, texts copied out of them, lists looked over. Private to wire/tuf. */
#ifndef MUSTER_WIRE_TUF_TREE_H
#define MUSTER_WIRE_TUF_TREE_H

#include "wire/json.h"
#include "wire/tuf/metadata.h"

#include <jansson.h>

/* Strict JSON as a tree. What a tree takes is bounded by the text's length: nesting by JSON_MAX_DEPTH, and containers and values by
 * their number per byte, so that 5 MB of "[[],[],…" do not become 500 MB. NULL with *err (INVALID, NO_MEMORY). */
json_t *tuf_tree(const void *text, size_t len, struct err *err);
char *tuf_canonical_tree(const json_t *value, size_t *out_len, struct err *err);

json_t *tuf_key_tree(enum tuf_scheme scheme,
                     const char *public_text); /* as metadata has it; NULL: unknown scheme, no UTF-8 */

/* Required members, copied; NULL after an error, which the reader keeps. Texts are not empty. */
char *tuf_read_text(struct json_at at, const char *key);
char **tuf_read_texts(struct json_at at, const char *key, size_t *out_count);

/* Keys and keysets, as root and delegations have them. Keys are sorted by id. */
struct tuf_key *tuf_read_keys(struct json_at at, size_t *out_count);
void tuf_read_keyset(struct json_at at, struct tuf_keyset *out);
bool tuf_keys_have(const struct tuf_key *keys, size_t count,
                   const struct tuf_keyset *set); /* each keyid of the set; keys sorted */
void tuf_read_hashes(struct json_at at, struct tuf_hashes *out);
bool tuf_texts_unique(char *const *texts, size_t count);         /* false also if out of memory */
bool tuf_hex_decode(const char *text, size_t len, uint8_t *out); /* either case; out: len / 2 bytes */
enum tuf_scheme tuf_scheme_of(const char *type, const char *scheme);

void tuf_read_root(struct json_at at, struct tuf_root *out);
void tuf_read_targets(struct json_at at, struct tuf_targets *out);

void tuf_keyset_fini(struct tuf_keyset *set);
void tuf_keys_free(struct tuf_key *keys, size_t count);
void tuf_texts_free(char **texts, size_t count);
void tuf_targets_fini(struct tuf_targets *targets);

#endif
