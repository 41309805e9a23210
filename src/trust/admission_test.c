/* Both keys meet here: each rule refused by name, every bit of an assignment under its signature, and random evidence against an oracle. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/hash.h"
#include "trust/admission.h"
#include "trust/approval.h"
#include "trust/assignment.h"
#include "wire/terms.h"

#define NOW_S 1800000000LL
#define DAY_S 86400LL

enum { PEOPLE = 4, ALICE = 0, BOB, CAROL, MALLORY };
static const char *const names[PEOPLE] = {"alice", "bob", "carol", "mallory"};

static struct {
    struct tuf_signer *director, *thief;
    struct tuf_root root;
    struct tuf_key keys[1];
    char *keyids[1];
    struct signing_key *people[PEOPLE];
    struct keyring operators; /* alice, bob, carol */
} fleet;

static int setup(void **state)
{
    struct err err = {0};
    (void)state;
    if (tuf_signer_generate(TUF_ED25519, &fleet.director, &err) < 0 ||
        tuf_signer_generate(TUF_ED25519, &fleet.thief, &err) < 0)
        return -1;
    fleet.keys[0] = *tuf_signer_public(fleet.director);
    fleet.keyids[0] = fleet.keys[0].id;
    fleet.root = (struct tuf_root){.key_count = 1, .keys = fleet.keys, .fleet = (char *)"warehouse"};
    fleet.root.director = (struct tuf_keyset){.threshold = 1, .count = 1, .keyids = fleet.keyids};
    for (int i = 0; i < PEOPLE; i++) {
        struct public_key half;
        if (signing_key_generate(&fleet.people[i], &err) < 0)
            return -1;
        signing_key_public(fleet.people[i], &half);
        if (i != MALLORY && keyring_add(&fleet.operators, &half, names[i], &err) < 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tuf_signer_free(fleet.director);
    tuf_signer_free(fleet.thief);
    for (int i = 0; i < PEOPLE; i++)
        signing_key_free(fleet.people[i]);
    return 0;
}

/* ---- one whole, good case, to be spoiled ---- */

enum { MAX_CAST = 6 };

struct cast { /* an approval as it is made */
    int who, key;
    bool other_fleet, other_release, other_name, other_version, other_plan, no_plan, expired, early, broken;
};

struct scene {
    struct admission_robot robot;
    struct assignment assignment;
    struct tuf_target target;
    bool no_target, no_plan_bytes, thief_signs, unsigned_at_all;
    struct terms terms;
    bool no_terms;
    const char *raw_terms; /* instead of `terms` */
    char plan[512];
    size_t cast_count;
    struct cast casts[MAX_CAST];
};

static void set_plan(struct scene *scene, const char *robot)
{
    const char *const robots[] = {"r0", robot};
    const struct plan_wave wave = {.name = "canary", .robots = robots, .count = 2};
    cleanup_free char *text =
        plan_format(&scene->assignment.release, "detector", "2.0.0", "knows-crates", &wave, 1);
    str_copy(scene->plan, sizeof scene->plan, text);
    scene->assignment.plan = hash_bytes(scene->plan, strlen(scene->plan));
}

static void set_good(struct scene *scene)
{
    *scene = (struct scene){
        .robot = {.robot = "r1",
                  .root = &fleet.root,
                  .accepted = 7,
                  .now_s = NOW_S,
                  .floor = "1.0.0",
                  .running_name = "detector",
                  .running_version = "1.9.0",
                  .operators = &fleet.operators},
        .assignment = {.fleet = "warehouse",
                       .robot = "r1",
                       .version = 8,
                       .issued_s = NOW_S - DAY_S,
                       .expires_s = NOW_S + DAY_S,
                       .path = "detector/2.0.0",
                       .length = 1234,
                       .release = {{1, 2, 3}}},
        .target = {.path = (char *)"detector/2.0.0", .length = 1234, .hashes = {.has_sha256 = true}},
        .terms = {.kind = TERMS_RELEASE,
                  .fleet = "warehouse",
                  .threshold = 2,
                  .operator_count = 3,
                  .operators = {"alice", "bob", "carol"},
                  .scope = TERMS_OF_PLAN,
                  .floor = "1.5.0"},
        .cast_count = 2,
        .casts = {{.who = ALICE, .key = ALICE}, {.who = BOB, .key = BOB}},
    };
    memcpy(scene->target.hashes.sha256, scene->assignment.release.bytes, 32);
    set_plan(scene, "r1");
}

/* ---- played ---- */

static void make_approval(const struct scene *scene, const struct cast *cast, struct approval *out)
{
    *out = (struct approval){.release = scene->assignment.release,
                             .plan = scene->assignment.plan,
                             .issued_ms = (NOW_S - DAY_S) * 1000,
                             .expires_ms = (NOW_S + DAY_S) * 1000};
    str_copy(out->fleet, sizeof out->fleet, cast->other_fleet ? "warehouse2" : "warehouse");
    str_copy(out->name, sizeof out->name, cast->other_name ? "finder" : "detector");
    str_copy(out->version, sizeof out->version, cast->other_version ? "2.0.1" : "2.0.0");
    str_copy(out->operator_name, sizeof out->operator_name, names[cast->who]);
    str_copy(out->reason, sizeof out->reason, "reviewed");
    if (cast->other_release)
        out->release.bytes[31] ^= 1;
    if (cast->other_plan)
        out->plan.bytes[0] ^= 0x80;
    if (cast->no_plan)
        out->plan = (struct digest){0};
    if (cast->expired)
        out->expires_ms = NOW_S * 1000;
    if (cast->early) {
        out->issued_ms = (NOW_S + ADMISSION_SKEW_S + 1) * 1000;
        out->expires_ms = out->issued_ms + 1000;
    }
}

static char *cast_text(const struct scene *scene, const struct cast *cast)
{
    struct err err = {0};
    struct approval approval;
    make_approval(scene, cast, &approval);
    char *text = approval_sign(&approval, fleet.people[cast->key], &err);
    if (!text)
        fail_msg("%s", err.text);
    if (cast->broken)
        text[strlen(text) / 3] ^= 1;
    return text;
}

/* The rule that refuses the director's word; NONE if it stands. */
static enum trust_rule play_assignment(const struct scene *scene)
{
    struct err err = {0};
    const struct tuf_signer *signer = scene->thief_signs ? fleet.thief : fleet.director;
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    cleanup_free char *text =
        assignment_sign(&scene->assignment, &signer, scene->unsigned_at_all ? 0 : 1, &err);
    if (!text)
        fail_msg("%s", err.text);
    assert_ok(assignment_parse(text, strlen(text), &envelope, &err), err);
    if (admission_assignment(&scene->robot, &envelope, &err) == 0)
        return TRUST_RULE_NONE;
    assert_int_equal(err.code, ERR_UNTRUSTED);
    assert_true(err.text[0] == '[');
    return trust_rule_of(err.text);
}

static enum trust_rule judge(const struct scene *scene, const struct text_span *spans, char out_floor[64])
{
    struct err err = {0};
    struct tuf_target target = scene->target;
    cleanup_free char *custom = scene->no_terms    ? NULL
                                : scene->raw_terms ? mem_strdup(scene->raw_terms)
                                                   : terms_format(&scene->terms);
    target.custom = custom;
    const struct admission_evidence evidence = {
        .assignment = &scene->assignment,
        .target = scene->no_target ? NULL : &target,
        .approval_count = scene->cast_count,
        .approvals = spans,
        .plan = scene->no_plan_bytes ? NULL : scene->plan,
        .plan_len = strlen(scene->plan),
    };
    if (admission_target(&scene->robot, &evidence, out_floor, &err) == 0)
        return TRUST_RULE_NONE;
    assert_int_equal(err.code, ERR_UNTRUSTED);
    assert_true(err.text[0] == '[');
    return trust_rule_of(err.text);
}

static enum trust_rule play_target(const struct scene *scene, char out_floor[64])
{
    struct text_span spans[MAX_CAST];
    char *texts[MAX_CAST] = {0};
    for (size_t i = 0; i < scene->cast_count; i++) {
        texts[i] = cast_text(scene, &scene->casts[i]);
        spans[i] = (struct text_span){.text = texts[i], .len = strlen(texts[i])};
    }
    enum trust_rule rule = judge(scene, spans, out_floor);
    for (size_t i = 0; i < scene->cast_count; i++)
        free(texts[i]);
    return rule;
}

static enum trust_rule play(const struct scene *scene)
{
    char floor[64] = "untouched";
    enum trust_rule rule = play_assignment(scene);
    return rule != TRUST_RULE_NONE ? rule : play_target(scene, floor);
}

#define expect(scene, rule)                                                                                  \
    do {                                                                                                     \
        enum trust_rule got_ = play(scene);                                                                  \
        if (got_ != (rule))                                                                                  \
            fail_msg("line %d: %s, wanted %s", __LINE__, trust_rule_name(got_), trust_rule_name(rule));      \
    } while (0)

/* Spoils the good scene by one statement, and names the rule that has to refuse it. */
#define spoil(statement, rule)                                                                               \
    do {                                                                                                     \
        struct scene scene;                                                                                  \
        set_good(&scene);                                                                                    \
        statement;                                                                                           \
        expect(&scene, rule);                                                                                \
    } while (0)

/* ---- rules ---- */

static void what_both_keys_want_is_admitted(void **state)
{
    char floor[64] = "";
    struct scene good;
    (void)state;
    set_good(&good);
    expect(&good, TRUST_RULE_NONE);
    assert_int_equal(play_target(&good, floor), TRUST_RULE_NONE);
    assert_string_equal(floor, "1.5.0");
    spoil(scene.assignment.version = 7, TRUST_RULE_NONE); /* asked again after a restart */
    spoil(scene.robot.running_version = "2.0.0", TRUST_RULE_NONE);
    spoil(scene.robot.running_name = "finder"; scene.robot.running_version = "3.0.0", TRUST_RULE_NONE);
}

static void a_forged_or_foreign_assignment_is_refused(void **state)
{
    static const struct tuf_keyset nobody;
    struct tuf_root bare = fleet.root, nameless = fleet.root;
    (void)state;
    bare.director = nobody;
    nameless.fleet = NULL;
    spoil(scene.thief_signs = true, TRUST_ASSIGNMENT_SIGNATURES);
    spoil(scene.unsigned_at_all = true, TRUST_ASSIGNMENT_SIGNATURES);
    spoil(scene.robot.root = &bare, TRUST_ASSIGNMENT_SIGNATURES);
    spoil(scene.robot.robot = "r2", TRUST_ASSIGNMENT_ROBOT);
    spoil(scene.robot.robot = "r", TRUST_ASSIGNMENT_ROBOT);
    spoil(str_copy(scene.assignment.fleet, 80, "other"), TRUST_ASSIGNMENT_FLEET);
    spoil(scene.robot.root = &nameless, TRUST_ASSIGNMENT_FLEET);
    spoil(scene.robot.accepted = 9, TRUST_ASSIGNMENT_ROLLBACK);
}

static void an_assignment_holds_in_its_time_only(void **state)
{
    (void)state;
    spoil(scene.assignment.expires_s = NOW_S, TRUST_ASSIGNMENT_EXPIRED);
    spoil(scene.assignment.expires_s = NOW_S + 1, TRUST_RULE_NONE);
    spoil(scene.robot.now_s = NOW_S + DAY_S, TRUST_ASSIGNMENT_EXPIRED);
    spoil(scene.robot.now_s = scene.assignment.issued_s - ADMISSION_SKEW_S - 1, TRUST_ASSIGNMENT_EXPIRED);
}

static void the_director_names_only_what_the_offline_keys_released(void **state)
{
    (void)state;
    spoil(scene.no_target = true, TRUST_TARGETS_UNKNOWN);
    spoil(scene.target.length++, TRUST_ASSIGNMENT_TARGET);
    spoil(scene.assignment.length++, TRUST_ASSIGNMENT_TARGET);
    spoil(scene.target.path = (char *)"detector/2.0.1", TRUST_ASSIGNMENT_TARGET);
    spoil(scene.target.hashes.has_sha256 = false, TRUST_ASSIGNMENT_TARGET);
    for (int bit = 0; bit < 256; bit++)
        spoil(scene.target.hashes.sha256[bit / 8] ^= (uint8_t)(1 << bit % 8), TRUST_ASSIGNMENT_TARGET);
}

/* No parser lets such an assignment through; admission does not rely on that. */
static void what_is_no_path_of_a_release_is_not_installed(void **state)
{
    static const struct {
        const char *path;
        enum trust_rule rule;
    } table[] = {{"", TRUST_TARGETS_UNKNOWN},          {"detector", TRUST_ASSIGNMENT_FORM},
                 {"detector/", TRUST_ASSIGNMENT_FORM}, {"detector/two", TRUST_ASSIGNMENT_FORM},
                 {"/2.0.0", TRUST_ASSIGNMENT_FORM},    {"a/b/2.0.0", TRUST_ASSIGNMENT_FORM}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char floor[64];
        struct scene scene;
        set_good(&scene);
        str_copy(scene.assignment.path, sizeof scene.assignment.path, table[i].path);
        scene.target.path = (char *)table[i].path;
        scene.terms.threshold = 0;
        assert_int_equal(play_target(&scene, floor), table[i].rule);
    }
}

static void terms_are_kept_or_it_is_not_installed(void **state)
{
    (void)state;
    spoil(scene.no_terms = true, TRUST_RELEASE_TERMS);
    spoil(scene.raw_terms = "{}", TRUST_RELEASE_TERMS);
    spoil(scene.raw_terms = "{\"muster\":{\"kind\":\"release\",\"fleet\":\"warehouse\",\"moon\":1}}",
          TRUST_RELEASE_TERMS);
    spoil(scene.raw_terms = "{\"muster\":{\"kind\":\"operators\",\"fleet\":\"warehouse\"}}",
          TRUST_RELEASE_TERMS);
    spoil(str_copy(scene.terms.fleet, 80, "warehouse2"), TRUST_RELEASE_FLEET);
    spoil(scene.robot.floor = "2.0.1", TRUST_RELEASE_FLOOR);
    spoil(scene.robot.floor = "2.0.1"; scene.assignment.rollback = true, TRUST_RELEASE_FLOOR);
    spoil(scene.robot.floor = "2.0.0", TRUST_RULE_NONE);
    spoil(str_copy(scene.terms.floor, 64, "2.0.1"), TRUST_RELEASE_FLOOR); /* below its own */
    spoil(scene.robot.running_version = "2.0.1", TRUST_RELEASE_OLDER);
    spoil(scene.robot.running_version = "2.0.1"; scene.assignment.rollback = true, TRUST_RULE_NONE);
}

static void the_floor_only_rises(void **state)
{
    static const struct {
        const char *own, *terms, *want;
    } table[] = {
        {"", "", ""},
        {"1.0.0", "", ""},
        {"", "1.5.0", "1.5.0"},
        {"1.6.0", "1.5.0", "1.6.0"},
        {"1.4.0", "1.5.0", "1.5.0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char floor[64] = "untouched";
        struct scene scene;
        set_good(&scene);
        scene.robot.floor = table[i].own;
        str_copy(scene.terms.floor, sizeof scene.terms.floor, table[i].terms);
        assert_int_equal(play_target(&scene, floor), TRUST_RULE_NONE);
        assert_string_equal(floor, table[i].want);
    }
}

static void another_plan_is_refused(void **state)
{
    (void)state;
    spoil(scene.no_plan_bytes = true, TRUST_PLAN_OTHER);
    spoil(scene.plan[20] ^= 1, TRUST_PLAN_OTHER);
    spoil(scene.assignment.plan.bytes[5] ^= 1, TRUST_PLAN_OTHER);
    spoil(scene.assignment.plan = (struct digest){0}, TRUST_PLAN_OTHER);
    spoil(set_plan(&scene, "r2"), TRUST_PLAN_OTHER); /* approved, but it does not name this robot */
    spoil(scene.assignment.release.bytes[0] ^= 1; set_plan(&scene, "r1");
          scene.assignment.release.bytes[0] ^= 1, TRUST_PLAN_OTHER);
    spoil(scene.terms.scope = TERMS_OF_RELEASE; scene.plan[20] ^= 1, TRUST_PLAN_OTHER);
}

static void approvals_are_those_of_named_people_for_this(void **state)
{
    (void)state;
    spoil(scene.robot.operators = NULL, TRUST_APPROVALS_MISSING);
    spoil(scene.cast_count = 0, TRUST_APPROVALS_MISSING);
    spoil(scene.cast_count = 1, TRUST_APPROVALS_MISSING);
    spoil(scene.casts[1] = scene.casts[0], TRUST_APPROVALS_MISSING); /* one man is one voice */
    spoil(scene.casts[1].expired = true, TRUST_APPROVALS_MISSING);
    spoil(scene.casts[1].early = true, TRUST_APPROVALS_MISSING);
    spoil(str_copy(scene.terms.operators[1], 48, "dave"), TRUST_APPROVALS_MISSING);
    spoil(scene.casts[1].key = MALLORY, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].key = ALICE, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1] = ((struct cast){.who = MALLORY, .key = MALLORY}), TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].other_fleet = true, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].other_release = true, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].other_name = true, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].other_version = true, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].other_plan = true, TRUST_APPROVALS_FORGED);
    spoil(scene.casts[1].no_plan = true, TRUST_APPROVALS_FORGED); /* "of": "plan" wants the plan approved */
    spoil(scene.casts[1].broken = true, TRUST_APPROVALS_FORGED);
}

