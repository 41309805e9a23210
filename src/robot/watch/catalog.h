/* What is known of a release from the agent's store (release/image.h): its names, its threshold, its reference profile. */
#ifndef MUSTER_ROBOT_WATCH_CATALOG_H
#define MUSTER_ROBOT_WATCH_CATALOG_H

#include "robot/watch/subject.h"

enum { CATALOG_STORES = 4 };

struct catalog {
    const char *stores[CATALOG_STORES]; /* OCI layouts; borrowed */
    size_t count;
};

/* Errors: NOT_FOUND in none of the stores. A release without a profile is no error, one whose profile is damaged is. */
int catalog_load(const struct catalog *catalog, const struct digest *release, struct subject_about *out,
                 struct err *err) must_check;

#endif
