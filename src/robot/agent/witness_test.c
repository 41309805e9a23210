#include "trust/merkle/made_log.h"

#include "base/str.h"
#include "robot/agent/witness.h"
#include "sys/file.h"
#include "trust/merkle/answer.h"
#include "wire/json_stream.h"

#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct signing_key *key, *other_key;
    struct made_log *log, *fork; /* fork: another entry 10 */
    struct witness *witness;
    int told;
    char text[256];
};

static void violated(const char *text, void *arg)
{
    struct fixture *f = arg;
    f->told++;
    str_copy(f->text, sizeof f->text, text);
}

static void reopen(struct fixture *f)
{
    const struct witness_options options = {.dir = f->dir, .patience_ms = 20, .violated = violated, .arg = f};
    struct err err = {0};
    witness_free(f->witness);
    f->witness = NULL;
    assert_ok(witness_new(&options, &f->witness, &err), err);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    struct err err = {0};
    cleanup_free char *path = file_join(f->dir, name);
    assert_ok(file_replace(path, text, strlen(text), 0600, &err), err);
}

/* A root of trust that names `key` for everything, the audit log too. */
static void write_root(const struct fixture *f, const struct signing_key *key)
{
    struct public_key public;
    char hex[65];
    signing_key_public(key, &public);
    for (size_t i = 0; i < sizeof public.raw; i++)
        snprintf(hex + 2 * i, 3, "%02x", public.raw[i]);
#define ROLE "{\"keyids\":[\"k\"],\"threshold\":1}"
    cleanup_free char *text = mem_printf(
        "{\"signed\":{\"_type\":\"root\",\"spec_version\":\"1.0.34\",\"version\":1,\"expires\":\"2035-01-"
        "01T00:00:00Z\","
        "\"consistent_snapshot\":true,\"keys\":{\"k\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\","
        "\"keyval\":"
        "{\"public\":\"%s\"}}},\"roles\":{\"root\":" ROLE ",\"timestamp\":" ROLE ",\"snapshot\":" ROLE
        ",\"targets\":" ROLE "},\"x-muster\":{\"fleet\":\"f\",\"director\":" ROLE ",\"audit\":" ROLE "}},"
        "\"signatures\":[]}",
        hex);
    write_file(f, "root.json", text);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    str_copy(f->dir, sizeof f->dir, "/tmp/muster-witness-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_ok(signing_key_generate(&f->key, &err), err);
    assert_ok(signing_key_generate(&f->other_key, &err), err);
    f->log = made_new(40);
    f->fork = made_new(40);
    memset(&f->fork->leaves[9], 1, sizeof f->fork->leaves[9]);
    write_root(f, f->key);
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    witness_free(f->witness);
    signing_key_free(f->key);
    signing_key_free(f->other_key);
    free(f->log);
    free(f->fork);
    assert_ok(file_remove_tree(f->dir, &err), err);
    free(f);
    return 0;
}

/* The answer of a server with this log; 0 if the witness finds nothing wrong with it. */
static int shown(struct fixture *f, struct made_log *log, const struct signing_key *key, uint64_t since,
                 uint64_t size)
{
    struct checkpoint checkpoint = {
        .origin = "muster.audit/1", .size = size, .root = plain_root(log->leaves, size)};
    struct merkle_source source = made_source(log);
    struct merkle_proof proof = {0};
    struct err err = {0};
    cleanup_free char *note = NULL;
    assert_ok(checkpoint_sign(&checkpoint, key, &note, &err), err);
    if (since <= size)
        assert_ok(merkle_prove_consistency(&source, since, size, &proof, &err), err);
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "checkpoint", note);
    jsonw_array(&w, "consistency");
    for (size_t i = 0; i < proof.count; i++)
        jsonw_digest(&w, NULL, &proof.hashes[i]);
    jsonw_close(&w);
    jsonw_text(&w, "key", "k");
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, &err);
    return witness_judge(f->witness, text, strlen(text), &err);
}

static bool has(const struct fixture *f, const char *name)
{
    cleanup_free char *path = file_join(f->dir, name);
    return file_exists(path);
}

static void a_log_that_grows_is_remembered(void **state)
{
    struct fixture *f = *state;
    for (uint64_t size = 1; size <= 40; size += 3) {
        assert_int_equal(shown(f, f->log, f->key, size > 1 ? size - 3 : 0, size), 0);
        reopen(f); /* also over a restart */
    }
    assert_int_equal(shown(f, f->log, f->key, 40, 40), 0);
    assert_int_equal(f->told, 0);
    assert_true(has(f, "checkpoint"));
}

static void a_fork_is_told_once_and_kept(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    assert_int_equal(shown(f, f->fork, f->key, 20, 30), -1);
    assert_int_equal(f->told, 1);
    assert_true(str_starts(f->text, "[audit.fork]"));
    assert_true(has(f, "audit-evidence-1.json"));
    reopen(f); /* it goes on from there */
    assert_int_equal(shown(f, f->fork, f->key, 30, 35), 0);
    assert_int_equal(f->told, 1);
    assert_int_equal(shown(f, f->log, f->key, 35, 36), -1); /* and the next one is found, too */
    assert_int_equal(f->told, 2);
    assert_true(has(f, "audit-evidence-2.json"));
}

static void a_log_that_shrank_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    assert_int_equal(shown(f, f->log, f->key, 20, 19), -1);
    assert_true(str_starts(f->text, "[audit.shrunk]"));
    assert_true(has(f, "audit-evidence-1.json"));
}

/* The key may be newer than this robot's root: only a stranger who stays counts. */
static void an_unknown_key_counts_when_it_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    assert_int_equal(shown(f, f->log, f->other_key, 20, 25), 0);
    assert_int_equal(f->told, 0);
    write_root(f, f->other_key);
    assert_int_equal(shown(f, f->log, f->other_key, 20, 26), 0);
    write_root(f, f->key);
    assert_int_equal(shown(f, f->log, f->other_key, 26, 27), 0);
    usleep(30000);
    assert_int_equal(shown(f, f->log, f->other_key, 26, 28), -1);
    assert_int_equal(f->told, 1);
    assert_true(str_starts(f->text, "[audit.signature]"));
    assert_int_equal(shown(f, f->log, f->other_key, 26, 29), 0); /* once, not for ever */
    assert_int_equal(f->told, 1);
    assert_int_equal(shown(f, f->log, f->key, 26, 30), 0);
}

static void without_a_key_nobody_is_believed(void **state)
{
    struct fixture *f = *state;
    write_file(f, "root.json", "{}");
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    assert_false(has(f, "checkpoint"));
}

static void what_is_damaged_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    write_file(f, "checkpoint", "nothing");
    reopen(f);
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    assert_fails(witness_judge(f->witness, "{", 1, &err), err, ERR_INVALID);
    assert_int_equal(f->told, 0);
}

static void evidence_does_not_fill_the_disk(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(shown(f, f->log, f->key, 0, 20), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(shown(f, i % 2 ? f->log : f->fork, f->key, 20, 20), -1);
    assert_int_equal(f->told, 20);
    assert_true(has(f, "audit-evidence-16.json"));
    assert_false(has(f, "audit-evidence-17.json"));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(a_log_that_grows_is_remembered),   WITH(a_fork_is_told_once_and_kept),
        WITH(a_log_that_shrank_is_told),        WITH(an_unknown_key_counts_when_it_stays),
        WITH(without_a_key_nobody_is_believed), WITH(what_is_damaged_begins_anew),
        WITH(evidence_does_not_fill_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