static void a_release_that_is_kept_may_come_back_on_old_approvals(void **state)
{
    (void)state;
    static const struct digest other = {.bytes = {1}};
    spoil(scene.casts[1].expired = true; scene.robot.kept = &other;
          scene.robot.kept_count = 1, TRUST_APPROVALS_MISSING);
    spoil(scene.casts[1].expired = true; scene.robot.kept = &scene.assignment.release;
          scene.robot.kept_count = 1, TRUST_RULE_NONE);
    spoil(scene.casts[1].early = true; scene.robot.kept = &scene.assignment.release;
          scene.robot.kept_count = 1, TRUST_APPROVALS_MISSING);
    spoil(scene.cast_count = 1; scene.robot.kept = &scene.assignment.release;
          scene.robot.kept_count = 1, TRUST_APPROVALS_MISSING);
}

static void an_approval_without_a_plan_is_for_any(void **state)
{
    (void)state;
    spoil(scene.terms.scope = TERMS_OF_RELEASE;
          scene.casts[0].no_plan = scene.casts[1].no_plan = true, TRUST_RULE_NONE);
    spoil(scene.terms.scope = TERMS_OF_RELEASE; scene.casts[0].no_plan = true, TRUST_RULE_NONE);
    spoil(scene.terms.scope = TERMS_OF_RELEASE; scene.casts[0].other_plan = true, TRUST_APPROVALS_FORGED);
}

