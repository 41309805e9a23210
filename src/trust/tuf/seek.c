/* 5.6.7: which role, if any, speaks for a target: preorder, depth first, in the order of preference. */
#include "base/hex.h"
#include "sys/hash.h"
#include "trust/tuf/update_inside.h"

/* ---- what is to be visited ---- */

static void drop_stack(struct tuf_update *u, size_t down_to)
{
    while (u->depth > down_to)
        free(u->stack[--u->depth].role);
}

static int push(struct tuf_update *u, const char *role, const struct tuf_role *delegator, struct err *err)
{
    struct tuf_visit *stack = mem_grow(u->stack, u->depth + 1, sizeof *stack);
    if (!stack)
        return err_no_memory(err);
    u->stack = stack;
    stack[u->depth] = (struct tuf_visit){.role = mem_strdup(role), .delegator = delegator};
    return stack[u->depth].role ? (u->depth++, 0) : err_no_memory(err);
}

static bool is_visited(const struct tuf_update *u, const char *role)
{
    for (size_t i = 0; i < u->visited_count; i++)
        if (strcmp(u->visited[i], role) == 0)
            return true;
    return false;
}

static int mark_visited(struct tuf_update *u, struct err *err)
{
    char **visited = mem_grow(u->visited, u->visited_count + 1, sizeof *visited);
    if (!visited)
        return err_no_memory(err);
    u->visited = visited;
    visited[u->visited_count++] = u->stack[--u->depth].role;
    return 0;
}

static void drop_visited(struct tuf_update *u)
{
    while (u->visited_count > 0)
        free(u->visited[--u->visited_count]);
}

int tuf_seek_start(struct tuf_update *u, struct err *err)
{
    drop_stack(u, 0);
    drop_visited(u);
    u->target = NULL;
    u->path_sha256 = hash_bytes(u->path, strlen(u->path));
    return push(u, "targets", NULL, err);
}

/* ---- looking into a role ---- */

static void reverse(struct tuf_visit *from, struct tuf_visit *to)
{
    for (; from + 1 < to; from++) {
        struct tuf_visit first = *from;
        *from = *--to;
        *to = first;
    }
}

static int push_bin(struct tuf_update *u, const struct tuf_role *role, struct err *err)
{
    cleanup_free char *bin = tuf_succinct_bin(&role->metadata.targets.succinct, u->path_sha256.bytes);
    return bin ? push(u, bin, role, err) : err_no_memory(err);
}

/* The roles that `role` delegates the path to, the first on top. A terminating one ends the search behind it. No more than could be visited. */
static int push_delegations(struct tuf_update *u, const struct tuf_role *role, struct err *err)
{
    char hex[65];
    size_t bottom = u->depth, room = 2 * (size_t)u->options.limits.delegations + 2;
    const struct tuf_targets *targets = &role->metadata.targets;
    if (targets->succinct.bit_length)
        return push_bin(u, role, err);
    hex_encode(u->path_sha256.bytes, sizeof u->path_sha256.bytes, hex);
    for (size_t i = 0; i < targets->delegation_count && u->depth - bottom < room; i++) {
        const struct tuf_delegation *delegation = &targets->delegations[i];
        if (!tuf_delegation_matches(delegation, u->path, hex))
            continue;
        if (delegation->terminating) {
            struct tuf_visit *kept = u->stack + bottom;
            size_t count = u->depth - bottom;
            for (size_t j = 0; j < bottom; j++)
                free(u->stack[j].role);
            memmove(u->stack, kept, count * sizeof *kept);
            bottom = 0;
            u->depth = count;
        }
        if (push(u, delegation->name, role, err) < 0)
            return -1;
        if (delegation->terminating)
            break;
    }
    reverse(u->stack + bottom, u->stack + u->depth);
    return 0;
}

static int keep_found(struct tuf_update *u, const struct tuf_target *target, struct err *err)
{
    struct tuf_target **found = mem_grow(u->found, u->found_count + 1, sizeof *found);
    struct tuf_target *copy = mem_dup(target, sizeof *target);
    if (found)
        u->found = found;
    if (!found || !copy) {
        free(copy);
        return err_no_memory(err);
    }
    copy->path = mem_strdup(target->path);
    copy->custom = target->custom ? mem_strdup(target->custom) : NULL;
    found[u->found_count++] = copy;
    if (!copy->path || (target->custom && !copy->custom))
        return err_no_memory(err);
    u->target = copy;
    u->phase = PHASE_DONE;
    return 0;
}

static int look_into(struct tuf_update *u, const struct tuf_role *role, struct err *err)
{
    const struct tuf_target *target = tuf_metadata_target(&role->metadata, u->path);
    if (mark_visited(u, err) < 0)
        return -1;
    return target ? keep_found(u, target, err) : push_delegations(u, role, err);
}

/* ---- the phase ---- */

static int not_found(struct tuf_update *u, struct err *err)
{
    if (u->depth > 0)
        return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "not found in the %zu roles that may be looked at",
                            u->visited_count);
    return trust_refuse(err, TRUST_TARGETS_UNKNOWN, "no targets role names it (looked at %zu)",
                        u->visited_count);
}

int tuf_seek_enter(struct tuf_update *u, struct err *err)
{
    while (u->depth > 0 && is_visited(u, u->stack[u->depth - 1].role))
        drop_stack(u, u->depth - 1);
    if (u->depth == 0 || u->visited_count > (size_t)u->options.limits.delegations)
        return not_found(u, err);
    const struct tuf_visit *visit = &u->stack[u->depth - 1];
    int rc = tuf_role_local(u, visit->role, visit->delegator, err);
    if (rc < 0)
        return -1;
    return rc ? look_into(u, tuf_role_find(u, visit->role), err) : tuf_role_want(u, visit->role, err);
}

int tuf_seek_take(struct tuf_update *u, const void *bytes, size_t len, struct err *err)
{
    const struct tuf_visit *visit = &u->stack[u->depth - 1];
    if (tuf_role_take(u, visit->role, visit->delegator, bytes, len, err) < 0)
        return -1;
    return look_into(u, tuf_role_find(u, visit->role), err);
}
