/* What an attacker does who has the server and its online keys. Each move changes what the robot is given; several may be made in one run. Nothing
 * here signs with an offline key: for root and targets the attacker has his own key and the online ones. */
#include "base/str.h"
#include "bench/attack.h"
#include "sys/hash.h"

#include <stdlib.h>

static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};

static struct truth *any_release(struct world *world)
{
    return &world->releases[draw(world, (unsigned)world->count)];
}

static void give_assignment(struct server *server, char *text)
{
    free(server->assignment);
    server->assignment = text;
}

static void give_blob(struct server *server, const char *text)
{
    free(server->blob);
    server->blob = copy_text(text);
    server->blob_len = strlen(text);
}

/* ---- metadata that was right once ---- */

static void serve_past(struct world *world, const char *role, int64_t version, const char *as)
{
    const struct buf *bytes = version > 0 ? tuf_mock_past(world->mock, role, version) : NULL;
    if (bytes)
        tuf_mock_serve(world->mock, as, bytes->data, bytes->len);
}

static void timestamp_back(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    serve_past(world, "timestamp", 1 + draw(world, (unsigned)tuf_mock_version(world->mock, "timestamp")),
               "timestamp.json");
}

/* Freeze: nothing new is given until everything has expired. */
static void freeze(struct server *server, struct robot *robot)
{
    server->clock_s += (int64_t)draw(server->world, 400) * DAY_S;
    server->world->now_s = MAX(server->world->now_s, server->clock_s);
}

/* The online keys keep timestamp, or timestamp and snapshot, young; so the offline ones are what runs out. */
static void keep_fresh(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    freeze(server, robot);
    if (draw(world, 3)) {
        tuf_mock_expire(world->mock, "snapshot", server->clock_s + 7 * DAY_S);
        tuf_mock_publish(world->mock, "snapshot");
        tuf_mock_sync(world->mock, "timestamp");
    }
    tuf_mock_expire(world->mock, "timestamp", server->clock_s + DAY_S);
    tuf_mock_publish(world->mock, "timestamp");
}

static void clock_back(struct server *server, struct robot *robot)
{
    server->clock_s -= (int64_t)draw(server->world, 400) * DAY_S;
}

/* A snapshot that names old targets, signed with the online key, and a timestamp for it. */
static void snapshot_of_old_targets(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    int64_t version = 1 + draw(world, (unsigned)world->targets_version);
    char name[64];
    tuf_mock_set(world->mock, "snapshot", "/meta/targets.json", "{\"version\": %lld}", (long long)version);
    tuf_mock_publish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_publish(world->mock, "timestamp");
    snprintf(name, sizeof name, "%lld.targets.json", (long long)version);
    serve_past(world, "targets", version, name);
}

/* Old targets under the name of the new ones. */
static void mix_targets(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    char name[64];
    snprintf(name, sizeof name, "%lld.targets.json", (long long)world->targets_version);
    serve_past(world, "targets", 1 + draw(world, (unsigned)world->targets_version), name);
}

/* A timestamp that names another snapshot than the one behind that name; or a snapshot that the attacker's key alone signed. */
static void mix_snapshot(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    int64_t version = tuf_mock_version(world->mock, "snapshot");
    char name[64];
    if (draw(world, 2)) {
        tuf_mock_unsign(world->mock, "snapshot", TUF_SNAPSHOT);
        tuf_mock_sign(world->mock, "snapshot", world->evil);
        tuf_mock_publish(world->mock, "snapshot");
        tuf_mock_sync(world->mock, "timestamp");
        tuf_mock_publish(world->mock, "timestamp");
        return;
    }
    tuf_mock_set(world->mock, "timestamp", "/meta/snapshot.json", "{\"version\": %lld}",
                 (long long)version + 1);
    tuf_mock_publish(world->mock, "timestamp");
    snprintf(name, sizeof name, "%lld.snapshot.json", (long long)version + 1);
    serve_past(world, "snapshot", version, name);
}

/* An old root, soundly signed, as the next one. */
static void root_again(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    char name[64];
    snprintf(name, sizeof name, "%lld.root.json", (long long)(world->root_version + 1));
    serve_past(world, "root", 1 + draw(world, (unsigned)world->root_version), name);
}

