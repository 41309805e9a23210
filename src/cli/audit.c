#include "cli/verbs.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/output.h"
#include "sys/file.h"
#include "trust/audit.h"
#include "wire/json.h"

#include <inttypes.h>

enum { PAGE = 500, ENTRY_MAX = 256 << 10 };

static const char help[] =
    "usage: muster audit verify [--remember FILE] [--json]\n"
    "       muster audit show [--after N] [--robot ROBOT] [--json]\n"
    "\n"
    "The server's log of what people ordered, why, what became of it on each robot, whose output was "
    "overridden, and of\n"
    "what the guards did by themselves. Each entry's hash covers the one before it.\n"
    "\n"
    "  verify  computes the whole chain anew and names the first entry that was changed, removed or slipped "
    "in\n"
    "  show    the entries\n"
    "\n"
    "      --remember FILE  how far it was sound the last time; a log whose end was cut off, or that was "
    "made anew, is\n"
    "                       found by it. Written again when all is well; keep it away from the server\n"
    "      --after N        only entries behind number N\n"
    "      --robot ROBOT    only entries that name it\n"
    "\n" CLIENT_HELP "      --json           as JSON\n"
    "\n"
    "examples:\n"
    "  muster audit verify --remember /media/stick/fleet.head\n"
    "  muster audit show --robot r7\n"
    "  muster audit show --json | jq '.entries[] | select(.kind == \"command\") | [.who, .what, .why]'\n"
    "\n"
    "exit status of verify: 0 sound, 3 not\n";

/* ---- reading ---- */

struct walk {
    struct client *client;
    uint64_t after;
    int (*visit)(uint64_t seq, const struct digest *hash, const char *entry, void *arg, struct err *err);
    void *arg;
};

static int visit_page(struct walk *walk, struct json_reader *reader, bool *out_more, struct err *err)
{
    size_t count = 0;
    struct json_at root = json_root(reader), list = json_list(root, "entries", PAGE, &count);
    cleanup_free char *entry = mem_zalloc(ENTRY_MAX, 1);
    if (!entry)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        uint64_t seq = 0;
        struct digest hash = {0};
        json_get_u64(at, "seq", INT64_MAX, &seq);
        json_get_digest(at, "hash", &hash);
        json_get_string(at, "entry", entry, ENTRY_MAX);
        if (reader->err.code == ERR_NONE && walk->visit(seq, &hash, entry, walk->arg, err) < 0)
            return -1;
        walk->after = seq;
    }
    *out_more = json_has(root, "next");
    return 0;
}

