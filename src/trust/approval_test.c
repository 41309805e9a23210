#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "trust/approval.h"
#include "trust/command.h"
#include "trust/people_testing.h"

static void make(struct approval *out, const char *who)
{
    *out = (struct approval){.release = {{1, 2, 3}}, .issued_ms = 1000, .expires_ms = 2000};
    str_copy(out->fleet, sizeof out->fleet, "f");
    str_copy(out->name, sizeof out->name, "detector");
    str_copy(out->version, sizeof out->version, "2.0.0");
    str_copy(out->operator_name, sizeof out->operator_name, who);
    str_copy(out->reason, sizeof out->reason, "reviewed");
}

static char *sign(const char *who, const struct signing_key *key)
{
    struct err err = {0};
    struct approval approval;
    make(&approval, who);
    char *text = approval_sign(&approval, key, &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}

/* ERR_NONE if it stands. */
static enum err_code try(const char *text, const struct keyring *ring, const char *say)
{
    struct err err = {0};
    cleanup_envelope struct envelope envelope = {0};
    struct approval approval;
    assert_ok(approval_envelope_parse(text, strlen(text), &envelope, &err), err);
    if (approval_open(&envelope, ring, &approval, &err) == 0)
        return ERR_NONE;
    if (!strstr(err.text, say))
        fail_msg("%s: not about %s", err.text, say);
    return err.code;
}

static void an_operator_speaks_for_himself_only(void **state)
{
    struct people *people = *state;
    struct keyring revoked = people->ring, strangers = {0};
    struct err err = {0};
    cleanup_free char *own = sign("alice", people->alice), *anothers = sign("alice", people->bob);
    assert_int_equal(try(own, &people->ring, ""), ERR_NONE);
    assert_int_equal(try(anothers, &people->ring, "not signed by the key of operator alice"), ERR_UNTRUSTED);
    assert_int_equal(try(own, &strangers, "not in the operators' keyring"), ERR_UNTRUSTED);
    assert_ok(keyring_revoke(&revoked, "alice", &err), err);
    assert_int_equal(try(own, &revoked, "revoked"), ERR_UNTRUSTED);
}

static void every_byte_counts(void **state)
{
    struct people *people = *state;
    struct err err = {0};
    cleanup_free char *text = sign("alice", people->alice);
    cleanup_envelope struct envelope envelope = {0};
    struct approval approval;
    assert_ok(approval_envelope_parse(text, strlen(text), &envelope, &err), err);
    for (size_t bit = 0; bit < envelope.len * 8; bit++) {
        envelope.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(approval_open(&envelope, &people->ring, &approval, &err), -1);
        envelope.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_ok(approval_open(&envelope, &people->ring, &approval, &err), err);
    assert_string_equal(approval.operator_name, "alice");
}

/* The same bytes signed as something else are no approval, and the other way round: the domain is signed too. */
static void one_kind_never_passes_as_another(void **state)
{
    static const struct envelope_form forms[] = {
        {.noun = "approval", .domain = "muster-command-v1\n", .max_bytes = 4096},
        {.noun = "approval", .domain = "", .max_bytes = 4096},
        {.noun = "approval", .domain = "muster-approval-v1", .max_bytes = 4096},
    };
    struct people *people = *state;
    struct approval approval;
    make(&approval, "alice");
    cleanup_free char *bytes = approval_format(&approval);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct err err = {0};
        cleanup_free char *text = envelope_sign(&forms[i], bytes, strlen(bytes), people->alice, &err);
        assert_int_equal(try(text, &people->ring, "does not fit"), ERR_UNTRUSTED);
    }
    struct err err = {0};
    cleanup_free char *fine = sign("alice", people->alice);
    cleanup_envelope struct envelope envelope = {0};
    assert_fails(command_envelope_parse(fine, strlen(fine), &envelope, &err), err, ERR_INVALID);
}

static void what_no_robot_takes_is_not_signed(void **state)
{
    struct people *people = *state;
    struct err err = {0};
    struct approval approval;
    make(&approval, "alice");
    approval.expires_ms = approval.issued_ms + APPROVAL_MAX_LIFE_MS + 1;
    assert_null(approval_sign(&approval, people->alice, &err));
    assert_int_equal(err.code, ERR_INVALID);
    make(&approval, "alice");
    approval.reason[0] = 0;
    assert_null(approval_sign(&approval, people->alice, &err));
}

static void too_much_is_refused_before_it_is_read(void **state)
{
    struct err err = {0};
    cleanup_envelope struct envelope envelope = {0};
    cleanup_free char *big = mem_zalloc(1 << 20, 1);
    (void)state;
    memset(big, ' ', (1 << 20) - 1);
    assert_fails(approval_envelope_parse(big, (1 << 20) - 1, &envelope, &err), err, ERR_TOO_BIG);
}

static char *written(const char *bytes, const char *items)
{
    return mem_printf("{\"approval\":\"%s\",\"signatures\":[%s]}", bytes, items);
}

/* One item: the first `keyid_len` digits of a keyid and the first `sig_len` of a signature, with one letter exchanged in each. */
static char *item(size_t keyid_len, char keyid_first, size_t sig_len, char sig_last)
{
    char keyid[80] = "", sig[140] = "";
    memset(keyid, 'a', keyid_len);
    memset(sig, 'b', sig_len);
    keyid[0] = keyid_first;
    sig[sig_len - 1] = sig_last;
    return mem_printf("{\"keyid\":\"%s\",\"sig\":\"%s\"}", keyid, sig);
}

static void refuse_items(const char *bytes, const char *items, enum err_code want)
{
    struct err err = {0};
    cleanup_envelope struct envelope envelope = {0};
    cleanup_free char *text = written(bytes, items);
    int rc = approval_envelope_parse(text, strlen(text), &envelope, &err);
    if (err.code != want || (rc == 0) != (want == ERR_NONE))
        fail_msg("%s: %s", text, err.text);
}

static void envelopes_are_read_strictly(void **state)
{
    static const struct {
        size_t keyid_len;
        char keyid_first;
        size_t sig_len;
        char sig_last;
    } wrong[] = {{63, 'a', 128, 'b'}, {62, 'a', 128, 'b'}, {65, 'a', 128, 'b'}, {64, 'A', 128, 'b'},
                 {64, 'g', 128, 'b'}, {64, 'a', 127, 'b'}, {64, 'a', 126, 'b'}, {64, 'a', 130, 'b'},
                 {64, 'a', 128, 'B'}, {64, 'a', 128, 'x'}};
    (void)state;
    cleanup_free char *a = item(64, 'a', 128, 'b'), *b = item(64, 'b', 128, 'b'),
                      *c = item(64, 'c', 128, 'b');
    cleanup_free char *d = item(64, 'd', 128, 'b'), *e = item(64, 'e', 128, 'b');
    cleanup_free char *four = mem_printf("%s,%s,%s,%s", a, b, c, d), *five = mem_printf("%s,%s", four, e);
    cleanup_free char *twice = mem_printf("%s,%s,%s", a, b, a);
    refuse_items("e30=", a, ERR_NONE);
    refuse_items("e30=", four, ERR_NONE);
    refuse_items("e30=", five, ERR_INVALID);
    refuse_items("e30=", twice, ERR_INVALID);
    refuse_items("", a, ERR_INVALID);
    refuse_items("e30", a, ERR_INVALID);
    refuse_items("e3*=", a, ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        cleanup_free char *bad =
            item(wrong[i].keyid_len, wrong[i].keyid_first, wrong[i].sig_len, wrong[i].sig_last);
        refuse_items("e30=", bad, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operator_speaks_for_himself_only),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(one_kind_never_passes_as_another),
        cmocka_unit_test(what_no_robot_takes_is_not_signed),
        cmocka_unit_test(too_much_is_refused_before_it_is_read),
        cmocka_unit_test(envelopes_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