static void snapshot_vanishes(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    tuf_mock_set(world->mock, "snapshot", "/meta", "{}");
    tuf_mock_publish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_publish(world->mock, "timestamp");
}

/* Everything online as far ahead as it goes, so that what comes later looks old. */
static void fast_forward(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    tuf_mock_set(world->mock, "snapshot", "/version", "2147483600");
    tuf_mock_republish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_set(world->mock, "timestamp", "/version", "2147483600");
    tuf_mock_republish(world->mock, "timestamp");
    struct assignment assignment = assignment_of(world, any_release(world));
    assignment.version = INT64_MAX;
    give_assignment(server, assign(world, world->director, &assignment));
}

/* ---- metadata of his own ---- */

static void sign_as_attacker(struct world *world, const char *role, int offline)
{
    static const int online[] = {TUF_TIMESTAMP, TUF_SNAPSHOT};
    tuf_mock_unsign(world->mock, role, offline);
    tuf_mock_sign(world->mock, role, online[draw(world, 2)]);
    tuf_mock_sign(world->mock, role, world->director);
    tuf_mock_sign(world->mock, role, world->evil);
}

static void publish_chain(struct world *world)
{
    tuf_mock_sync(world->mock, "snapshot");
    tuf_mock_publish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_publish(world->mock, "timestamp");
}

/* Evil bytes under a good name, in targets that every key signed but the right one. */
static void forge_targets(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    const struct truth *release = any_release(world);
    char evil[64], pointer[64];
    snprintf(evil, sizeof evil, "evil %08x", draw(world, 1u << 30));
    sign_as_attacker(world, "targets", TUF_TARGETS);
    tuf_mock_target(world->mock, "targets", release->path, evil, strlen(evil));
    snprintf(pointer, sizeof pointer, "/targets/detector~1%s/custom", release->version);
    tuf_mock_set(world->mock, "targets", pointer,
                 "{\"muster\": {\"fleet\": \"warehouse-a\", \"kind\": \"release\"}}");
    tuf_mock_publish(world->mock, "targets");
    publish_chain(world);
    struct assignment assignment = assignment_of(world, release);
    assignment.length = strlen(evil);
    assignment.release = hash_bytes(evil, strlen(evil));
    give_assignment(server, assign(world, world->director, &assignment));
    give_blob(server, evil);
}

static void delegate_to_himself(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    static const char *const paths[] = {"detector/*", NULL};
    const struct tuf_mock_delegation delegation = {.name = "evil", .paths = paths, .terminating = true};
    sign_as_attacker(world, "targets", TUF_TARGETS);
    tuf_mock_delegate(world->mock, "targets", &delegation);
    tuf_mock_target(world->mock, "evil", "detector/9.9.9", "evil", 4);
    tuf_mock_publish(world->mock, "evil");
    tuf_mock_publish(world->mock, "targets");
    publish_chain(world);
}

/* The next root gives the attacker's key the offline roles, or asks for no signature at all. */
static void forge_root(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    sign_as_attacker(world, "root", TUF_ROOT);
    tuf_mock_trust(world->mock, "root", draw(world, 2) ? "targets" : "root", world->evil);
    if (draw(world, 2))
        tuf_mock_threshold(world->mock, "root", roles[draw(world, 4)], (int)draw(world, 3) - 1);
    tuf_mock_set(world->mock, "root", "/version", "%lld",
                 (long long)(world->root_version + 1 + draw(world, 2)));
    tuf_mock_republish(world->mock, "root");
}

static void foreign_fleet(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    int64_t version = world->foreign_version;
    char name[64];
    snprintf(name, sizeof name, "%lld.targets.json", (long long)version);
    tuf_mock_serve(world->mock, name, world->foreign_targets.data, world->foreign_targets.len);
    tuf_mock_set(world->mock, "snapshot", "/meta/targets.json", "{\"version\": %lld}", (long long)version);
    tuf_mock_publish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_publish(world->mock, "timestamp");
    cleanup_tuf_metadata struct tuf_metadata targets = {0};
    struct err err = {0};
    if (tuf_metadata_parse(world->foreign_targets.data, world->foreign_targets.len, &targets, &err) < 0 ||
        targets.targets.count == 0)
        abort();
    struct assignment assignment = assignment_of(world, any_release(world));
    str_copy(assignment.path, sizeof assignment.path, targets.targets.targets[0].path);
    assignment.length = targets.targets.targets[0].length;
    memcpy(assignment.release.bytes, targets.targets.targets[0].hashes.sha256,
           sizeof assignment.release.bytes);
    give_assignment(server, assign(world, world->director, &assignment));
}

