/* The honest part of a run: a fleet with a history, written from a seed. */
#include "base/str.h"
#include "bench/attack.h"
#include "sys/hash.h"
#include "trust/approval.h"
#include "trust/assignment.h"

#include <stdlib.h>

#define FLEET "warehouse-a"
static const char *const names[OPERATORS] = {"alice", "bob", "carol"};

unsigned draw(struct world *world, unsigned below)
{
    return (unsigned)rand_r(&world->seed) % below;
}

char *copy_text(const char *text)
{
    char *copy = mem_strdup(text);
    if (!copy)
        abort();
    return copy;
}

void keep(struct text_list *list, const char *text)
{
    if (list->count < MAX_KEPT)
        list->items[list->count++] = copy_text(text);
}

static void must(int rc, const struct err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench-attack: %s\n", err->text);
    abort();
}

/* ---- operators ---- */

static void make_operators(struct world *world)
{
    struct err err = {0};
    for (int i = 0; i < OPERATORS; i++) {
        struct public_key public;
        must(signing_key_generate(&world->operators[i], &err), &err);
        signing_key_public(world->operators[i], &public);
        must(keyring_add(&world->ring, &public, names[i], &err), &err);
    }
    must(signing_key_generate(&world->mallory, &err), &err);
}

char *approve(const struct world *world, const struct signing_key *key, const char *name,
              const struct truth *release, bool plan, int64_t issued_s)
{
    struct err err = {0};
    struct approval approval = {.release = release->digest,
                                .issued_ms = issued_s * 1000,
                                .expires_ms = (issued_s + 20 * DAY_S) * 1000};
    (void)world;
    str_copy(approval.fleet, sizeof approval.fleet, FLEET);
    str_copy(approval.name, sizeof approval.name, "detector");
    str_copy(approval.version, sizeof approval.version, release->version);
    str_copy(approval.operator_name, sizeof approval.operator_name, name);
    str_copy(approval.reason, sizeof approval.reason, "reviewed");
    if (plan)
        approval.plan = release->plan_digest;
    char *text = approval_sign(&approval, key, &err);
    must(text ? 0 : -1, &err);
    return text;
}

/* Some of the named approve, some do not: then the release may not be installed yet. */
static void approve_some(struct world *world, struct truth *release)
{
    for (int i = 0; i < OPERATORS; i++) {
        if (draw(world, 3) == 0)
            continue;
        bool plan = draw(world, 2);
        char *text = approve(world, world->operators[i], names[i], release, plan, world->now_s);
        keep(&world->approvals, text);
        free(text);
        *(plan ? &release->planned : &release->approved) |= 1u << i;
    }
}

/* ---- releases ---- */

static void make_plan(struct world *world, struct truth *release)
{
    static const char *const robots[] = {"r1", "r2"};
    bool named = draw(world, 4) != 0;
    const struct plan_wave wave = {"all", named ? robots : robots + 1, named ? 2 : 1};
    release->plan = plan_format(&release->digest, "detector", release->version, "go", &wave, 1);
    release->plan_digest = hash_bytes(release->plan, strlen(release->plan));
}

static struct terms draw_terms(struct world *world, size_t index)
{
    struct terms terms = {.kind = TERMS_RELEASE};
    str_copy(terms.fleet, sizeof terms.fleet, FLEET);
    if (draw(world, 2)) {
        terms.threshold = 1 + (int)draw(world, OPERATORS);
        terms.operator_count = OPERATORS;
        for (int i = 0; i < OPERATORS; i++)
            str_copy(terms.operators[i], sizeof terms.operators[i], names[i]);
        terms.scope = draw(world, 2) ? TERMS_OF_PLAN : TERMS_OF_RELEASE;
    }
    if (draw(world, 3) == 0)
        snprintf(terms.floor, sizeof terms.floor, "1.%zu.0", index > 1 ? index - 1 : 0);
    return terms;
}

