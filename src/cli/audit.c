#include "cli/audit_log.h"
#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/output.h"
#include "wire/json.h"

#include <inttypes.h>

static const char help[] =
    "usage: muster audit show [--after N] [--robot ROBOT] [--json]\n"
    "       muster audit verify [--remember FILE] [--witness FILE]... [--key KEY | --root FILE] [--export "
    "DIR]\n"
    "                           [--json]\n"
    "       muster audit prove SEQ -o FILE\n"
    "       muster audit check FILE [--key KEY]... [--root FILE]... [--json]\n"
    "\n"
    "The server's log of what people ordered, why, what became of it on each robot, and of every other act "
    "on the\n"
    "fleet. It is a Merkle tree whose size and root the server signs.\n"
    "\n"
    "  show    the entries\n"
    "  verify  reads the whole log and names the first entry that was changed, removed or slipped in\n"
    "  prove   a proof that an entry is in the log, to be given away (C2SP tlog-proof; the entry is in it)\n"
    "  check   such a proof, without a server\n"
    "\n"
    "      --remember FILE  what was verified the last time (and FILE.hashes): whatever was done to that "
    "part of the\n"
    "                       log since is found, whoever did it. Written again when all is well; keep it away "
    "from\n"
    "                       the server\n"
    "      --witness FILE   a checkpoint that somebody else remembers: STATE_DIR/trust/checkpoint of a "
    "robot\n"
    "      --key KEY        the audit key: PEM file, file of verifier keys, or a verifier key "
    "(name+hash+key)\n"
    "      --root FILE      root of trust that names it (root.json)\n"
    "                       both as often as there were keys; without either: those that are remembered, "
    "else the\n"
    "                       server is asked\n"
    "      --export DIR     the log as static files (C2SP tlog-tiles)\n"
    "      --after N        only entries behind number N\n"
    "      --robot ROBOT    only entries that name it\n"
    "  -o, --output FILE    where the proof goes\n"
    "\n" CLIENT_HELP "      --json           as JSON\n"
    "\n"
    "examples:\n"
    "  muster audit verify --remember /media/stick/fleet.log --root root.json\n"
    "  muster audit show --robot r7\n"
    "  muster audit show --json | jq '.entries[] | select(.kind == \"command\") | [.who, .what, .why]'\n"
    "  muster audit prove 1234 -o stop.proof && muster audit check stop.proof --root root.json\n"
    "\n"
    "exit status of verify and check: 0 sound, 3 not\n";

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

static int show_entry(const struct audit_record *record, void *arg, struct err *err)
{
    struct show *show = arg;
    struct json_reader reader;
    if (json_read(&reader, "entry", record->entry, record->len, err) < 0)
        return err_prefix(err, "entry %" PRIu64, record->seq);
    struct json_at root = json_root(&reader);
    bool wanted = !show->robot || names(root, show->robot);
    if (wanted && show->out)
        jsonw_raw(show->out, NULL, record->entry);
    else if (wanted)
        print_entry(root, record->seq);
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
    if (!json)
        return audit_log_each(client, (uint64_t)after, INT64_MAX, show_entry, &show, err);
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    show.out = &out;
    jsonw_object(&out, NULL);
    jsonw_array(&out, "entries");
    if (audit_log_each(client, (uint64_t)after, INT64_MAX, show_entry, &show, err) < 0)
        return -1;
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {{.name = "show", .run = run_show},
                                        {.name = "verify", .run = audit_verify},
                                        {.name = "prove", .run = audit_prove},
                                        {.name = "check", .run = audit_check}};
    return verb_dispatch(table, ARRAY_LEN(table), "muster audit", argc - 1, argv + 1, err);
}

const struct verb verb_audit = {.name = "audit",
                                .summary = "the log of every act on the fleet: show, verify, prove",
                                .help = help,
                                .run = run};
