/* Which shared libraries a program or library really loads on this machine: asked of the dynamic loader itself
 * ("ld.so --list FILE", what ldd does), so that its search order and its cache decide and not a copy of its
 * rules. The file is mapped but not one instruction of it runs.
 *
 *     cleanup_loader_list struct loader_list list = {0};
 *     loader_list("/usr/bin/muster-runner", &list, &err)      absolute paths, each once, the loader first
 */
#ifndef MUSTER_SYS_LOADER_H
#define MUSTER_SYS_LOADER_H

#include "base/err.h"

#include <stddef.h>

enum { LOADER_MAX = 128 };

struct loader_list {
    size_t count;
    char *paths[LOADER_MAX]; /* owned */
};

/* Adds to `out` what is not in it yet. Errors: NOT_FOUND if a library is missing; INVALID if the file is none
 * for this machine; UNSUPPORTED if this program itself was linked statically. */
int loader_list(const char *file, struct loader_list *out, struct err *err) must_check;
void loader_list_free(struct loader_list *list);
#define cleanup_loader_list __attribute__((cleanup(loader_list_free)))

/* The dynamic loader of this process, e.g. "/lib64/ld-linux-x86-64.so.2"; NULL: static. Not to be freed. */
const char *loader_path(void);

#endif
