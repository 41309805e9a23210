/* Bytes against the length and the hashes that metadata names, in one go or piece by piece (a file that is being downloaded). */
#ifndef MUSTER_TRUST_TUF_CONTENT_H
#define MUSTER_TRUST_TUF_CONTENT_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/tuf/metadata.h"

/* All hashes that are there must fit; with none, only the length counts. */
bool tuf_content_fits(const struct tuf_hashes *hashes, uint64_t length, const void *bytes, size_t len);

struct tuf_content;
int tuf_content_new(const struct tuf_target *target, struct tuf_content **out, struct err *err) must_check;
void tuf_content_put(struct tuf_content *content, const void *bytes, size_t len);
/* REFUSES (target.hash) unless exactly the target's bytes were put. */
int tuf_content_end(struct tuf_content *content, struct err *err) must_check;
void tuf_content_free(struct tuf_content *content);
MUSTER_CLEANUP(struct tuf_content *, tuf_content_free)
#define cleanup_tuf_content __attribute__((cleanup(tuf_content_freep)))

#endif
