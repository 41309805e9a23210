#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "trust/command.h"
#include "trust/people_testing.h"

static void make(struct command *out, const char *who)
{
    *out = (struct command){.robot_count = 1, .verb = COMMAND_HOLD, .issued_ms = 1000, .expires_ms = 2000};
    out->robots = mem_zalloc(1, sizeof out->robots[0]);
    assert_non_null(out->robots);
    str_copy(out->robots[0], sizeof out->robots[0], "r1");
    str_copy(out->operator_name, sizeof out->operator_name, who);
    str_copy(out->reason, sizeof out->reason, "blocked aisle");
    str_copy(out->nonce, sizeof out->nonce, "00112233445566778899aabbccddeeff");
}

static char *sign(const char *who, const struct signing_key *key)
{
    struct err err = {0};
    cleanup_command struct command command = {0};
    make(&command, who);
    char *text = command_sign(&command, key, &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}

/* ERR_NONE if it stands. */
static enum err_code try(const char *text, const struct keyring *ring, const char *say)
{
    struct err err = {0};
    cleanup_envelope struct envelope envelope = {0};
    cleanup_command struct command command = {0};
    assert_ok(command_envelope_parse(text, strlen(text), &envelope, &err), err);
    if (command_open(&envelope, ring, &command, &err) == 0)
        return ERR_NONE;
    if (!strstr(err.text, say))
        fail_msg("%s: not about %s", err.text, say);
    assert_true(command.robots == NULL);
    return err.code;
}

static void who_signs_for_himself_is_heard(void **state)
{
    struct people *people = *state;
    cleanup_free char *text = sign("alice", people->alice);
    assert_int_equal(try(text, &people->ring, ""), ERR_NONE);
}

static void nobody_speaks_for_another(void **state)
{
    struct people *people = *state;
    cleanup_free char *text = sign("alice", people->bob);
    assert_int_equal(try(text, &people->ring, "not signed by"), ERR_UNTRUSTED);
}

static void strangers_and_revoked_keys_are_refused(void **state)
{
    struct people *people = *state;
    struct err err = {0};
    cleanup_free char *text = sign("alice", people->alice), *stranger = sign("carol", people->alice);
    assert_int_equal(try(stranger, &people->ring, "not in the operators' keyring"), ERR_UNTRUSTED);
    struct keyring revoked = people->ring;
    assert_ok(keyring_revoke(&revoked, "alice", &err), err);
    assert_int_equal(try(text, &revoked, "revoked"), ERR_UNTRUSTED);
    const struct keyring nobody = {0};
    assert_int_equal(try(text, &nobody, "not in the operators' keyring"), ERR_UNTRUSTED);
}

/* A bit anywhere in the command or in the signature. */
static void what_was_changed_does_not_hold(void **state)
{
    struct people *people = *state;
    struct err err = {0};
    cleanup_free char *text = sign("alice", people->alice);
    cleanup_envelope struct envelope envelope = {0};
    assert_ok(command_envelope_parse(text, strlen(text), &envelope, &err), err);
    for (size_t at = 0; at < envelope.len + sizeof envelope.items[0].sig; at++) {
        uint8_t *byte = at < envelope.len ? &envelope.bytes[at] : &envelope.items[0].sig[at - envelope.len];
        cleanup_command struct command command = {0};
        *byte ^= 1;
        assert_int_equal(command_open(&envelope, &people->ring, &command, &err), -1);
        assert_true(err.code == ERR_UNTRUSTED || err.code == ERR_INVALID);
        *byte ^= 1;
    }
    cleanup_command struct command command = {0};
    assert_ok(command_open(&envelope, &people->ring, &command, &err), err);
}

static void an_unsigned_command_is_none(void **state)
{
    struct people *people = *state;
    struct err err = {0};
    cleanup_free char *text = sign("alice", people->alice);
    cleanup_envelope struct envelope envelope = {0};
    assert_ok(command_envelope_parse(text, strlen(text), &envelope, &err), err);
    envelope.count = 0;
    cleanup_free char *bare = command_envelope_format(&envelope);
    assert_non_null(bare);
    assert_int_equal(try(bare, &people->ring, "not signed"), ERR_UNTRUSTED);
}

static void one_spelling_of_base64_is_taken(void **state)
{
    static const char *const bad[] = {
        "", "e30", "e30==", "e31=", " e30=", "e30=\\n", "e3-_", "====", "e30=e30="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        cleanup_envelope struct envelope envelope = {0};
        cleanup_free char *text = mem_printf("{\"command\": \"%s\", \"signatures\": []}", bad[i]);
        if (command_envelope_parse(text, strlen(text), &envelope, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
    struct err err = {0};
    cleanup_envelope struct envelope envelope = {0};
    static const char fine[] = "{\"command\": \"e30=\", \"signatures\": []}";
    assert_ok(command_envelope_parse(fine, strlen(fine), &envelope, &err), err);
    assert_int_equal(envelope.len, 2);
    assert_memory_equal(envelope.bytes, "{}", 2);
}

static void a_cut_envelope_is_refused(void **state)
{
    struct people *people = *state;
    cleanup_free char *text = sign("alice", people->alice);
    for (size_t cut = 0; cut < strlen(text); cut++) {
        struct err err = {0};
        cleanup_envelope struct envelope envelope = {0};
        cleanup_free char *copy = mem_dup(text, cut);
        assert_int_equal(command_envelope_parse(copy ? copy : "", cut, &envelope, &err), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_signs_for_himself_is_heard),
        cmocka_unit_test(nobody_speaks_for_another),
        cmocka_unit_test(strangers_and_revoked_keys_are_refused),
        cmocka_unit_test(what_was_changed_does_not_hold),
        cmocka_unit_test(an_unsigned_command_is_none),
        cmocka_unit_test(one_spelling_of_base64_is_taken),
        cmocka_unit_test(a_cut_envelope_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
