/* What the files of this room share. A role is its `signed` as a JSON tree, edited in place; a file is one publication, and the last one of
 * a name is served, so that the past stays available for replays. */
#ifndef MUSTER_TRUST_TUF_TESTING_MOCK_INSIDE_H
#define MUSTER_TRUST_TUF_TESTING_MOCK_INSIDE_H

#include "trust/tuf/testing/mock.h"

#include <jansson.h>

struct mock_key {
    struct tuf_signer *signer;
    char *id;
};

struct mock_signing {
    int key;
    bool leaving; /* signs once more */
};

struct mock_role {
    char *name;
    json_t *body; /* `signed` */
    int64_t published;
    bool edited;
    struct mock_signing *signings;
    size_t signing_count;
};

enum mock_answer { MOCK_GIVE, MOCK_LACK, MOCK_FLOOD };

struct mock_file {
    char *name;
    char *role; /* NULL: not published by us */
    int64_t version;
    enum mock_answer answer;
    struct buf bytes;
};

struct tuf_mock {
    int64_t now_s;
    struct err err;
    bool with_hashes;
    struct mock_key *keys;
    size_t key_count;
    struct mock_role *roles;
    size_t role_count;
    json_t *role_index; /* name: index; 16 K bins are looked up */
    struct mock_file *files;
    size_t file_count;
    void (*hook)(struct tuf_mock *mock, const char *name, void *arg);
    void *hook_arg;
    struct buf log;
};

void mock_fail(struct tuf_mock *mock, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct mock_role *mock_role(struct tuf_mock *mock, const char *name); /* NULL, and the error sticks */
struct mock_role *mock_role_find(const struct tuf_mock *mock, const char *name);
struct mock_role *mock_role_add(struct tuf_mock *mock, const char *name, json_t *body); /* gives body up */

/* Edits in a tree. `value` is given up; NULL removes. -1: there is no such place. */
int mock_point(json_t *document, const char *pointer, json_t *value);
json_t *mock_vparse(struct tuf_mock *mock, const char *format, va_list args); /* NULL, and the error sticks */

/* OLPC canonical form; free() it; NULL: out of memory, or a number that is no integer. */
char *mock_canonical(const json_t *value);

/* {"keytype", "scheme", "keyval"} */
json_t *mock_key_json(const struct tuf_mock *mock, int key);
json_t *mock_date(int64_t at_s);
void mock_file_put(struct tuf_mock *mock, const char *name, const char *role, int64_t version,
                   enum mock_answer answer, const void *bytes, size_t len);

#endif