static void publish_target(struct world *world, const struct truth *release)
{
    char pointer[64];
    cleanup_free char *custom = terms_format(&release->terms);
    tuf_mock_target(world->mock, "targets", release->path, release->bytes, release->len);
    snprintf(pointer, sizeof pointer, "/targets/detector~1%s/custom", release->version);
    tuf_mock_set(world->mock, "targets", pointer, "%s", custom);
}

static void add_release(struct world *world)
{
    struct truth *release = &world->releases[world->count];
    char version[16];
    snprintf(version, sizeof version, "1.%zu.0", world->count);
    str_copy(release->version, sizeof release->version, version);
    snprintf(release->path, sizeof release->path, "detector/%s", version);
    snprintf(release->bytes, sizeof release->bytes, "manifest of detector %s, %08x", version,
             draw(world, 1u << 30));
    release->len = strlen(release->bytes);
    release->digest = hash_bytes(release->bytes, release->len);
    release->terms = draw_terms(world, world->count);
    make_plan(world, release);
    approve_some(world, release);
    publish_target(world, release);
    world->count++;
}

static void withdraw(struct world *world, struct truth *release)
{
    char pointer[64];
    if (release->withdrawn)
        return;
    snprintf(pointer, sizeof pointer, "/targets/detector~1%s", release->version);
    tuf_mock_drop(world->mock, "targets", pointer);
    release->withdrawn = true;
}

/* ---- the director ---- */

struct assignment assignment_of(struct world *world, const struct truth *release)
{
    struct assignment assignment = {.version = ++world->counter,
                                    .issued_s = world->now_s,
                                    .expires_s = world->now_s + 7 * DAY_S,
                                    .length = release->len,
                                    .release = release->digest};
    str_copy(assignment.fleet, sizeof assignment.fleet, FLEET);
    str_copy(assignment.robot, sizeof assignment.robot, "r1");
    str_copy(assignment.path, sizeof assignment.path, release->path);
    if (release->terms.threshold && release->terms.scope == TERMS_OF_PLAN)
        assignment.plan = release->plan_digest;
    return assignment;
}

char *assign(const struct world *world, int key, const struct assignment *assignment)
{
    struct err err = {0};
    const struct tuf_signer *signer = tuf_mock_signer(world->mock, key);
    char *text = assignment_sign(assignment, &signer, 1, &err);
    must(text ? 0 : -1, &err);
    return text;
}

static void keep_assignment(struct world *world, struct assignment assignment)
{
    char *text = assign(world, world->director, &assignment);
    keep(&world->assignments, text);
    free(text);
}

/* What the director signed in the past, for this robot and for others. */
static void sign_history(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        struct assignment assignment = assignment_of(world, &world->releases[i]);
        keep_assignment(world, assignment);
        str_copy(assignment.robot, sizeof assignment.robot, "r2");
        assignment.version += 1000;
        keep_assignment(world, assignment);
        str_copy(assignment.robot, sizeof assignment.robot, "r1");
        str_copy(assignment.fleet, sizeof assignment.fleet, "warehouse-b");
        keep_assignment(world, assignment);
    }
}

/* ---- fleet B: other releases under the same offline key ---- */

static void publish_foreign(struct world *world)
{
    struct err err = {0};
    world->foreign_targets = (struct buf)BUF_INIT(1 << 20);
    world->foreign_version = world->targets_version + 100;
    tuf_mock_set(world->mock, "targets", "/targets",
                 "{\"detector/9.0.0\": {\"length\": 5, \"hashes\": {\"sha256\": \"%064x\"}, \"custom\": "
                 "{\"muster\": {\"fleet\": "
                 "\"warehouse-b\", \"kind\": \"release\"}}}}",
                 draw(world, 1u << 30));
    tuf_mock_set(world->mock, "targets", "/version", "%lld", (long long)world->foreign_version);
    tuf_mock_publish(world->mock, "targets");
    char name[64];
    snprintf(name, sizeof name, "%lld.targets.json", (long long)world->foreign_version);
    const struct buf *bytes = tuf_mock_file(world->mock, name);
    must(bytes ? buf_put(&world->foreign_targets, bytes->data, bytes->len, &err) : -1, &err);
    tuf_mock_hide(world->mock, name);
}

