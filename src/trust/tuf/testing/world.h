/* What the tests of the client's rules share: a repository, a client's shelf, and what must come out. */
#ifndef MUSTER_TRUST_TUF_TESTING_WORLD_H
#define MUSTER_TRUST_TUF_TESTING_WORLD_H

#include "base/str.h"
#include "base/testing.h"
#include "trust/rule.h"
#include "trust/tuf/testing/mock.h"

enum { WORLD_NOW_S = 1800000000, DAY_S = 86400 }; /* 2027-01-15 */

struct world {
    struct tuf_mock *mock;
    struct tuf_shelf *shelf;
};

/* A repository whose root the client has; nothing else is on the shelf yet. */
static inline int world_setup(void **state)
{
    struct world *world = mem_zalloc(1, sizeof *world);
    struct err err = {0};
    *state = world;
    if (!world)
        return -1;
    world->mock = tuf_mock_new(WORLD_NOW_S);
    world->shelf = tuf_shelf_memory();
    if (!world->mock || !world->shelf || tuf_mock_anchor(world->mock, world->shelf, &err) < 0) {
        fprintf(stderr, "%s\n", world->mock ? tuf_mock_error(world->mock)->text : err.text);
        return -1;
    }
    return 0;
}

static inline int world_teardown(void **state)
{
    struct world *world = *state;
    tuf_mock_free(world->mock);
    tuf_shelf_free(world->shelf);
    free(world);
    return 0;
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* The version on the shelf; 0: none. */
static inline int64_t world_holds(const struct world *world, const char *role)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(64 << 20);
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (world->shelf->ops->load(world->shelf, role, &bytes, &err) < 0) {
        assert_int_equal(err.code, ERR_NOT_FOUND);
        return 0;
    }
    assert_ok(tuf_metadata_parse(bytes.data, bytes.len, &metadata, &err), err);
    return metadata.version;
}

/* What is on the shelf is exactly what was published as this version. */
static inline void world_exact(const struct world *world, const char *role, int64_t version)
{
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(64 << 20);
    assert_ok(world->shelf->ops->load(world->shelf, role, &bytes, &err), err);
    const struct buf *published = tuf_mock_past(world->mock, role, version);
    assert_non_null(published);
    assert_int_equal(bytes.len, published->len);
    assert_memory_equal(bytes.data, published->data, bytes.len);
}

#define assert_holds(world, root, timestamp, snapshot, targets)                                              \
    do {                                                                                                     \
        assert_int_equal(world_holds(world, "root"), root);                                                  \
        assert_int_equal(world_holds(world, "timestamp"), timestamp);                                        \
        assert_int_equal(world_holds(world, "snapshot"), snapshot);                                          \
        assert_int_equal(world_holds(world, "targets"), targets);                                            \
    } while (0)

#define assert_accepted(world)                                                                               \
    do {                                                                                                     \
        struct err err_ = {0};                                                                               \
        assert_ok(tuf_mock_refresh((world)->mock, (world)->shelf, &err_), err_);                             \
    } while (0)

static inline void world_refused(const char *what, int result, const struct err *err, enum trust_rule rule)
{
    if (result == 0)
        fail_msg("%s: accepted, wanted [%s]", what, trust_rule_name(rule));
    if (trust_rule_of(err->text) != rule)
        fail_msg("%s: \"%s\", wanted [%s]", what, err->text, trust_rule_name(rule));
}

#define assert_refused(world, rule)                                                                          \
    do {                                                                                                     \
        struct err err_ = {0};                                                                               \
        int result_ = tuf_mock_refresh((world)->mock, (world)->shelf, &err_);                                \
        world_refused("refresh", result_, &err_, rule);                                                      \
    } while (0)

#define assert_found(world, path)                                                                            \
    do {                                                                                                     \
        struct err err_ = {0};                                                                               \
        assert_ok(tuf_mock_seek((world)->mock, (world)->shelf, path, NULL, &err_), err_);                    \
    } while (0)

#define assert_not_found(world, path, rule)                                                                  \
    do {                                                                                                     \
        struct err err_ = {0};                                                                               \
        int result_ = tuf_mock_seek((world)->mock, (world)->shelf, path, NULL, &err_);                       \
        world_refused(path, result_, &err_, rule);                                                           \
    } while (0)

/* What the client asked for since the log was cleared. */
#define assert_asked(world, names) assert_string_equal(tuf_mock_log((world)->mock), names)

static inline void world_put(struct world *world, const char *role, const char *path)
{
    tuf_mock_target(world->mock, role, path, path, strlen(path)); /* its content is its own path */
}

/* Serves the role's newest publication with other white space: as long as before, the same document, as well signed; but not the same file. */
static inline void world_reshape(struct world *world, const char *role, const char *name)
{
    const struct buf *good = tuf_mock_past(world->mock, role, tuf_mock_version(world->mock, role));
    assert_non_null(good);
    cleanup_free char *bytes = mem_strdup(buf_text(good));
    char *line = strchr(bytes, '\n');
    assert_non_null(line);
    *line = ' ';
    tuf_mock_serve(world->mock, name, bytes, good->len);
}

/* Publishes the role once to measure it, and once more so that the file is exactly `size` bytes long, by an unknown member. */
static inline void world_pad(struct world *world, const char *role, size_t size)
{
    tuf_mock_set(world->mock, role, "/x-padding", "\"\"");
    tuf_mock_publish(world->mock, role);
    const struct buf *now = tuf_mock_past(world->mock, role, tuf_mock_version(world->mock, role));
    assert_non_null(now);
    assert_true(now->len < size);
    cleanup_free char *fill = mem_zalloc(size - now->len + 1, 1);
    assert_non_null(fill);
    memset(fill, 'x', size - now->len);
    tuf_mock_set(world->mock, role, "/x-padding", "\"%s\"", fill);
    tuf_mock_publish(world->mock, role);
    now = tuf_mock_past(world->mock, role, tuf_mock_version(world->mock, role));
    assert_int_equal(now->len, size);
}

#endif