/* ---- bytes on the wire ---- */

static void file_now(struct world *world, const char *role, char out[64])
{
    if (str_eq(role, "timestamp"))
        snprintf(out, 64, "timestamp.json");
    else if (str_eq(role, "root"))
        snprintf(out, 64, "%lld.root.json", (long long)(world->root_version + 1));
    else
        snprintf(out, 64, "%lld.%s.json", (long long)tuf_mock_version(world->mock, role), role);
}

static void flip_bits(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    char name[64];
    file_now(world, roles[1 + draw(world, 3)], name);
    const struct buf *bytes = tuf_mock_file(world->mock, name);
    if (!bytes || bytes->len == 0)
        return;
    cleanup_free char *copy = mem_zalloc(bytes->len, 1);
    memcpy(copy, bytes->data, bytes->len);
    for (unsigned i = 1 + draw(world, 4); i > 0; i--)
        copy[draw(world, (unsigned)bytes->len)] ^= (char)(1u << draw(world, 8));
    size_t len = draw(world, 3) ? bytes->len : draw(world, (unsigned)bytes->len);
    tuf_mock_serve(world->mock, name, copy, len);
}

static void endless_metadata(struct server *server, struct robot *robot)
{
    char name[64];
    file_now(server->world, roles[draw(server->world, 4)], name);
    tuf_mock_flood(server->world->mock, name);
}

static void missing_metadata(struct server *server, struct robot *robot)
{
    char name[64];
    file_now(server->world, roles[1 + draw(server->world, 3)], name);
    tuf_mock_hide(server->world->mock, name);
}

static void other_bytes(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    server->blob_len = strlen(server->blob);
    switch (draw(world, 3)) {
    case 0:
        give_blob(server, any_release(world)->bytes);
        break;
    case 1:
        server->blob[draw(world, (unsigned)server->blob_len)] ^= (char)(1u << draw(world, 7));
        break;
    default:
        server->blob_len = draw(world, (unsigned)server->blob_len);
        break;
    }
}

static void endless_blob(struct server *server, struct robot *robot)
{
    server->endless = true;
}

/* ---- assignments ---- */

/* Everything that the director really signed, for whomever and whenever. */
static void replay_assignment(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    if (world->assignments.count)
        give_assignment(server,
                        copy_text(world->assignments.items[draw(world, (unsigned)world->assignments.count)]));
}

static void assign_any(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    const struct truth *release = any_release(world); /* also withdrawn, below the floor, unapproved, older */
    struct assignment assignment = assignment_of(world, release);
    assignment.rollback = draw(world, 2);
    give_assignment(server, assign(world, world->director, &assignment));
    give_blob(server, release->bytes);
}

/* Back to what has a known hole, with all that its approvers once signed for it. */
static void go_back(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    const struct truth *release = &world->releases[draw(world, 1 + (unsigned)world->count / 2)];
    struct server honest;
    server_honest(&honest, world, release);
    struct assignment assignment = assignment_of(world, release);
    assignment.rollback = true;
    int64_t clock_s = server->clock_s;
    server_fini(server);
    *server = honest;
    server->clock_s = clock_s;
    give_assignment(server, assign(world, world->director, &assignment));
}

static void assign_unreleased(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    struct assignment assignment = assignment_of(world, any_release(world));
    assignment.rollback = draw(world, 2);
    if (draw(world, 2))
        str_copy(assignment.path, sizeof assignment.path, "detector/9.9.9");
    assignment.length = 4;
    assignment.release = hash_bytes("evil", 4);
    give_assignment(server, assign(world, world->director, &assignment));
    give_blob(server, "evil");
}

static void assign_with_other_key(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    static const int others[] = {TUF_TIMESTAMP, TUF_SNAPSHOT};
    struct assignment assignment = assignment_of(world, any_release(world));
    give_assignment(server,
                    assign(world, draw(world, 2) ? world->evil : others[draw(world, 2)], &assignment));
}

