/* The robot: the calls that the agent makes, in its order. */
#include "base/str.h"
#include "bench/attack.h"
#include "sys/hash.h"

void robot_init(struct robot *robot, struct world *world, struct store *store)
{
    struct err err = {0};
    *robot = (struct robot){.shelf = tuf_shelf_memory(), .store = store};
    if (!robot->shelf || tuf_mock_anchor(world->mock, robot->shelf, &err) < 0)
        abort();
}

void robot_fini(struct robot *robot)
{
    tuf_shelf_free(robot->shelf);
}

static int64_t now_of(const struct robot *robot, const struct server *server)
{
    return MAX(server->clock_s, robot->time_floor_s);
}

/* The bytes themselves, piece by piece, as a download gives them to the store. */
static int take_blob(struct robot *robot, const struct server *server, const struct assignment *assignment,
                     struct err *err)
{
    cleanup_partial struct partial *partial = NULL;
    uint64_t have = 0;
    if (partial_open(robot->store, &assignment->release, assignment->length, &partial, &have, err) < 0 ||
        partial_discard(partial, err) < 0)
        return -1;
    partial_free(TAKE_PTR(partial));
    if (partial_open(robot->store, &assignment->release, assignment->length, &partial, &have, err) < 0)
        return -1;
    for (int i = 0; i < (server->endless ? 1000 : 1); i++)
        if (partial_write(partial, server->blob, server->blob_len, err) < 0)
            return -1;
    return partial_finish(partial, err);
}

static int install(struct robot *robot, struct server *server, const struct assignment *assignment,
                   struct err *err)
{
    struct err cause = {0};
    if (take_blob(robot, server, assignment, &cause) == 0)
        return 0;
    return trust_refuse(err, TRUST_TARGET_HASH, "%.150s", cause.text);
}

static int admit(struct robot *robot, const struct admission_robot *self, struct server *server,
                 const struct assignment *assignment, const struct tuf_target *target, struct err *err)
{
    struct text_span spans[MAX_APPROVALS];
    for (size_t i = 0; i < server->approval_count; i++)
        spans[i] = (struct text_span){server->approvals[i], strlen(server->approvals[i])};
    const struct admission_evidence evidence = {.assignment = assignment,
                                                .target = target,
                                                .approval_count = server->approval_count,
                                                .approvals = spans,
                                                .plan = server->plan,
                                                .plan_len = server->plan ? strlen(server->plan) : 0};
    char floor[64];
    if (admission_target(self, &evidence, floor, err) < 0 || install(robot, server, assignment, err) < 0)
        return -1;
    if (floor[0]) /* "": the terms set none, and the old one stays */
        str_copy(robot->floor, sizeof robot->floor, floor);
    return 1;
}

/* A counter that a stolen director key drove up ends with that key: whoever signed then signs no more. */
static uint64_t accepted_of(const struct robot *robot, const struct tuf_root *root)
{
    bool same = root->director.count == 1 && str_eq(root->director.keyids[0], robot->director);
    return same ? robot->accepted : 0;
}

static int act(struct robot *robot, struct server *server, struct tuf_update *update, struct digest *out,
               struct err *err)
{
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    struct err cause = {0};
    const struct tuf_root *root = tuf_update_root(update);
    struct admission_robot self = {.robot = "r1",
                                   .root = root,
                                   .accepted = accepted_of(robot, root),
                                   .now_s = now_of(robot, server),
                                   .floor = robot->floor,
                                   .running_name = robot->version[0] ? "detector" : "",
                                   .running_version = robot->version,
                                   .operators = &server->world->ring};
    if (assignment_parse(server->assignment, strlen(server->assignment), &envelope, &cause) < 0)
        return trust_refuse(err, TRUST_ASSIGNMENT_FORM, "%.150s", cause.text);
    if (admission_assignment(&self, &envelope, err) < 0)
        return -1;
    robot->accepted = envelope.assignment.version; /* on the disk before it is acted upon */
    str_copy(robot->director, sizeof robot->director, root->director.keyids[0]);
    if (!envelope.assignment.path[0])
        return 0;
    tuf_update_seek(update, envelope.assignment.path);
    if (tuf_mock_pump(server->world->mock, update, err) < 0)
        return -1;
    int rc = admit(robot, &self, server, &envelope.assignment, tuf_update_target(update), err);
    if (rc == 1) {
        *out = envelope.assignment.release;
        str_copy(robot->version, sizeof robot->version, strchr(envelope.assignment.path, '/') + 1);
    }
    return rc;
}

int robot_try(struct robot *robot, struct server *server, struct digest *out, struct err *err)
{
    cleanup_tuf_update struct tuf_update *update = NULL;
    const struct tuf_update_options options = {.shelf = robot->shelf, .now_s = now_of(robot, server)};
    if (tuf_update_new(&options, &update, err) < 0)
        return -1;
    tuf_update_refresh(update);
    if (tuf_mock_pump(server->world->mock, update, err) < 0)
        return -1;
    robot->time_floor_s = MAX(robot->time_floor_s, tuf_update_time_floor(update));
    return act(robot, server, update, out, err);
}

int64_t robot_targets_version(const struct robot *robot, const struct world *world)
{
    cleanup_buf struct buf text = BUF_INIT(8 << 20);
    cleanup_tuf_metadata struct tuf_metadata targets = {0};
    struct err err = {0};
    (void)world;
    if (robot->shelf->ops->load(robot->shelf, "targets", &text, &err) < 0 ||
        tuf_metadata_parse(text.data, text.len, &targets, &err) < 0)
        return 0;
    return targets.version;
}
