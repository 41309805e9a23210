/* Two operators and the keyring that knows both, for the tests of what people sign. */
#ifndef MUSTER_TRUST_PEOPLE_TESTING_H
#define MUSTER_TRUST_PEOPLE_TESTING_H

#include "base/testing.h"
#include "trust/key.h"
#include "trust/keyring.h"

struct people {
    struct signing_key *alice, *bob;
    struct keyring ring; /* both */
};

static inline int add_person(struct keyring *ring, const char *name, struct signing_key **out)
{
    struct err err = {0};
    struct public_key key;
    if (signing_key_generate(out, &err) < 0)
        return -1;
    signing_key_public(*out, &key);
    return keyring_add(ring, &key, name, &err);
}

static inline int setup(void **state)
{
    static struct people people;
    people = (struct people){0};
    *state = &people;
    return add_person(&people.ring, "alice", &people.alice) < 0 ||
           add_person(&people.ring, "bob", &people.bob) < 0;
}

static inline int teardown(void **state)
{
    struct people *people = *state;
    signing_key_free(people->alice);
    signing_key_free(people->bob);
    return 0;
}

#endif
