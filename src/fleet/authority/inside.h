/* Between the files of this room. */
#ifndef MUSTER_FLEET_AUTHORITY_INSIDE_H
#define MUSTER_FLEET_AUTHORITY_INSIDE_H

#include "fleet/authority/authority.h"
#include "trust/repo/repo.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/update.h"

struct authority {
    char *dir;
    struct online *online;
    struct repo *repo; /* NULL: no root yet */
    int64_t timestamp_valid_s, snapshot_valid_s, assignment_valid_s;

    /* What a client would believe now (lookup.c). NULL: to be asked anew. */
    struct tuf_shelf *shelf;
    struct tuf_update *client;
    int64_t client_s;  /* when it was asked */
    struct err broken; /* why what there is does not hold; NONE: it does, or nobody has asked */
};

/* Something was published: what a client believed may be over. */
void authority_forget(struct authority *authority);
int authority_no_root(struct err *err); /* CONFLICT */

#endif
