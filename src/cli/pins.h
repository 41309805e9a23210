/* The robots' keys that this workstation knows: keys/robots.json. A server that shows another key for a robot is not believed.
 *
 *     {"schema": 1, "robots": [{"robot": "r1", "key": "sha256:…"}, …]}      sorted; SHA-256 of the public key (DER SubjectPublicKeyInfo)
 */
#ifndef MUSTER_CLI_PINS_H
#define MUSTER_CLI_PINS_H

#include "base/digest.h"
#include "base/err.h"

#include <stddef.h>

enum { PINS_MAX = 50000 };

struct pin {
    char robot[64];
    struct digest key;
};

struct pins {
    char *path; /* owned, both */
    struct pin *items;
    size_t count;
};

/* A file that is not there is an empty list. Errors: INVALID. */
int pins_open(const char *keys_dir, struct pins *out, struct err *err) must_check;
int pins_save(const struct pins *pins, struct err *err) must_check;
void pins_close(struct pins *pins);
#define cleanup_pins __attribute__((cleanup(pins_close)))

const struct pin *pins_find(const struct pins *pins, const char *robot);
int pins_set(struct pins *pins, const char *robot, const struct digest *key, struct err *err) must_check;

#endif
