/* muster approve: a named operator's word that robots may install a release. What he signs is looked up from the root that he trusts, not taken
 * from the server: the server says only which rollout wants it. */
#include "cli/approve.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/chain.h"
#include "cli/output.h"
#include "cli/terms_text.h"
#include "cli/verbs.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/approval.h"
#include "trust/rule.h"
#include "wire/assignment.h"
#include "wire/json.h"
#include "wire/release.h"

#include <inttypes.h>

enum { DAY_MS = 24 * 3600 * 1000, MAX_WAVES = 64, ROBOTS_PER_LINE = 8 };

static const char help[] =
    "usage: muster approve NAME:VERSION --reason TEXT [--key FILE] [--root FILE] [--days N]\n"
    "       muster approve --rollout ID --reason TEXT …        the same as: muster rollout approve ID\n"
    "\n"
    "Approves a release whose terms ask for it (muster sign --approvals), or one rollout of it with its "
    "plan: which robots in "
    "which\n"
    "wave. Shows what is approved, signs it with your own key and sends it. Each robot checks the signature "
    "itself; without "
    "enough\n"
    "approvals it installs nothing, whatever the server says.\n"
    "\n"
    "What the release is comes from the offline signatures, followed from the root that you trust, not from "
    "the server.\n"
    "\n"
    "  -k, --key FILE     your key (MUSTER_OPERATOR_KEY); made by muster keys operator NAME\n"
    "      --as NAME      your name in the fleet's keyring (default: the key's file name)\n"
    "  -r, --reason TEXT  why; it stands in the audit log\n"
    "      --root FILE    the root that is trusted (default: keys/root.json)\n"
    "      --days N       the approval counts for installations within N days (7; up to 30)\n"
    "  -y, --yes          do not ask; without a terminal, or with --json, nobody is asked "
    "either\n" CLIENT_HELP "      --json             what was approved, as JSON\n"
    "\n"
    "examples:\n"
    "  muster approve detector:2.0.0 --key alice.key --reason \"ran on the test bench for a week\"\n"
    "  muster rollout approve 3 --key alice.key --reason \"north hall first is fine\"\n";

struct approve {
    struct client_flags where;
    const char *rollout, *release, *key, *as, *reason, *root;
    int64_t days;
    bool yes, json;

    struct client *client;
    struct approval approval;
    struct terms terms;
    uint64_t length;
    char *plan; /* owned; NULL: none */
};

static void approve_fini(struct approve *approve)
{
    if (approve->client)
        client_free(approve->client);
    free(approve->plan);
}
#define cleanup_approve __attribute__((cleanup(approve_fini)))

/* ---- what is wanted ---- */

static int split_release(const char *text, struct approval *out, struct err *err)
{
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof out->name || strlen(colon + 1) >= sizeof out->version)
        return err_set(err, ERR_USAGE, "%.80s: NAME:VERSION, as in detector:2.0.0", text);
    snprintf(out->name, sizeof out->name, "%.*s", (int)(colon - text), text);
    str_copy(out->version, sizeof out->version, colon + 1);
    return str_is_name(out->name, sizeof out->name - 1) && version_valid(out->version)
               ? 0
               : err_set(err, ERR_USAGE, "%.80s: NAME:VERSION, as in detector:2.0.0", text);
}