static int walk_page(struct walk *walk, bool *out_more, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/audit?limit=%d&after=%" PRIu64, PAGE, walk->after);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    struct err malformed = {0};
    if (!path)
        return err_no_memory(err);
    if (client_call(walk->client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    int rc = visit_page(walk, &reader, out_more, err);
    if (json_finish(&reader, &malformed) < 0 && rc == 0) {
        *err = malformed;
        return -1;
    }
    return rc;
}

static int walk_all(struct walk *walk, struct err *err)
{
    bool more = true;
    while (more)
        if (walk_page(walk, &more, err) < 0)
            return -1;
    return 0;
}

/* ---- verify ---- */

struct remembered { /* "N sha256:…\n" */
    uint64_t seq;
    struct digest head;
    bool met; /* the log holds it */
};

static int read_remembered(const char *path, struct remembered *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(256);
    char digits[24] = "", hash[DIGEST_TEXT_SIZE] = "";
    *out = (struct remembered){.met = true};
    if (!path || !file_exists(path))
        return 0;
    if (file_read(path, &text, err) < 0)
        return -1;
    if (sscanf(buf_text(&text), "%23[0-9] %71[0-9a-z:]", digits, hash) != 2 ||
        !str_to_u64(digits, &out->seq) || !digest_parse(hash, &out->head))
        return err_set(err, ERR_INVALID, "%s is no head of an audit log; name another file", path);
    out->met = out->seq == 0;
    return 0;
}

static int write_remembered(const char *path, const struct audit_chain *chain, struct err *err)
{
    char line[128];
    struct digest_text head = digest_format(&chain->head);
    int len = snprintf(line, sizeof line, "%" PRIu64 " %s\n", chain->seq, head.text);
    return path ? file_replace(path, line, (size_t)len, 0600, err) : 0;
}

struct verification {
    struct audit_chain chain;
    struct remembered remembered;
};

static int follow(uint64_t seq, const struct digest *hash, const char *entry, void *arg, struct err *err)
{
    struct verification *v = arg;
    if (audit_follow(&v->chain, seq, entry, hash, err) < 0)
        return -1;
    if (seq != v->remembered.seq)
        return 0;
    v->remembered.met = digest_equal(hash, &v->remembered.head);
    if (v->remembered.met)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "entries up to %" PRIu64 " are not those that were verified before: the log was made anew",
                   seq);
}

static int judge(const struct verification *v, struct err *err)
{
    if (v->remembered.met)
        return 0;
    return err_set(err, ERR_CORRUPT, "entries %" PRIu64 " to %" PRIu64 " are missing: the end was cut off",
                   v->chain.seq + 1, v->remembered.seq);
}

static int say(const struct verification *v, bool json, struct err *err)
{
    struct digest_text head = digest_format(&v->chain.head);
    if (!json) {
        printf("%" PRIu64 " entries, sound; head %s\n", v->chain.seq, head.text);
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_boolean(&out, "sound", true);
    jsonw_u64(&out, "entries", v->chain.seq);
    jsonw_digest(&out, "head", &v->chain.head);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* A log that is not sound is a refusal, not a failure. */
static int refuse(struct err *err)
{
    if (err->code == ERR_CORRUPT)
        err->code = ERR_UNTRUSTED;
    return -1;
}

static int run_verify(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    const char *path = NULL;
    bool json = false;
    struct operands operands = {.usage = "", .max = 0};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_TEXT("remember", 0, &path),
                                         OPT_FLAG("json", 0, &json)};
    cleanup_client struct client *client = NULL;
    struct verification v = {0};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        read_remembered(path, &v.remembered, err) < 0 || client_open(&where, &client, err) < 0)
        return -1;
    struct walk walk = {.client = client, .visit = follow, .arg = &v};
    if (walk_all(&walk, err) < 0 || judge(&v, err) < 0)
        return refuse(err);
    if (write_remembered(path, &v.chain, err) < 0)
        return -1;
    return say(&v, json, err);
}

/* ---- show ---- */

struct show {
    const char *robot;
    struct json_writer *out; /* NULL: for people */
};

static bool names(struct json_at root, const char *robot)
{
    size_t count = 0;
    bool found = false;
    if (!json_has(root, "robots"))
        return false;
    struct json_at list = json_list(root, "robots", 1024, &count);
    for (size_t i = 0; i < count; i++) {
        char id[64] = "";
        json_as_string(json_item(list, i), id, sizeof id);
        found = found || strcmp(id, robot) == 0;
    }
    return found;
}

static void print_text(struct json_at root, const char *before, const char *key, const char *behind)
{
    char text[512] = "";
    if (json_has(root, key))
        json_get_string(root, key, text, sizeof text);
    if (text[0])
        printf("%s%s%s", before, text, behind);
}

static void print_robots(struct json_at root)
{
    size_t count = 0;
    char first[64] = "";
    if (!json_has(root, "robots"))
        return;
    struct json_at list = json_list(root, "robots", 1024, &count);
    json_as_string(json_item(list, 0), first, sizeof first);
    if (count > 1)
        printf(" on %zu robots", count);
    else
        printf(" on %s", first);
}

static void print_entry(struct json_at root, uint64_t seq)
{
    int64_t time_ms = 0;
    char when[CLOCK_RFC3339_SIZE];
    json_get_int(root, "time_ms", INT64_MIN, INT64_MAX, &time_ms);
    clock_rfc3339(time_ms, when);
    printf("%6" PRIu64 " %s", seq, when);
    print_text(root, " ", "kind", "");
    print_text(root, " ", "who", "");
    print_text(root, " ", "what", "");
    print_robots(root);
    print_text(root, ": ", "text", "");
    print_text(root, " (", "why", ")");
    print_text(root, " over ", "release", "");
    puts("");
}

static int show_entry(uint64_t seq, const struct digest *hash, const char *entry, void *arg, struct err *err)
{
    struct show *show = arg;
    struct json_reader reader;
    if (json_read(&reader, "entry", entry, strlen(entry), err) < 0)
        return err_prefix(err, "entry %" PRIu64, seq);
    struct json_at root = json_root(&reader);
    bool wanted = !show->robot || names(root, show->robot);
    if (wanted && show->out)
        jsonw_raw(show->out, NULL, entry);
    else if (wanted)
        print_entry(root, seq);
    (void)hash;
    return json_finish(&reader, err);
}

static int run_show(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    bool json = false;
    int64_t after = 0;
    struct show show = {0};
    struct operands operands = {.usage = "", .max = 0};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_INT("after", 0, &after, 0, INT64_MAX),
                                         OPT_TEXT("robot", 0, &show.robot), OPT_FLAG("json", 0, &json)};
    cleanup_client struct client *client = NULL;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        client_open(&where, &client, err) < 0)
        return -1;
    struct walk walk = {.client = client, .after = (uint64_t)after, .visit = show_entry, .arg = &show};
    if (!json)
        return walk_all(&walk, err);
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    show.out = &out;
    jsonw_object(&out, NULL);
    jsonw_array(&out, "entries");
    if (walk_all(&walk, err) < 0)
        return -1;
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {{.name = "verify", .run = run_verify},
                                        {.name = "show", .run = run_show}};
    return verb_dispatch(table, ARRAY_LEN(table), "muster audit", argc - 1, argv + 1, err);
}

const struct verb verb_audit = {.name = "audit",
                                .summary = "the log of what people and guards did: verify, show",
                                .help = help,
                                .run = run};
