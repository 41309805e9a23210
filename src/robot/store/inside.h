/* Private to robot/store. */
#ifndef MUSTER_ROBOT_STORE_INSIDE_H
#define MUSTER_ROBOT_STORE_INSIDE_H

#include "robot/store/store.h"

struct store {
    char *dir, *layout, *blobs, *partials, *state_path; /* owned */
    int lock;
    struct robot_state state;
};

char *store_blob_path(const struct store *store,
                      const struct digest *digest); /* free() it; NULL: out of memory */

#endif