static void restore_targets(struct world *world)
{
    tuf_mock_set(world->mock, "targets", "/targets", "{}");
    tuf_mock_set(world->mock, "targets", "/delegations", "{\"keys\": {}, \"roles\": []}");
    for (size_t i = 0; i < world->count; i++)
        if (!world->releases[i].withdrawn)
            publish_target(world, &world->releases[i]);
}

/* ---- a world ---- */

static void name_director(struct world *world)
{
    tuf_mock_set(world->mock, "root", "/x-muster",
                 "{\"fleet\": \"%s\", \"director\": {\"keyids\": [\"%s\"], \"threshold\": 1}}", FLEET,
                 tuf_mock_keyid(world->mock, world->director));
}

static void publish_root(struct world *world)
{
    /* The key has to stand in `keys`: it is trusted for a role and then for none again. */
    tuf_mock_trust(world->mock, "root", "timestamp", world->director);
    tuf_mock_distrust(world->mock, "root", "timestamp", world->director);
    name_director(world);
    tuf_mock_expire(world->mock, "root", world->now_s + 365 * DAY_S);
    tuf_mock_publish(world->mock, "root");
    world->root_version = tuf_mock_version(world->mock, "root");
}

/* As musterd and muster keys have them. */
static void set_expiry(struct world *world)
{
    tuf_mock_expire(world->mock, "timestamp", world->now_s + DAY_S);
    tuf_mock_expire(world->mock, "snapshot", world->now_s + 7 * DAY_S);
    tuf_mock_expire(world->mock, "targets", world->now_s + 90 * DAY_S);
}

void world_next_day(struct world *world)
{
    world->now_s += DAY_S;
    tuf_mock_expire(world->mock, "snapshot", world->now_s + 7 * DAY_S);
    tuf_mock_publish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_expire(world->mock, "timestamp", world->now_s + DAY_S);
    tuf_mock_publish(world->mock, "timestamp");
}

static void release_all(struct world *world)
{
    set_expiry(world);
    tuf_mock_set(world->mock, "targets", "/version", "%lld", (long long)++world->targets_version);
    tuf_mock_release(world->mock);
}

void world_init(struct world *world, unsigned seed)
{
    *world = (struct world){.seed = seed, .now_s = FIRST_DAY_S};
    world->mock = tuf_mock_new(world->now_s);
    world->director = tuf_mock_key(world->mock, TUF_ED25519);
    world->evil = tuf_mock_key(world->mock, TUF_ED25519);
    world->targets_version = tuf_mock_version(world->mock, "targets");
    tuf_mock_with_hashes(world->mock, draw(world, 2));
    make_operators(world);
    publish_root(world);
    unsigned count = 2 + draw(world, 4);
    for (unsigned i = 0; i < count; i++) {
        add_release(world);
        if (i > 0 && draw(world, 5) == 0)
            withdraw(world, &world->releases[draw(world, i)]);
        release_all(world);
    }
    sign_history(world);
    publish_foreign(world);
    restore_targets(world);
    release_all(world);
}

void world_fini(struct world *world)
{
    for (size_t i = 0; i < world->count; i++)
        free(world->releases[i].plan);
    for (int i = 0; i < OPERATORS; i++)
        signing_key_free(world->operators[i]);
    for (size_t i = 0; i < world->assignments.count; i++)
        free(world->assignments.items[i]);
    for (size_t i = 0; i < world->approvals.count; i++)
        free(world->approvals.items[i]);
    signing_key_free(world->mallory);
    buf_fini(&world->foreign_targets);
    tuf_mock_free(world->mock);
}

