/* Errors: one value on the caller's stack.
 *
 *     struct err err = {0};
 *     if (store_open(path, &store, &err) < 0)
 *         return err_prefix(&err, "robot store %s", path);
 *
 * - A function that can fail returns 0 or -1 (or a pointer or NULL) and takes `struct err *err` as its last
 * argument.
 * - On success *err is left alone; on failure it holds the code and ONE line: the cause, then the remedy if
 * there is one.
 * - A layer that knows more puts it in front once: "blob sha256:ab…: size is 12, manifest says 14".
 * - `err` is never NULL. Programming errors assert; foreign input never does.
 * - One table (err.c) maps a code to its name, the HTTP status, the exit status and whether a retry can help.
 */
#ifndef MUSTER_BASE_ERR_H
#define MUSTER_BASE_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the input is malformed or out of range */
    ERR_USAGE,       /* the command line is wrong */
    ERR_NOT_FOUND,   /* the named thing does not exist */
    ERR_EXISTS,      /* the named thing exists already */
    ERR_CONFLICT,    /* the state does not allow it now */
    ERR_DENIED,      /* identity or rights are missing */
    ERR_UNTRUSTED,   /* a signature, digest or certificate does not hold */
    ERR_REFUSED,     /* policy or compatibility says no */
    ERR_TOO_BIG,     /* a limit is exceeded */
    ERR_BUSY,        /* somebody else is at it; later */
    ERR_TIMEOUT,     /* it took longer than allowed */
    ERR_UNREACHABLE, /* the peer cannot be reached or hung up */
    ERR_CORRUPT,     /* stored data is damaged */
    ERR_IO,          /* the operating system failed us */
    ERR_NO_SPACE,    /* a disk or quota is full */
    ERR_NO_MEMORY,   /* an allocation failed */
    ERR_UNSUPPORTED, /* not possible on this machine or build */
    ERR_INTERNAL,    /* a bug of ours */
    ERR_CODE_COUNT
};

struct err {
    enum err_code code;
    int os_errno; /* errno where the operating system said no, else 0 */
    char text[240];
};

#define must_check __attribute__((warn_unused_result))

/* Each of these fills *err and returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(errno)" appended and the code taken from errno (ENOENT → NOT_FOUND, ENOSPC →
 * NO_SPACE, ENOMEM → NO_MEMORY, EACCES/EPERM → DENIED, EEXIST → EXISTS, ECONNREFUSED and kin → UNREACHABLE,
 * ETIMEDOUT → TIMEOUT, else IO). */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "fmt: " in front of the text. Keeps the code. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Shorthand for ERR_NO_MEMORY. */
int err_no_memory(struct err *err);

const char *err_code_name(enum err_code code);      /* "not_found" */
enum err_code err_code_from_name(const char *name); /* ERR_INTERNAL if unknown */
int err_http_status(enum err_code code);            /* 404 */
enum err_code err_code_from_http(int status);       /* the code a client derives from a status alone */
int err_exit_status(
    enum err_code code); /* design.md: 1 failed, 2 usage, 3 refused, 4 not found, 5 unreachable */
bool err_retryable(enum err_code code); /* the same call may succeed later, unchanged */

#endif