static void older_counter(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    struct assignment assignment = assignment_of(world, any_release(world));
    assignment.version = robot->accepted ? draw(world, (unsigned)MIN(robot->accepted, UINT64_C(1000000))) : 0;
    assignment.version = MAX(assignment.version, UINT64_C(1));
    give_assignment(server, assign(world, world->director, &assignment));
}

static void spoil_assignment(struct server *server, struct robot *robot)
{
    size_t len = strlen(server->assignment);
    for (unsigned i = 1 + draw(server->world, 3); i > 0; i--) {
        char *at = &server->assignment[draw(server->world, (unsigned)len)];
        char changed = (char)(*at ^ (char)(1u << draw(server->world, 7)));
        *at = changed ? changed : *at;
    }
}

/* ---- approvals ---- */

static void clear_approvals(struct server *server)
{
    for (size_t i = 0; i < server->approval_count; i++)
        free(server->approvals[i]);
    server->approval_count = 0;
}

static void give_approval(struct server *server, char *text)
{
    if (server->approval_count < MAX_APPROVALS)
        server->approvals[server->approval_count++] = text;
    else
        free(text);
}

static void no_approvals(struct server *server, struct robot *robot)
{
    clear_approvals(server);
}

/* What people signed for other releases, plans, or long ago; one of them often enough for everybody. */
static void replay_approvals(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    clear_approvals(server);
    bool same = draw(world, 2);
    unsigned which = world->approvals.count ? draw(world, (unsigned)world->approvals.count) : 0;
    for (size_t i = 0; i < MAX_APPROVALS && world->approvals.count; i++)
        give_approval(
            server,
            copy_text(world->approvals.items[same ? which : draw(world, (unsigned)world->approvals.count)]));
}

static void forge_approvals(struct server *server, struct robot *robot)
{
    static const char *const names[] = {"alice", "bob", "carol", "mallory"};
    struct world *world = server->world;
    const struct truth *release = any_release(world);
    clear_approvals(server);
    for (int i = 0; i < 4; i++)
        give_approval(server,
                      approve(world, world->mallory, names[i], release, draw(world, 2), world->now_s));
}

/* He names the robot in a plan that nobody approved. */
static void other_plan(struct server *server, struct robot *robot)
{
    struct world *world = server->world;
    static const char *const r1[] = {"r1"};
    const struct plan_wave wave = {"all", r1, 1};
    const struct truth *release = any_release(world);
    struct assignment assignment = assignment_of(world, release);
    free(server->plan);
    server->plan = plan_format(&release->digest, "detector", release->version, "mine", &wave, 1);
    assignment.plan = draw(world, 2) ? hash_bytes(server->plan, strlen(server->plan)) : release->plan_digest;
    give_assignment(server, assign(world, world->director, &assignment));
    give_blob(server, release->bytes);
}

const struct move moves[] = {
    {"timestamp_back", timestamp_back},
    {"freeze", freeze},
    {"keep_fresh", keep_fresh},
    {"mix_snapshot", mix_snapshot},
    {"root_again", root_again},
    {"clock_back", clock_back},
    {"snapshot_of_old_targets", snapshot_of_old_targets},
    {"mix_targets", mix_targets},
    {"snapshot_vanishes", snapshot_vanishes},
    {"fast_forward", fast_forward},
    {"forge_targets", forge_targets},
    {"delegate_to_himself", delegate_to_himself},
    {"forge_root", forge_root},
    {"foreign_fleet", foreign_fleet},
    {"flip_bits", flip_bits},
    {"endless_metadata", endless_metadata},
    {"missing_metadata", missing_metadata},
    {"other_bytes", other_bytes},
    {"endless_blob", endless_blob},
    {"replay_assignment", replay_assignment},
    {"assign_any", assign_any},
    {"go_back", go_back},
    {"assign_unreleased", assign_unreleased},
    {"assign_with_other_key", assign_with_other_key},
    {"older_counter", older_counter},
    {"spoil_assignment", spoil_assignment},
    {"no_approvals", no_approvals},
    {"replay_approvals", replay_approvals},
    {"forge_approvals", forge_approvals},
    {"other_plan", other_plan},
};
const size_t move_count = sizeof moves / sizeof *moves;
