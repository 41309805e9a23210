/* From the tapped features of candidates to what wire/profile.h keeps of them. Private to this room.
 *
 *     two thirds ─▶ principal components (32 numbers) ─▶ int8 of unit length ─▶ at most 1,024 of them, spread by k-means++ (Arthur and Vassilvitskii, 2007)
 *     one third  ─▶ distance to the nearest of these ─▶ quantiles: what novelty_p compares with
 */
#ifndef MUSTER_FORGE_PROFILE_EMBED_H
#define MUSTER_FORGE_PROFILE_EMBED_H

#include "base/err.h"
#include "wire/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMBED_MAX_VECTORS = 16384, EMBED_MIN_VECTORS = 64 };

struct embed {
    size_t channels, count, room;
    float *values; /* [count][channels]; owned */
    uint16_t *labels;
    bool *held; /* nothing is fitted to it */
};

void embed_init(struct embed *embed, size_t channels);
void embed_fini(struct embed *embed);
#define cleanup_embed __attribute__((cleanup(embed_fini)))

/* `features`: one float every `stride`. Beyond EMBED_MAX_VECTORS, and what is not finite, nothing is added. */
int embed_add(struct embed *embed, const float *features, size_t stride, uint32_t label, bool held,
              struct err *err) must_check;
/* Fills in the profile's tap, projection, prototypes and quantiles. Errors: INVALID with less than EMBED_MIN_VECTORS of either kind. */
int embed_fit(const struct embed *embed, const char *tap, struct profile *profile,
              struct err *err) must_check;

#endif
