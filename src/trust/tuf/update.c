#include "trust/tuf/name.h"
#include "trust/tuf/update_inside.h"

static const struct tuf_limits default_limits = {
    .root = 512000,
    .timestamp = 16384,
    .snapshot = 2000000,
    .targets = 5000000,
    .root_rotations = 1024,
    .delegations = 32,
};

/* ---- beginning and end ---- */

int tuf_trust(struct tuf_shelf *shelf, const void *root, size_t len, struct err *err)
{
    struct err why = {0};
    cleanup_buf struct buf there = BUF_INIT(default_limits.root);
    cleanup_tuf_metadata struct tuf_metadata metadata = {0};
    if (shelf->ops->load(shelf, "root", &there, &why) == 0 || why.code == ERR_TOO_BIG)
        return err_set(err, ERR_EXISTS, "there is a trusted root already");
    if (why.code != ERR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    if (len > default_limits.root)
        return trust_refuse(err, TRUST_METADATA_SIZE, "root has %zu bytes", len);
    if (tuf_check_form(TUF_ROOT, "root", root, len, &metadata, err) < 0 ||
        tuf_check_signed(&metadata, &metadata, TRUST_ROOT_SIGNATURES, err) < 0)
        return -1;
    return shelf->ops->store(shelf, "root", root, len, err);
}

static struct tuf_limits resolve(const struct tuf_limits *limits)
{
    const struct tuf_limits *own = &default_limits;
    return (struct tuf_limits){
        .root = limits->root ? limits->root : own->root,
        .timestamp = limits->timestamp ? limits->timestamp : own->timestamp,
        .snapshot = limits->snapshot ? limits->snapshot : own->snapshot,
        .targets = limits->targets ? limits->targets : own->targets,
        .root_rotations = limits->root_rotations > 0 ? limits->root_rotations : own->root_rotations,
        .delegations = limits->delegations > 0 ? limits->delegations : own->delegations,
    };
}

int tuf_update_new(const struct tuf_update_options *options, struct tuf_update **out, struct err *err)
{
    cleanup_tuf_update struct tuf_update *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return err_no_memory(err);
    u->options = *options;
    u->options.limits = resolve(&options->limits);
    u->given = (struct buf)BUF_INIT(1);
    if (tuf_local_root(u, err) < 0 || tuf_local_rest(u, err) < 0)
        return -1;
    *out = TAKE_PTR(u);
    return 0;
}

static void free_roles(struct tuf_update *u)
{
    for (size_t i = 0; i < u->role_count; i++) {
        tuf_metadata_fini(&u->roles[i]->metadata);
        free(u->roles[i]->name);
        free(u->roles[i]);
    }
    free(u->roles);
}

static void free_search(struct tuf_update *u)
{
    for (size_t i = 0; i < u->depth; i++)
        free(u->stack[i].role);
    for (size_t i = 0; i < u->visited_count; i++)
        free(u->visited[i]);
    for (size_t i = 0; i < u->found_count; i++) {
        free(u->found[i]->path);
        free(u->found[i]->custom);
        free(u->found[i]);
    }
    free(u->stack);
    free(u->visited);
    free(u->found);
    free(u->path);
}

void tuf_update_free(struct tuf_update *u)
{
    if (!u)
        return;
    tuf_metadata_fini(&u->root);
    tuf_metadata_fini(&u->timestamp);
    tuf_metadata_fini(&u->snapshot);
    free_roles(u);
    free_search(u);
    buf_fini(&u->given);
    free(u->want);
    free(u);
}

/* ---- what is trusted ---- */

const struct tuf_target *tuf_update_target(const struct tuf_update *u)
{
    return u->target;
}

const struct tuf_root *tuf_update_root(const struct tuf_update *u)
{
    return &u->root.root;
}

const struct tuf_metadata *tuf_update_role(const struct tuf_update *u, const char *role)
{
    if (strcmp(role, "root") == 0)
        return &u->root;
    if (strcmp(role, "timestamp") == 0)
        return u->has_timestamp ? &u->timestamp : NULL;
    if (strcmp(role, "snapshot") == 0)
        return u->has_snapshot ? &u->snapshot : NULL;
    const struct tuf_role *found = tuf_role_find(u, role);
    return found && found->there ? &found->metadata : NULL;
}

int64_t tuf_update_time_floor(const struct tuf_update *u)
{
    return u->time_floor_s;
}

/* ---- orders ---- */

static void start(struct tuf_update *u, enum tuf_phase phase)
{
    u->err = (struct err){0};
    u->waiting = false;
    u->answer = ANSWER_NONE;
    u->phase = phase;
}

static void fail(struct tuf_update *u, const struct err *err)
{
    u->err = *err;
    u->phase = PHASE_FAILED;
    u->waiting = false;
}

void tuf_update_refresh(struct tuf_update *u)
{
    free(u->path);
    u->path = NULL;
    u->target = NULL;
    u->refreshed = false;
    u->rotations = 0;
    for (size_t i = 0; i < u->role_count; i++) /* the next snapshot may name others */
        u->roles[i]->there = u->roles[i]->there && strcmp(u->roles[i]->name, "targets") == 0;
    start(u, PHASE_ROOT);
}

void tuf_update_seek(struct tuf_update *u, const char *target_path)
{
    struct err err = {0};
    bool refreshed = u->refreshed;
    char *path = mem_strdup(target_path);
    if (!refreshed)
        tuf_update_refresh(u);
    start(u, refreshed ? PHASE_SEEK : PHASE_ROOT);
    free(u->path);
    u->path = path;
    if (!path ? err_no_memory(&err) < 0 : tuf_seek_start(u, &err) < 0)
        fail(u, &err);
}

/* ---- steps ---- */

int tuf_want_file(struct tuf_update *u, int64_t version, const char *role, const struct tuf_file *length,
                  uint64_t limit, struct err *err)
{
    bool versioned = version && (u->root.root.consistent_snapshot || strcmp(role, "root") == 0);
    cleanup_free char *name = tuf_name_encode(role);
    free(u->want);
    u->want = NULL;
    if (name)
        u->want =
            versioned ? mem_printf("%lld.%s.json", (long long)version, name) : mem_printf("%s.json", name);
    if (!u->want)
        return err_no_memory(err);
    u->want_max = length && length->has_length ? MAX(1, MIN(length->length, limit)) : limit;
    u->answer = ANSWER_NONE;
    u->waiting = true;
    return 0;
}

static const struct {
    int (*enter)(struct tuf_update *u, struct err *err);
    int (*take)(struct tuf_update *u, const void *bytes, size_t len, struct err *err);
    int (*lack)(struct tuf_update *u, struct err *err); /* NULL: it must be there */
} phases[PHASE_COUNT] = {
    [PHASE_ROOT] = {tuf_root_enter, tuf_root_take, tuf_root_lack},
    [PHASE_TIMESTAMP] = {tuf_timestamp_enter, tuf_timestamp_take, NULL},
    [PHASE_SNAPSHOT] = {tuf_snapshot_enter, tuf_snapshot_take, NULL},
    [PHASE_TARGETS] = {tuf_targets_enter, tuf_targets_take, NULL},
    [PHASE_SEEK] = {tuf_seek_enter, tuf_seek_take, NULL},
};

static int handle_answer(struct tuf_update *u, struct err *err)
{
    enum tuf_answer answer = u->answer;
    u->waiting = false;
    u->answer = ANSWER_NONE;
    if (answer == ANSWER_GIVEN)
        return phases[u->phase].take(u, u->given.data, u->given.len, err);
    if (answer == ANSWER_OVERFLOW)
        return trust_refuse(err, TRUST_METADATA_SIZE, "%.80s has more than %llu bytes", u->want,
                            (unsigned long long)u->want_max);
    if (phases[u->phase].lack)
        return phases[u->phase].lack(u, err);
    return trust_refuse(err, TRUST_METADATA_MISSING, "the server does not have %.80s", u->want);
}

enum tuf_step tuf_update_step(struct tuf_update *u, struct tuf_want *out, struct err *err)
{
    while (phases[u->phase].enter) {
        struct err why = {0};
        if (u->waiting && u->answer == ANSWER_NONE) {
            *out = (struct tuf_want){.name = u->want, .max_bytes = u->want_max};
            return TUF_WANT;
        }
        if ((u->waiting ? handle_answer(u, &why) : phases[u->phase].enter(u, &why)) < 0)
            fail(u, &why);
    }
    if (u->phase != PHASE_FAILED)
        return TUF_DONE;
    *err = u->err;
    return TUF_FAILED;
}

/* ---- answers ---- */

void tuf_update_give(struct tuf_update *u, const void *bytes, size_t len)
{
    struct err err = {0};
    if (!u->waiting)
        return;
    buf_reset(&u->given);
    u->given.max = (size_t)u->want_max;
    if (buf_put(&u->given, bytes, len, &err) == 0)
        u->answer = ANSWER_GIVEN;
    else if (err.code == ERR_TOO_BIG)
        u->answer = ANSWER_OVERFLOW;
    else
        fail(u, &err);
}

void tuf_update_lack(struct tuf_update *u)
{
    if (u->waiting)
        u->answer = ANSWER_LACK;
}

void tuf_update_overflow(struct tuf_update *u)
{
    if (u->waiting)
        u->answer = ANSWER_OVERFLOW;
}
