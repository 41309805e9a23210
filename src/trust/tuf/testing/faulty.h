/* A shelf that fails, around one that does not: the k-th change (store or remove, from 1) meets a fault. Loads never fail before it. */
#ifndef MUSTER_TRUST_TUF_TESTING_FAULTY_H
#define MUSTER_TRUST_TUF_TESTING_FAULTY_H

#include "trust/tuf/update.h"

enum tuf_fault {
    TUF_FAULT_NONE,       /* only counts */
    TUF_FAULT_CUT_BEFORE, /* power fails before the change reaches the disk; nothing works from then on */
    TUF_FAULT_CUT_AFTER,  /* … just behind it */
    TUF_FAULT_FULL,       /* NO_SPACE, this once */
    TUF_FAULT_IO,         /* IO, this once */
    TUF_FAULT_KILL        /* the process ends, with exit status 137, just before the change */
};

struct tuf_faulty {
    struct tuf_shelf shelf;  /* give &faulty->shelf to the client */
    struct tuf_shelf *inner; /* borrowed */
    enum tuf_fault fault;
    int at;
    int changes; /* so far */
    bool dead;
};

void tuf_faulty_init(struct tuf_faulty *faulty, struct tuf_shelf *inner, enum tuf_fault fault, int at);

#endif