/* ---- what the server gives ---- */

void server_fini(struct server *server)
{
    free(server->assignment);
    free(server->plan);
    free(server->blob);
    for (size_t i = 0; i < server->approval_count; i++)
        free(server->approvals[i]);
    *server = (struct server){0};
}

void server_honest(struct server *server, struct world *world, const struct truth *release)
{
    struct assignment assignment = assignment_of(world, release);
    *server = (struct server){.world = world, .clock_s = world->now_s, .blob_len = release->len};
    server->assignment = assign(world, world->director, &assignment);
    server->blob = copy_text(release->bytes);
    server->plan = digest_is_zero(&assignment.plan) ? NULL : copy_text(release->plan);
    for (int i = 0; i < OPERATORS; i++) {
        bool plan = server->plan != NULL;
        if ((plan ? release->planned : release->approved) & 1u << i)
            server->approvals[server->approval_count++] =
                approve(world, world->operators[i], names[i], release, plan, world->now_s);
    }
}

/* ---- after the attack ---- */

static void only_key(struct world *world, const char *role, int key)
{
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/roles/%s", role);
    tuf_mock_set(world->mock, "root", pointer, "{\"keyids\": [\"%s\"], \"threshold\": 1}",
                 tuf_mock_keyid(world->mock, key));
}

static void only_signer(struct world *world, const char *role, int key)
{
    const int all[] = {TUF_ROOT, TUF_TIMESTAMP, TUF_SNAPSHOT, TUF_TARGETS, world->director, world->evil};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (int n = 0; n < 4; n++) /* a key may have been told to sign more than once */
            tuf_mock_unsign(world->mock, role, all[i]);
    tuf_mock_sign(world->mock, role, key);
}

static void rotate_online(struct world *world, const char *role)
{
    int key = tuf_mock_key(world->mock, TUF_ED25519);
    tuf_mock_trust(world->mock, "root", role, key);
    only_key(world, role, key);
    only_signer(world, role, key);
    tuf_mock_set(world->mock, role, "/version", "1");
    tuf_mock_expire(world->mock, role, world->now_s + 30 * DAY_S);
}

void world_recover(struct world *world)
{
    rotate_online(world, "timestamp");
    rotate_online(world, "snapshot");
    only_key(world, "root", TUF_ROOT);
    only_key(world, "targets", TUF_TARGETS);
    only_signer(world, "root", TUF_ROOT);
    only_signer(world, "targets", TUF_TARGETS);
    world->director = tuf_mock_key(world->mock, TUF_ED25519);
    tuf_mock_trust(world->mock, "root", "timestamp", world->director);
    tuf_mock_distrust(world->mock, "root", "timestamp", world->director);
    name_director(world);
    tuf_mock_expire(world->mock, "root", world->now_s + 365 * DAY_S);
    tuf_mock_set(world->mock, "root", "/version", "%lld", (long long)++world->root_version);
    tuf_mock_republish(world->mock, "root");
    world->counter = 0;
    restore_targets(world);
    add_release(world);
    struct truth *last = &world->releases[world->count - 1];
    last->terms.threshold = 0; /* nothing but the keys stands between it and the robot */
    last->terms.floor[0] = '\0';
    publish_target(world, last);
    set_expiry(world);
    tuf_mock_set(world->mock, "targets", "/version", "%lld", (long long)++world->targets_version);
    tuf_mock_republish(world->mock, "targets");
    tuf_mock_sync(world->mock, "snapshot");
    tuf_mock_republish(world->mock, "snapshot");
    tuf_mock_sync(world->mock, "timestamp");
    tuf_mock_republish(world->mock, "timestamp");
    for (int64_t next = world->root_version + 1; next < world->root_version + 4; next++) {
        char name[64];
        snprintf(name, sizeof name, "%lld.root.json", (long long)next);
        tuf_mock_hide(world->mock, name);
    }
}
