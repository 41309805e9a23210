#include "wire/base64.h"
#include "wire/oms.h"
#include "wire/wire_testing.h"

#define HEX "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc"

/* ---- base64 ---- */

static void base64_is_that_of_the_rfc(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[16];
        uint8_t bytes[16];
        size_t len = 99;
        base64_encode(pairs[i][0], strlen(pairs[i][0]), text);
        assert_string_equal(text, pairs[i][1]);
        assert_true(base64_decode(text, strlen(text), bytes, &len));
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], len);
    }
}

static void base64_has_one_spelling_per_value(void **state)
{
    static const char *const wrong[] = {"Zg",    "Zg=",      "Zg===", "Zh==",  "Zm9=", "Z===", "====",
                                        "Zm9v=", "Zg==Zg==", "Zm 9",  "Zm9\n", "Zm9-", "Zm9_"};
    uint8_t bytes[16];
    size_t len;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (base64_decode(wrong[i], strlen(wrong[i]), bytes, &len))
            fail_msg("\"%s\" was taken", wrong[i]);
}

static void base64_gives_all_bytes_back(void **state)
{
    uint64_t seed = 1;
    for (size_t i = 0; i < 300; i++) {
        uint8_t bytes[300], back[303];
        char text[BASE64_SIZE(300)];
        size_t len = 0;
        random_bytes(&seed, bytes, i);
        base64_encode(bytes, i, text);
        assert_int_equal(strlen(text) + 1, BASE64_SIZE(i));
        assert_true(base64_decode(text, strlen(text), back, &len));
        assert_int_equal(len, i);
        assert_memory_equal(back, bytes, i);
    }
}

/* ---- bundles ---- */

#define MATERIAL "{\"publicKey\":{\"hint\":\"abcd\"}}"
#define ENVELOPE                                                                                             \
    "{\"payload\":\"e30=\",\"payloadType\":\"application/"                                                   \
    "vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AQID\"}]}"
#define BUNDLE(material, envelope)                                                                           \
    "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":" material    \
    ",\"dsseEnvelope\":" envelope "}"

#define DER "{\"rawBytes\":\"AQ==\"}"
#define DER2 DER "," DER
#define CHAIN(certificates) "{\"x509CertificateChain\":{\"certificates\":[" certificates "]}}"

#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define NOTE "{\"envelope\":\"log\\n1\\n\"}"
#define ENTRY_OF(number, hash, kind, version, note)                                                          \
    "{\"logIndex\":\"" number "\",\"logId\":{\"keyId\":\"" ZERO "\"},\"kindVersion\":{\"kind\":\"" kind      \
    "\",\"version\":\"" version                                                                              \
    "\"},\"integratedTime\":\"1\",\"inclusionPromise\":{\"signedEntryTimestamp\":"                           \
    "\"AQID\"},\"inclusionProof\":{\"logIndex\":\"0\",\"rootHash\":\"" ZERO                                  \
    "\",\"treeSize\":\"1\",\"hashes\":[\"" hash "\"],\"checkpoint\":" note                                   \
    "},\"canonicalizedBody\":\"e30=\"}"
#define ENTRY ENTRY_OF("1", ZERO, "dsse", "0.0.1", NOTE)
#define SIGSTORE(entries) "{\"certificate\":" DER ",\"tlogEntries\":[" entries "]}"

static void check_bundle(const char *text)
{
    struct err err = {0};
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    assert_ok(oms_bundle_parse(text, strlen(text), &bundle, &err), err);
    assert_int_equal(bundle.payload_len, 2);
    assert_memory_equal(bundle.payload, "{}", 2);
    assert_int_equal(bundle.sig_len, 3);
}

static void the_forms_of_other_tools_are_taken(void **state)
{
    check_bundle(BUNDLE(MATERIAL, ENVELOPE));
    check_bundle(BUNDLE("{\"publicKey\":{\"rawBytes\":\"AQ==\",\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\"}}",
                        ENVELOPE));
    check_bundle(BUNDLE(
        "{\"publicKey\":{\"hint\":\"abcd\"},\"tlogEntries\":[],\"timestampVerificationData\":{}}", ENVELOPE));
    check_bundle(BUNDLE(MATERIAL, "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\","
                                  "\"signatures\":[{\"sig\":\"AQID\",\"keyid\":\"\"}]}"));
    check_bundle(BUNDLE(MATERIAL, "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\","
                                  "\"signatures\":[{\"sig\":\"AQID\",\"keyid\":null}]}"));
}

