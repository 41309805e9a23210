/* What the two shelves of shelf.h have in front. Private to trust/tuf. */
#ifndef MUSTER_TRUST_TUF_SHELF_INSIDE_H
#define MUSTER_TRUST_TUF_SHELF_INSIDE_H

#include "trust/tuf/shelf.h"

struct tuf_owned_shelf {
    struct tuf_shelf shelf;
    void (*drop)(struct tuf_shelf *shelf);
};

#endif
