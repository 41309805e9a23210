/* Small text helpers over NUL-terminated strings. */
#ifndef MUSTER_BASE_STR_H
#define MUSTER_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* Copies with truncation; always terminates. True if it fitted. */
bool str_copy(char *out, size_t out_size, const char *text);

/* Whole-string numbers: no sign or blank in front for u64, no rest behind, in range; else false and *out
 * untouched. */
bool str_to_u64(const char *text, uint64_t *out);
bool str_to_i64(const char *text, int64_t *out);
bool str_to_double(const char *text, double *out); /* finite only */

/* 1..max_len characters of [a-zA-Z0-9._-], not starting with '.' or '-': safe as file name, URL segment and
 * label. */
bool str_is_name(const char *text, size_t max_len);

/* True if a relative path stays below its root: not empty, not absolute, no "..", no empty segment, no
 * backslash. */
bool str_is_safe_path(const char *path);

#endif