/* Written canonically, whatever its method: what is parsed and written again and again stays the same. */
static void check_round_trip(const char *text, enum oms_method method)
{
    struct err err = {0};
    cleanup_oms_bundle struct oms_bundle bundle = {0}, back = {0};
    assert_ok(oms_bundle_parse(text, strlen(text), &bundle, &err), err);
    assert_int_equal(bundle.method, method);
    cleanup_free char *first = oms_bundle_format(&bundle);
    assert_non_null(first);
    assert_ok(oms_bundle_parse(first, strlen(first), &back, &err), err);
    cleanup_free char *second = oms_bundle_format(&back);
    assert_string_equal(first, second);
    assert_int_equal(back.certificate_count, bundle.certificate_count);
    if (method == OMS_SIGSTORE)
        assert_string_equal(back.entry->checkpoint, "log\n1\n");
}

static void all_methods_are_read_and_written(void **state)
{
    check_round_trip(BUNDLE(MATERIAL, ENVELOPE), OMS_KEY);
    check_round_trip(BUNDLE(CHAIN(DER), ENVELOPE), OMS_CERTIFICATE);
    check_round_trip(BUNDLE(CHAIN(DER2 "," DER2 "," DER2 "," DER2), ENVELOPE), OMS_CERTIFICATE);
    check_round_trip(BUNDLE(SIGSTORE(ENTRY), ENVELOPE), OMS_SIGSTORE);
}