/* The rollout's release, by name, and its plan. */
static int ask_rollout(struct approve *approve, struct digest *out_plan, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    uint64_t id = 0;
    if (!str_to_u64(approve->rollout, &id))
        return err_set(err, ERR_USAGE, "\"%.40s\" is no rollout; it wants the number that rollout list shows",
                       approve->rollout);
    cleanup_free char *path = mem_printf("/api/v1/rollouts/%" PRIu64, id);
    if (!path)
        return err_no_memory(err);
    if (client_call(approve->client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at release = json_child(json_root(&reader), "release");
    json_get_name(release, "name", approve->approval.name, sizeof approve->approval.name);
    json_get_name(release, "version", approve->approval.version, sizeof approve->approval.version);
    json_get_digest_or_null(json_root(&reader), "plan", out_plan);
    return json_finish(&reader, err);
}

/* What the offline keys say of it. */
static int look_up(struct approve *approve, struct err *err)
{
    cleanup_chain struct chain chain = {0};
    const struct chain_source source = chain_of_server(approve->client);
    struct approval *approval = &approve->approval;
    char path[132];
    snprintf(path, sizeof path, "%s/%s", approval->name, approval->version);
    if (chain_seek(approve->root, &source, path, &chain, err) < 0)
        return -1;
    const struct tuf_target *target = chain_target(&chain);
    const char *fleet = chain_role(&chain, "root")->root.fleet;
    if (!target->hashes.has_sha256 || !fleet || !str_copy(approval->fleet, sizeof approval->fleet, fleet))
        return trust_refuse(err, TRUST_METADATA_FORM, "root names no fleet, or targets no SHA-256 of %s",
                            path);
    if (terms_parse(target->custom, &approve->terms, err) < 0)
        return -1;
    if (approve->terms.kind != TERMS_RELEASE || !str_eq(approve->terms.fleet, fleet))
        return trust_refuse(err, TRUST_RELEASE_FLEET, "%s is released to fleet %s, this is %s", path,
                            approve->terms.fleet, fleet);
    memcpy(approval->release.bytes, target->hashes.sha256, sizeof approval->release.bytes);
    approve->length = target->length;
    return 0;
}

static int check_asked(const struct approve *approve, const struct digest *plan, struct err *err)
{
    const struct terms *terms = &approve->terms;
    const struct approval *approval = &approve->approval;
    bool named = false;
    for (size_t i = 0; i < terms->operator_count; i++)
        named |= str_eq(terms->operators[i], approval->operator_name);
    if (terms->threshold == 0)
        return err_set(err, ERR_CONFLICT, "%s %s needs no approval", approval->name, approval->version);
    if (!named)
        return err_set(err, ERR_REFUSED,
                       "%s %s does not ask for the approval of %s; --as NAME says who you are",
                       approval->name, approval->version, approval->operator_name);
    if (terms->scope == TERMS_OF_PLAN && digest_is_zero(plan))
        return err_set(err, ERR_CONFLICT,
                       "%s %s wants approval of a rollout's plan: muster rollout approve ID", approval->name,
                       approval->version);
    return 0;
}

/* The plan's bytes are those that its digest names. */
static int fetch_plan(struct approve *approve, const struct digest *plan, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(PLAN_MAX_BYTES);
    cleanup_free char *path = mem_printf("/api/v1/blobs/%s", digest_format(plan).text);
    if (!path)
        return err_no_memory(err);
    if (client_download(approve->client, path, &bytes, err) < 0)
        return err_prefix(err, "the rollout's plan");
    struct digest got = hash_bytes(buf_text(&bytes), bytes.len);
    if (!digest_equal(&got, plan))
        return err_set(err, ERR_UNTRUSTED, "the server's plan is not %.19s…", digest_format(plan).text);
    approve->approval.plan = *plan;
    approve->plan = buf_take(&bytes);
    return approve->plan ? 0 : err_no_memory(err);
}

/* ---- showing it ---- */

/* Every one of them: what is not shown was not approved. */
static void print_wave(struct json_at wave)
{
    char name[64] = "", robot[64] = "";
    size_t count = 0;
    json_get_line(wave, "name", name, sizeof name);
    struct json_at robots = json_list(wave, "robots", PLAN_MAX_ROBOTS, &count);
    printf("wave        %-20s %zu robots:", name, count);
    for (size_t i = 0; i < count; i++) {
        json_as_name(json_item(robots, i), robot, sizeof robot);
        printf("%s%s", i % ROBOTS_PER_LINE || i == 0 ? " " : "\n              ", robot);
    }
    putchar('\n');
}

static int print_plan(const struct approve *approve, struct err *err)
{
    struct json_reader reader;
    struct digest release = {0};
    char rollout[64] = "";
    size_t count = 0;
    if (json_read(&reader, "plan", approve->plan, strlen(approve->plan), err) < 0)
        return -1;
    struct json_at root = json_root(&reader);
    json_get_digest(root, "release", &release);
    json_get_line(root, "rollout", rollout, sizeof rollout);
    if (!digest_equal(&release, &approve->approval.release))
        json_fail(root, "is of another release");
    printf("plan        %s, %s\n", rollout, digest_format(&approve->approval.plan).text);
    struct json_at waves = json_list(root, "waves", MAX_WAVES, &count);
    for (size_t i = 0; i < count; i++)
        print_wave(json_as_object(json_item(waves, i)));
    return json_finish(&reader, err);
}

static int show(const struct approve *approve, struct err *err)
{
    const struct approval *approval = &approve->approval;
    printf("release     %s %s\n", approval->name, approval->version);
    printf("digest      %s, manifest of %" PRIu64 " bytes\n", digest_format(&approval->release).text,
           approve->length);
    terms_print(&approve->terms);
    if (approve->plan && print_plan(approve, err) < 0)
        return -1;
    printf("approved by %s for %" PRId64 " days: %s\n", approval->operator_name, approve->days,
           approval->reason);
    fflush(stdout);
    return 0;
}

static int show_json(const struct approve *approve, struct err *err)
{
    const struct approval *approval = &approve->approval;
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", approval->name);
    jsonw_text(&out, "version", approval->version);
    jsonw_digest(&out, "digest", &approval->release);
    jsonw_digest(&out, "plan", &approval->plan);
    terms_write(&out, "terms", &approve->terms);
    jsonw_text(&out, "operator", approval->operator_name);
    jsonw_i64(&out, "expires_ms", approval->expires_ms);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int confirm(const struct approve *approve, struct err *err)
{
    char answer[16] = "";
    if (approve->yes || approve->json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return 0;
    fputs("approve? [y/N] ", stderr);
    if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(err, ERR_REFUSED, "not confirmed; nothing was sent");
    return 0;
}

/* ---- signing it ---- */

static int take_person(struct approve *approve, struct signing_key **out_key, struct err *err)
{
    const char *path = approve->key ? approve->key : getenv("MUSTER_OPERATOR_KEY");
    struct approval *approval = &approve->approval;
    if (!path || !path[0])
        return err_set(
            err, ERR_USAGE,
            "no key; give --key FILE or set MUSTER_OPERATOR_KEY (muster keys operator NAME makes one)");
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t len = strlen(file) - (str_ends(file, ".key") ? strlen(".key") : 0);
    snprintf(approval->operator_name, sizeof approval->operator_name, "%.*s",
             (int)(approve->as ? strlen(approve->as) : len), approve->as ? approve->as : file);
    if (!str_is_name(approval->operator_name, sizeof approval->operator_name - 1))
        return err_set(err, ERR_USAGE, "\"%s\" is no operator's name; give it with --as NAME",
                       approval->operator_name);
    return signing_key_load(path, out_key, err);
}

static int take_reason(struct approve *approve, struct err *err)
{
    struct approval *approval = &approve->approval;
    if (!approve->reason || !approve->reason[0])
        return err_set(err, ERR_USAGE, "--reason TEXT is missing: why may robots install it?");
    if (!str_copy(approval->reason, sizeof approval->reason, approve->reason))
        return err_set(err, ERR_USAGE, "--reason: more than %zu bytes", sizeof approval->reason - 1);
    return 0;
}

static int send(struct approve *approve, const struct signing_key *key, struct err *err)
{
    struct approval *approval = &approve->approval;
    approval->issued_ms = clock_wall_ms();
    approval->expires_ms = approval->issued_ms + approve->days * DAY_MS;
    cleanup_free char *envelope = approval_sign(approval, key, err);
    if (!envelope || client_call(approve->client, "POST", "/api/v1/approvals", envelope, NULL, err) < 0)
        return -1;
    return approve->json ? show_json(approve, err) : 0;
}

static int approve_it(struct approve *approve, struct err *err)
{
    cleanup_signing_key struct signing_key *key = NULL;
    struct digest plan = {0};
    if (take_reason(approve, err) < 0 || take_person(approve, &key, err) < 0 ||
        client_open(&approve->where, &approve->client, err) < 0)
        return -1;
    if (approve->rollout ? ask_rollout(approve, &plan, err) < 0
                         : split_release(approve->release, &approve->approval, err) < 0)
        return -1;
    if (look_up(approve, err) < 0 || check_asked(approve, &plan, err) < 0)
        return -1;
    if (!digest_is_zero(&plan) && fetch_plan(approve, &plan, err) < 0)
        return -1;
    if (!approve->json && show(approve, err) < 0)
        return -1;
    return confirm(approve, err) < 0 ? -1 : send(approve, key, err);
}

static int run_with(int argc, char **argv, bool of_rollout, struct err *err)
{
    cleanup_approve struct approve approve = {.root = "keys/root.json", .days = 7};
    struct operands operands = {.usage = of_rollout ? "ID" : "NAME:VERSION", .max = 1};
    const struct option_def options[] = {
        CLIENT_OPTIONS(approve.where),
        OPT_TEXT("rollout", 0, &approve.rollout),
        OPT_TEXT("key", 'k', &approve.key),
        OPT_TEXT("as", 0, &approve.as),
        OPT_TEXT("reason", 'r', &approve.reason),
        OPT_TEXT("root", 0, &approve.root),
        OPT_INT("days", 0, &approve.days, 1, 30),
        OPT_FLAG("yes", 'y', &approve.yes),
        OPT_FLAG("json", 0, &approve.json),
    };
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if ((operands.count == 1) == (approve.rollout != NULL))
        return err_set(err, ERR_USAGE, "what is approved: %s, or --rollout ID", operands.usage);
    if (operands.count == 1 && of_rollout)
        approve.rollout = operands.items[0];
    approve.release = operands.count == 1 ? operands.items[0] : NULL;
    return approve_it(&approve, err);
}

int approve_rollout_run(int argc, char **argv, struct err *err)
{
    return run_with(argc, argv, true, err);
}

static int run(int argc, char **argv, struct err *err)
{
    return run_with(argc, argv, false, err);
}

const struct verb verb_approve = {
    .name = "approve", .summary = "approve a release, or a rollout with its plan", .help = help, .run = run};