static void who_wants_no_approvals_needs_no_operators(void **state)
{
    (void)state;
    spoil(scene.terms.threshold = 0; scene.cast_count = 0; scene.robot.operators = NULL, TRUST_RULE_NONE);
}

/* The last one is good, and it is the only one. */
static enum trust_rule play_crowd(size_t count)
{
    struct scene scene;
    char floor[64];
    struct text_span spans[ASSIGNMENT_MAX_APPROVALS + 1];
    set_good(&scene);
    scene.terms.threshold = 1;
    cleanup_free char *good = cast_text(&scene, &scene.casts[0]);
    scene.cast_count = count;
    for (size_t i = 0; i < count; i++)
        spans[i] =
            (struct text_span){.text = i + 1 < count ? "{}" : good, .len = i + 1 < count ? 2 : strlen(good)};
    return judge(&scene, spans, floor);
}

static void no_more_approvals_are_looked_at_than_may_come(void **state)
{
    (void)state;
    assert_int_equal(play_crowd(1), TRUST_RULE_NONE);
    assert_int_equal(play_crowd(ASSIGNMENT_MAX_APPROVALS), TRUST_RULE_NONE);
    assert_int_equal(play_crowd(ASSIGNMENT_MAX_APPROVALS + 1), TRUST_APPROVALS_FORGED);
}