static void what_is_no_bundle_is_refused(void **state)
{
    static const struct {
        enum err_code code;
        const char *text;
    } cases[] = {
        {ERR_INVALID, ""},
        {ERR_INVALID, "[]"},
        {ERR_INVALID, "{\"verificationMaterial\":" MATERIAL ",\"dsseEnvelope\":" ENVELOPE "}"},
        {ERR_INVALID,
         "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.1+json\",\"verificationMaterial\":" MATERIAL
         ",\"dsseEnvelope\":" ENVELOPE "}"},
        {ERR_INVALID,
         "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"dsseEnvelope\":" ENVELOPE "}"},
        {ERR_INVALID,
         "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":" MATERIAL
         "}"},
        {ERR_INVALID, BUNDLE("{}", ENVELOPE)},
        {ERR_INVALID, BUNDLE("{\"publicKey\":{}}", ENVELOPE)},
        {ERR_INVALID, BUNDLE("{\"publicKey\":{\"hint\":\"no hex\"}}", ENVELOPE)},
        {ERR_INVALID, BUNDLE(CHAIN(""), ENVELOPE)},
        {ERR_INVALID, BUNDLE(CHAIN("{}"), ENVELOPE)},
        {ERR_INVALID, BUNDLE(CHAIN("{\"rawBytes\":\"\"}"), ENVELOPE)},
        {ERR_INVALID, BUNDLE(CHAIN("{\"rawBytes\":\"AQ\"}"), ENVELOPE)},
        {ERR_INVALID, BUNDLE(CHAIN(DER2 "," DER2 "," DER2 "," DER2 "," DER), ENVELOPE)},
        {ERR_INVALID, BUNDLE("{\"publicKey\":{\"hint\":\"abcd\"},\"certificate\":" DER "}", ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(""), ENVELOPE)},
        {ERR_INVALID, BUNDLE("{\"certificate\":" DER "}", ENVELOPE)},
        {ERR_UNSUPPORTED, BUNDLE(SIGSTORE(ENTRY "," ENTRY), ENVELOPE)},
        {ERR_UNSUPPORTED, BUNDLE(SIGSTORE(ENTRY_OF("1", ZERO, "hashedrekord", "0.0.2", NOTE)), ENVELOPE)},
        {ERR_UNSUPPORTED, BUNDLE(SIGSTORE(ENTRY_OF("1", ZERO, "dsse", "0.0.2", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("-1", ZERO, "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("01", ZERO, "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("", ZERO, "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID,
         BUNDLE(SIGSTORE(ENTRY_OF("9223372036854775808", ZERO, "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("1", "AAAA", "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("1", ZERO ZERO, "dsse", "0.0.1", NOTE)), ENVELOPE)},
        {ERR_INVALID, BUNDLE(SIGSTORE(ENTRY_OF("1", ZERO, "dsse", "0.0.1", "{}")), ENVELOPE)},
        {ERR_INVALID, BUNDLE(MATERIAL, ENVELOPE ",\"messageSignature\":{}")},
        {ERR_INVALID,
         BUNDLE(MATERIAL,
                "{\"payload\":\"e30=\",\"payloadType\":\"text/plain\",\"signatures\":[{\"sig\":\"AQID\"}]}")},
        {ERR_INVALID, BUNDLE(MATERIAL, "{\"payload\":\"e30\",\"payloadType\":\"application/"
                                       "vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AQID\"}]}")},
        {ERR_INVALID,
         BUNDLE(MATERIAL,
                "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}")},
        {ERR_INVALID,
         BUNDLE(MATERIAL, "{\"payload\":\"e30=\",\"payloadType\":\"application/"
                          "vnd.in-toto+json\",\"signatures\":[{\"sig\":\"AQID\"},{\"sig\":\"AQID\"}]}")},
        {ERR_INVALID, BUNDLE(MATERIAL, "{\"payload\":\"e30=\",\"payloadType\":\"application/"
                                       "vnd.in-toto+json\",\"signatures\":[{\"sig\":\"\"}]}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct oms_bundle bundle;
        if (oms_bundle_parse(cases[i].text, strlen(cases[i].text), &bundle, &err) == 0)
            fail_msg("%s: taken", cases[i].text);
        if (err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].text, err.text);
        check_message(&err);
    }
}

static void the_signed_bytes_are_those_of_dsse(void **state)
{
    struct err err = {0};
    struct oms_bundle bundle = {.payload = (uint8_t *)"hello world", .payload_len = 11};
    cleanup_buf struct buf pae = BUF_INIT(1 << 10);
    assert_ok(oms_pae(&bundle, &pae, &err), err);
    assert_string_equal(buf_text(&pae), "DSSEv1 28 application/vnd.in-toto+json 11 hello world");
}

/* ---- statements ---- */

#define SERIALIZATION "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":false}"
#define FILE_AS(name) "{\"name\":\"" name "\",\"digest\":\"" HEX "\",\"algorithm\":\"sha256\"}"
#define SUBJECT "[{\"name\":\"m\",\"digest\":{\"sha256\":\"" HEX "\"}}]"
#define STATEMENT_OF(type, predicate, subject, resources, serialization)                                     \
    "{\"_type\":\"" type "\",\"predicateType\":\"" predicate "\",\"subject\":" subject                       \
    ",\"predicate\":{\"resources\":" resources ",\"serialization\":" serialization "}}"
#define IN_TOTO "https://in-toto.io/Statement/v1"
#define OMS "https://model_signing/signature/v1.0"
#define STATEMENT(resources, serialization) STATEMENT_OF(IN_TOTO, OMS, SUBJECT, resources, serialization)

static void what_is_no_statement_is_refused(void **state)
{
    static const struct {
        enum err_code code;
        const char *text;
    } cases[] = {
        {ERR_INVALID, "{}"},
        {ERR_INVALID, STATEMENT_OF("https://in-toto.io/Statement/v0.1", OMS, SUBJECT, "[" FILE_AS("a") "]",
                                   SERIALIZATION)},
        {ERR_INVALID, STATEMENT_OF(IN_TOTO, "https://model_signing/Digests/v0.1", SUBJECT,
                                   "[" FILE_AS("a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT_OF(IN_TOTO, OMS, "[]", "[" FILE_AS("a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT_OF(IN_TOTO, OMS, "[{\"name\":\"\",\"digest\":{\"sha256\":\"" HEX "\"}}]",
                                   "[" FILE_AS("a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT_OF(IN_TOTO, OMS, "[{\"name\":\"m\",\"digest\":{\"sha256\":\"12\"}}]",
                                   "[" FILE_AS("a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a") "," FILE_AS("b") "," FILE_AS("a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("/etc/passwd") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a/../b") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("./a") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a//b") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a/") "]", SERIALIZATION)},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a\\nb") "]", SERIALIZATION)},
        {ERR_INVALID,
         STATEMENT("[{\"name\":\"a\",\"digest\":\"ABCD\",\"algorithm\":\"sha256\"}]", SERIALIZATION)},
        {ERR_UNSUPPORTED,
         STATEMENT("[{\"name\":\"a\",\"digest\":\"" HEX "\",\"algorithm\":\"blake3\"}]", SERIALIZATION)},
        {ERR_UNSUPPORTED,
         STATEMENT("[" FILE_AS("a") "]",
                   "{\"method\":\"file-shard-1048576\",\"hash_type\":\"sha256\",\"allow_symlinks\":false}")},
        {ERR_UNSUPPORTED,
         STATEMENT("[" FILE_AS("a") "]",
                   "{\"method\":\"files\",\"hash_type\":\"blake2b\",\"allow_symlinks\":false}")},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a") "]", "{\"method\":\"files\",\"hash_type\":\"sha256\"}")},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a") "]", "{\"method\":\"files\",\"hash_type\":\"sha256\","
                                                      "\"allow_symlinks\":false,\"ignore_paths\":[\"*\"]}")},
        {ERR_INVALID,
         STATEMENT("[" FILE_AS("a") "]", "{\"method\":\"files\",\"hash_type\":\"sha256\",\"allow_symlinks\":"
                                         "false,\"ignore_paths\":[\"../x\"]}")},
        {ERR_INVALID, STATEMENT("[" FILE_AS("a") "]", "{\"method\":\"files\",\"hash_type\":\"sha256\","
                                                      "\"allow_symlinks\":false,\"ignore_paths\":[\".\"]}")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct oms_statement statement;
        if (oms_statement_parse(cases[i].text, strlen(cases[i].text), &statement, &err) == 0)
            fail_msg("%s: taken", cases[i].text);
        if (err.code != cases[i].code)
            fail_msg("%s: %s", cases[i].text, err.text);
        check_message(&err);
    }
}

static void the_order_of_the_document_is_kept(void **state)
{
    static const char text[] =
        STATEMENT("[" FILE_AS("sub/b") "," FILE_AS("sub-a") "," FILE_AS("a") "]", SERIALIZATION);
    struct err err = {0};
    cleanup_oms_statement struct oms_statement statement = {0};
    assert_ok(oms_statement_parse(text, strlen(text), &statement, &err), err);
    assert_int_equal(statement.count, 3);
    assert_string_equal(statement.resources[0].name, "sub/b");
    oms_statement_sort(&statement);
    assert_string_equal(statement.resources[0].name, "a");
    assert_string_equal(statement.resources[1].name, "sub-a"); /* '-' comes before '/' */
}

static void statements_of_ours_read_back_as_the_same_bytes(void **state)
{
    uint64_t seed = 7;
    for (int turn = 0; turn < 50; turn++) {
        struct err err = {0};
        cleanup_oms_statement struct oms_statement made = {.subject = mem_strdup("model"),
                                                           .allow_symlinks = turn % 2 == 0},
                                                   back = {0};
        for (size_t i = random_below(&seed, 40) + 1; i > 0; i--) {
            char name[64], whole[80];
            struct digest digest;
            random_name(&seed, name, 30);
            random_bytes(&seed, &digest, sizeof digest);
            snprintf(whole, sizeof whole, "%s/%zu", name, i);
            assert_ok(oms_statement_add(&made, whole, &digest, &err), err);
        }
        assert_ok(oms_statement_ignore(&made, "notes", &err), err);
        cleanup_free char *text = oms_statement_format(&made);
        assert_non_null(text);
        assert_ok(oms_statement_parse(text, strlen(text), &back, &err), err);
        cleanup_free char *again = oms_statement_format(&back);
        assert_string_equal(text, again);
    }
}

static int take_bundle(const void *data, size_t len, struct err *err)
{
    cleanup_oms_bundle struct oms_bundle bundle = {0};
    return oms_bundle_parse(data, len, &bundle, err);
}

static int take_statement(const void *data, size_t len, struct err *err)
{
    cleanup_oms_statement struct oms_statement statement = {0};
    return oms_statement_parse(data, len, &statement, err);
}

/* Cut anywhere, with any byte changed: an error line or none, never a crash. */
static void any_bytes_are_stood(void **state)
{
    static const char bundle[] = BUNDLE(MATERIAL, ENVELOPE);
    static const char statement[] = STATEMENT("[" FILE_AS("sub/b") "," FILE_AS("a") "]", SERIALIZATION);
    static const struct {
        decode_fn *decode;
        const char *text;
    } cases[] = {{take_bundle, bundle}, {take_statement, statement}};
    uint64_t seed = 3;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].text);
        cleanup_free char *copy = mem_strdup(cases[i].text);
        for (size_t at = 0; at < len; at++) {
            struct err err;
            assert_int_not_equal(decode_copy(cases[i].decode, copy, at, &err), 0);
            check_message(&err);
            copy[at] = (char)random_u64(&seed);
            if (decode_copy(cases[i].decode, copy, len, &err) < 0)
                check_message(&err);
            copy[at] = cases[i].text[at];
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_that_of_the_rfc),
        cmocka_unit_test(base64_has_one_spelling_per_value),
        cmocka_unit_test(base64_gives_all_bytes_back),
        cmocka_unit_test(the_forms_of_other_tools_are_taken),
        cmocka_unit_test(all_methods_are_read_and_written),
        cmocka_unit_test(what_is_no_bundle_is_refused),
        cmocka_unit_test(the_signed_bytes_are_those_of_dsse),
        cmocka_unit_test(what_is_no_statement_is_refused),
        cmocka_unit_test(the_order_of_the_document_is_kept),
        cmocka_unit_test(statements_of_ours_read_back_as_the_same_bytes),
        cmocka_unit_test(any_bytes_are_stood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
