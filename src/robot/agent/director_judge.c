/* The chain is up to date: may what is assigned be installed? */
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/director_inside.h"
#include "robot/agent/installer.h"
#include "sys/hash.h"
#include "trust/admission.h"
#include "trust/rule.h"

struct case_file { /* one judging */
    struct director *director;
    const struct assignment *assignment;
    const struct tuf_root *root;
    const struct tuf_target *target;
    struct admission_robot robot;
    struct digest director_keys;
    struct digest kept[2]; /* what runs, and what ran before */
    char name[64], version[64], floor[64];
    bool accepted; /* the director's word holds */
};

bool director_is_admitted(const struct robot_state *state, const struct assignment *assignment)
{
    return digest_equal(&state->trust.admitted, &assignment->release) &&
           state->trust.rollback == assignment->rollback;
}

/* ---- what the robot knows by itself ---- */

static struct digest keys_of(const struct tuf_keyset *set)
{
    cleanup_hash struct hash *hash = hash_new();
    if (!hash)
        return (struct digest){0};
    for (size_t i = 0; i < set->count; i++)
        hash_update(hash, set->keyids[i], strlen(set->keyids[i]) + 1);
    return hash_finish(hash);
}

static void know_robot(struct case_file *file)
{
    const struct director_options *options = &file->director->options;
    const struct robot_state *state = store_state(options->store);
    const struct install_slot *current = &state->install.current;
    file->director_keys = keys_of(&file->root->director);
    file->kept[0] = current->release;
    file->kept[1] = state->install.previous.release;
    file->robot = (struct admission_robot){
        .robot = options->robot,
        .root = file->root,
        .accepted = digest_equal(&file->director_keys, &state->trust.director) ? state->trust.accepted : 0,
        .now_s = anchor_now_s(options->anchor),
        .floor = robot_state_floor(state, file->name),
        .running_name = digest_is_zero(&current->release) ? "" : current->name,
        .running_version = digest_is_zero(&current->release) ? "" : current->version,
        .kept = file->kept,
        .kept_count = ARRAY_LEN(file->kept),
    };
}

/* ---- the director's word ---- */

/* Before anything is done because of it. */
static int keep_accepted(struct case_file *file, struct err *err)
{
    struct store *store = file->director->options.store;
    struct robot_state state = *store_state(store);
    if (state.trust.accepted == file->assignment->version &&
        digest_equal(&state.trust.director, &file->director_keys))
        return 0;
    state.trust.accepted = file->assignment->version;
    state.trust.director = file->director_keys;
    return store_save(store, &state, err);
}

static int accept(struct case_file *file, struct err *err)
{
    if (admission_assignment(&file->robot, &file->director->envelope, err) < 0 ||
        keep_accepted(file, err) < 0)
        return -1;
    file->accepted = file->director->heard = true;
    return 0;
}

/* ---- the offline keys' word ---- */

static int check_floor_fits(const struct case_file *file, struct err *err)
{
    struct robot_trust trust = store_state(file->director->options.store)->trust;
    if (!file->floor[0] || robot_trust_raise_floor(&trust, file->name, file->floor))
        return 0;
    return trust_refuse(err, TRUST_RELEASE_FLOOR, "%s sets a floor, and %d names have one already",
                        file->assignment->path, ROBOT_MAX_FLOORS);
}

static int admit(struct case_file *file, const struct keyring *operators, struct err *err)
{
    const struct director *director = file->director;
    struct text_span approvals[ASSIGNMENT_MAX_APPROVALS];
    for (size_t i = 0; i < director->answer.approval_count; i++)
        approvals[i] = (struct text_span){.text = director->answer.approvals[i],
                                          .len = strlen(director->answer.approvals[i])};
    const struct admission_evidence evidence = {
        .assignment = file->assignment,
        .target = file->target,
        .approval_count = director->answer.approval_count,
        .approvals = approvals,
        .plan = director->has_plan ? buf_text(&director->plan) : NULL,
        .plan_len = director->plan.len,
    };
    file->robot.operators = operators;
    if (admission_target(&file->robot, &evidence, file->floor, err) < 0)
        return -1;
    return check_floor_fits(file, err);
}

static int admit_with_operators(struct case_file *file, struct err *err)
{
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    struct err keys = {0};
    if (!ring)
        return err_no_memory(err);
    bool known = anchor_operators(file->director->options.anchor, ring, &keys) == 0;
    return admit(file, known ? ring : NULL, err);
}

static int install(struct case_file *file, struct err *err)
{
    const struct director_options *options = &file->director->options;
    const struct assignment *assignment = file->assignment;
    struct admitted out = {.release = assignment->release,
                           .manifest_size = assignment->length,
                           .rollback = assignment->rollback};
    str_copy(out.name, sizeof out.name, file->name);
    str_copy(out.version, sizeof out.version, file->version);
    str_copy(out.floor, sizeof out.floor, file->floor);
    if (options->admitted(&out, options->arg))
        return 0;
    return err_set(err, ERR_BUSY, "%s could not be kept (disk full?)", assignment->path);
}

/* ---- judgement ---- */

static int judge(struct case_file *file, struct err *err)
{
    know_robot(file);
    if (accept(file, err) < 0)
        return -1;
    if (!file->assignment->path[0] ||
        director_is_admitted(store_state(file->director->options.store), file->assignment))
        return 0;
    if (admit_with_operators(file, err) < 0)
        return -1;
    return install(file, err);
}

/* Before its word holds an assignment is known by its bytes; after that by what it wants, so that a renewal is not told anew. */
static struct digest identity(const struct case_file *file)
{
    const struct assignment *assignment = file->assignment;
    cleanup_hash struct hash *hash = hash_new();
    if (!file->accepted || !hash)
        return hash_bytes(file->director->envelope.signed_text, file->director->envelope.signed_len);
    hash_update(hash, assignment->path, strlen(assignment->path) + 1);
    hash_update(hash, assignment->release.bytes, sizeof assignment->release.bytes);
    hash_update(hash, assignment->plan.bytes, sizeof assignment->plan.bytes);
    hash_update(hash, assignment->rollback ? "r" : "", 1);
    return hash_finish(hash);
}

static void fail(struct case_file *file, const struct err *err)
{
    struct digest what = identity(file);
    if (trust_rule_of(err->text) == TRUST_RULE_NONE) {
        director_later(file->director, err);
        return;
    }
    director_refuse(file->director, err, &what, file->accepted ? file->assignment : NULL);
    director_unsettle(file->director);
}

void director_judge(const struct tuf_update *update, const struct err *err, void *arg)
{
    struct director *director = arg;
    struct err why = {0};
    struct case_file file = {.director = director, .assignment = &director->envelope.assignment};
    (void)assignment_path_split(file.assignment->path, file.name, file.version);
    if (!update) {
        director_chain_failed(director, err);
        return;
    }
    director_chain_well(director);
    file.root = tuf_update_root(update);
    file.target = tuf_update_target(update);
    if (judge(&file, &why) < 0) {
        fail(&file, &why);
        return;
    }
    director->troubled = ERR_NONE;
    director_settle(director);
}