/* Whoever carries the approvals could spoil each installation otherwise. */
static void bad_approvals_beside_good_ones_change_nothing(void **state)
{
    (void)state;
    spoil(scene.cast_count = 4; scene.casts[2] = ((struct cast){.who = CAROL, .key = MALLORY});
          scene.casts[3] = ((struct cast){.who = CAROL, .key = CAROL, .broken = true}), TRUST_RULE_NONE);
}

/* ---- every bit ---- */

static void every_bit_of_an_assignment_is_under_its_signature(void **state)
{
    struct scene scene;
    struct err err = {0};
    const struct tuf_signer *signer = fleet.director;
    (void)state;
    set_good(&scene);
    cleanup_free char *text = assignment_sign(&scene.assignment, &signer, 1, &err);
    size_t len = strlen(text);
    for (size_t bit = 0; bit < len * 8; bit++) {
        cleanup_assignment_envelope struct assignment_envelope envelope = {0};
        text[bit / 8] ^= (char)(1 << bit % 8);
        err = (struct err){0};
        if (assignment_parse(text, len, &envelope, &err) == 0 &&
            admission_assignment(&scene.robot, &envelope, &err) == 0)
            fail_msg("taken with bit %zu changed: %s", bit, text);
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
}

/* ---- random evidence, and an oracle that knows nothing of the code ---- */

static uint64_t seed = 4711;

static unsigned pick(unsigned limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % limit;
}

static bool rarely(void)
{
    return pick(24) == 0;
}

static const char *some_version(void)
{
    static const char *const versions[] = {"1.0.0", "1.9.9", "2.0.0-rc.1", "2.0.0", "2.0.1", "3.0.0"};
    return versions[pick(pick(3) ? 4 : 6)];
}

static void random_cast(struct cast *out)
{
    out->who = (int)pick(pick(4) ? 3 : PEOPLE);
    out->key = rarely() ? (int)pick(PEOPLE) : out->who;
    out->other_fleet = rarely();
    out->other_release = rarely();
    out->other_name = rarely();
    out->other_version = rarely();
    out->other_plan = rarely();
    out->no_plan = rarely();
    out->expired = rarely();
    out->early = rarely();
}

static void random_scene(struct scene *scene)
{
    set_good(scene);
    scene->thief_signs = rarely();
    scene->unsigned_at_all = rarely();
    scene->robot.robot = rarely() ? "r2" : "r1";
    scene->robot.accepted = pick(10);
    scene->robot.now_s = NOW_S + (rarely() ? 2 * DAY_S : 0);
    scene->robot.kept = &scene->assignment.release;
    scene->robot.kept_count = rarely();
    scene->robot.floor = pick(2) ? "" : some_version();
    scene->robot.running_version = some_version();
    scene->assignment.rollback = pick(2);
    scene->no_target = rarely();
    scene->target.length += rarely();
    scene->target.hashes.sha256[pick(32)] ^= (uint8_t)rarely();
    scene->no_terms = rarely();
    str_copy(scene->terms.fleet, sizeof scene->terms.fleet, rarely() ? "elsewhere" : "warehouse");
    str_copy(scene->terms.floor, sizeof scene->terms.floor, pick(2) ? "" : some_version());
    scene->terms.threshold = (int)pick(4);
    scene->terms.scope = pick(2) ? TERMS_OF_PLAN : TERMS_OF_RELEASE;
    if (rarely())
        set_plan(scene, "r3");
    if (rarely())
        scene->assignment.plan = (struct digest){0};
    scene->no_plan_bytes = rarely();
    scene->cast_count = pick(MAX_CAST);
    for (size_t i = 0; i < scene->cast_count; i++)
        random_cast(&scene->casts[i]);
}

/* Versions of this test in their order. */
static int rank(const char *version)
{
    static const char *const order[] = {"",           "1.0.0", "1.5.0", "1.9.0", "1.9.9",
                                        "2.0.0-rc.1", "2.0.0", "2.0.1", "3.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (str_eq(order[i], version))
            return (int)i;
    fail_msg("%s?", version);
    return -1;
}

static bool voice_counts(const struct scene *scene, const struct cast *cast)
{
    bool has_plan = !digest_is_zero(&scene->assignment.plan);
    bool plan_fits = cast->no_plan      ? !has_plan || scene->terms.scope == TERMS_OF_RELEASE
                     : cast->other_plan ? false
                                        : true;
    bool late = (scene->robot.now_s > NOW_S || cast->expired) && scene->robot.kept_count == 0;
    return cast->key == cast->who && cast->who != MALLORY && !cast->other_fleet && !cast->other_release &&
           !cast->other_name && !cast->other_version && plan_fits && !late && !cast->early;
}

static int voices(const struct scene *scene)
{
    bool heard[PEOPLE] = {false};
    for (size_t i = 0; i < scene->cast_count; i++)
        if (voice_counts(scene, &scene->casts[i]))
            heard[scene->casts[i].who] = true;
    return heard[ALICE] + heard[BOB] + heard[CAROL];
}

static bool plan_is_right(const struct scene *scene)
{
    if (digest_is_zero(&scene->assignment.plan))
        return scene->terms.threshold == 0 || scene->terms.scope != TERMS_OF_PLAN;
    return !scene->no_plan_bytes && strstr(scene->plan, "\"r1\"") && str_eq(scene->robot.robot, "r1");
}

/* Whether the rule is violated; said without a look at admission.c. */
static bool violates(const struct scene *scene, enum trust_rule rule)
{
    const int two = rank("2.0.0");
    bool enough = scene->terms.threshold == 0 || voices(scene) >= scene->terms.threshold;
    switch ((int)rule) {
    case TRUST_ASSIGNMENT_SIGNATURES:
        return scene->thief_signs || scene->unsigned_at_all;
    case TRUST_ASSIGNMENT_ROBOT:
        return !str_eq(scene->robot.robot, "r1");
    case TRUST_ASSIGNMENT_ROLLBACK:
        return scene->robot.accepted > 8;
    case TRUST_ASSIGNMENT_EXPIRED:
        return scene->robot.now_s > NOW_S;
    case TRUST_TARGETS_UNKNOWN:
        return scene->no_target;
    case TRUST_ASSIGNMENT_TARGET:
        return scene->target.length != 1234 ||
               memcmp(scene->target.hashes.sha256, scene->assignment.release.bytes, 32) != 0;
    case TRUST_RELEASE_TERMS:
        return scene->no_terms;
    case TRUST_RELEASE_FLEET:
        return !str_eq(scene->terms.fleet, "warehouse");
    case TRUST_RELEASE_FLOOR:
        return rank(scene->robot.floor) > two || rank(scene->terms.floor) > two;
    case TRUST_RELEASE_OLDER:
        return !scene->assignment.rollback && rank(scene->robot.running_version) > two;
    case TRUST_PLAN_OTHER:
        return !plan_is_right(scene);
    case TRUST_APPROVALS_MISSING:
    case TRUST_APPROVALS_FORGED:
        return !enough;
    default:
        return false;
    }
}

static void nothing_is_admitted_that_breaks_a_rule(void **state)
{
    int admitted = 0, refused[TRUST_RULE_COUNT] = {0};
    (void)state;
    for (int i = 0; i < 6000; i++) {
        struct scene scene;
        random_scene(&scene);
        enum trust_rule rule = play(&scene);
        for (int other = 1; rule == TRUST_RULE_NONE && other < TRUST_RULE_COUNT; other++)
            if (violates(&scene, (enum trust_rule)other))
                fail_msg("scene %d: admitted against %s", i, trust_rule_name((enum trust_rule)other));
        if (rule != TRUST_RULE_NONE && !violates(&scene, rule))
            fail_msg("scene %d: refused for %s, which holds", i, trust_rule_name(rule));
        admitted += rule == TRUST_RULE_NONE;
        refused[rule]++;
    }
    assert_true(admitted > 500); /* the generator is not blind on either side */
    for (int rule = TRUST_ASSIGNMENT_SIGNATURES; rule < TRUST_RULE_COUNT; rule++) {
        if (rule != TRUST_ASSIGNMENT_FLEET && refused[rule] == 0)
            fail_msg("%s never refused anything", trust_rule_name((enum trust_rule)rule));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_both_keys_want_is_admitted),
        cmocka_unit_test(a_forged_or_foreign_assignment_is_refused),
        cmocka_unit_test(an_assignment_holds_in_its_time_only),
        cmocka_unit_test(the_director_names_only_what_the_offline_keys_released),
        cmocka_unit_test(what_is_no_path_of_a_release_is_not_installed),
        cmocka_unit_test(terms_are_kept_or_it_is_not_installed),
        cmocka_unit_test(the_floor_only_rises),
        cmocka_unit_test(another_plan_is_refused),
        cmocka_unit_test(approvals_are_those_of_named_people_for_this),
        cmocka_unit_test(a_release_that_is_kept_may_come_back_on_old_approvals),
        cmocka_unit_test(an_approval_without_a_plan_is_for_any),
        cmocka_unit_test(who_wants_no_approvals_needs_no_operators),
        cmocka_unit_test(no_more_approvals_are_looked_at_than_may_come),
        cmocka_unit_test(bad_approvals_beside_good_ones_change_nothing),
        cmocka_unit_test(every_bit_of_an_assignment_is_under_its_signature),
        cmocka_unit_test(nothing_is_admitted_that_breaks_a_rule),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
