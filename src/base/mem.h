/* Memory and cleanup: resources end where their scope ends.
 *
 *     cleanup_free char *text = NULL;        // freed on every way out
 *     cleanup_close int fd = -1;             // closed on every way out
 *     *out_text = TAKE_PTR(text);            // handed over to the caller
 *
 * A type with a resource declares its own `cleanup_xxx` right under its `_free`, by MUSTER_CLEANUP.
 */
#ifndef MUSTER_BASE_MEM_H
#define MUSTER_BASE_MEM_H

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

void *mem_zalloc(size_t count, size_t size); /* zeroed; NULL on overflow or out of memory; free() it */
void *mem_grow(void *old, size_t count,
               size_t size); /* realloc with an overflow check; old survives a NULL */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);
void *mem_dup(const void *data, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void mem_cleanup_free(void *pointer_to_pointer);
void mem_cleanup_close(int *fd);
void mem_cleanup_file(FILE **file);

#define cleanup_free __attribute__((cleanup(mem_cleanup_free)))
#define cleanup_close __attribute__((cleanup(mem_cleanup_close)))
#define cleanup_file __attribute__((cleanup(mem_cleanup_file)))

/* MUSTER_CLEANUP(struct keyring *, keyring_free): defines the function behind
 * `#define cleanup_keyring __attribute__((cleanup(keyring_freep)))`. */
#define MUSTER_CLEANUP(type, function)                                                                       \
    static inline void function##p(type *slot)                                                               \
    {                                                                                                        \
        if (*slot)                                                                                           \
            function(*slot);                                                                                 \
    }

#define TAKE_PTR(p)                                                                                          \
    __extension__({                                                                                          \
        __typeof__(p) taken_ = (p);                                                                          \
        (p) = NULL;                                                                                          \
        taken_;                                                                                              \
    })
#define TAKE_FD(fd)                                                                                          \
    __extension__({                                                                                          \
        int taken_ = (fd);                                                                                   \
        (fd) = -1;                                                                                           \
        taken_;                                                                                              \
    })

#endif
