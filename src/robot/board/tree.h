/* Small files below a root, each read whole or not at all.
 *
 * A board's kernel is foreign here: a file may be missing, empty, endless, binary, a pipe, or a link out of a recorded tree.
 * So: links are resolved as if the root were "/" (a recorded tree cannot be left), only regular files are read, never waiting, at most TREE_READ_BYTES,
 * and what comes out is printable text on one or more lines. Every miss is just `false`: a board without a file is the ordinary case.
 */
#ifndef MUSTER_ROBOT_BOARD_TREE_H
#define MUSTER_ROBOT_BOARD_TREE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { TREE_READ_BYTES = 4096, TREE_NAME_SIZE = 48, TREE_LIST_MAX = 128 };

struct tree {
    int root_fd;
    bool recorded; /* not this machine */
};

struct tree_names {
    size_t count;
    char names[TREE_LIST_MAX][TREE_NAME_SIZE]; /* sorted, numbers by value */
};

/* "" and "/" are this machine. Errors: NOT_FOUND; UNSUPPORTED if the kernel cannot confine links (openat2, Linux 5.6) below a recorded root. */
int tree_open(const char *root, struct tree *out, struct err *err) must_check;
void tree_close(struct tree *tree);

/* The text without blanks at its ends; false if there is none. Longer files are cut. */
bool tree_text(const struct tree *tree, char *out, size_t size, const char *path_format, ...)
    __attribute__((format(printf, 4, 5)));
/* Its first line. */
bool tree_line(const struct tree *tree, char *out, size_t size, const char *path_format, ...)
    __attribute__((format(printf, 4, 5)));
/* A file that holds one finite decimal number. */
bool tree_number(const struct tree *tree, double *out, const char *path_format, ...)
    __attribute__((format(printf, 3, 4)));
bool tree_exists(const struct tree *tree, const char *path_format, ...) __attribute__((format(printf, 2, 3)));
/* Entries of a folder that begin with `prefix` ("" any), at most TREE_LIST_MAX of the first 4,096. */
void tree_list(const struct tree *tree, struct tree_names *out, const char *prefix, const char *path_format,
               ...) __attribute__((format(printf, 4, 5)));

#endif
