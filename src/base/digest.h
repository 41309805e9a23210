/* A SHA-256 digest as a value. Text form: "sha256:" and 64 lower-case hexadecimal digits (OCI image-spec,
 * descriptor). Computing one needs a crypto library: see sys/hash.h. */
#ifndef MUSTER_BASE_DIGEST_H
#define MUSTER_BASE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#define DIGEST_TEXT_SIZE 72 /* with the terminating 0 */

struct digest {
    uint8_t bytes[32];
};

struct digest_text {
    char text[DIGEST_TEXT_SIZE];
};

bool digest_parse(const char *text, struct digest *out); /* exactly the text form, nothing before or behind */
struct digest_text digest_format(const struct digest *digest);
const char *digest_hex(const struct digest_text *text); /* the part behind "sha256:" */
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *digest);

#endif
