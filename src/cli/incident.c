#include "cli/verbs.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/incident_file.h"
#include "cli/output.h"
#include "sys/file.h"
#include "trust/incident.h"
#include "wire/json.h"

#include <stdlib.h>

enum { PAGE = 200, TEXT = 240 };

static const char help[] =
    "usage: muster incident list [--robot ROBOT] [--json]\n"
    "       muster incident show INCIDENT [--json]\n"
    "       muster incident export INCIDENT [-o FILE.mcap] [--frames DIR]\n"
    "       muster incident verify INCIDENT [--ca FILE] [--json]\n"
    "\n"
    "What robots' black boxes sealed around an event: the last frames, every verdict, every state, who did "
    "what and why.\n"
    "INCIDENT is a number of the list, fetched from the server, or a file.\n"
    "\n"
    "  list    newest first\n"
    "  show    what happened, in order; seconds from the trigger\n"
    "  export  the recording itself (opens in Foxglove and other MCAP tools), or its pictures as JPEG\n"
    "  verify  is it whole, and is it that robot's? names the first part that was changed. Exit status 3 if "
    "not\n"
    "\n"
    "      --robot ROBOT  only this robot's\n"
    "  -o, --output FILE  where the recording goes\n"
    "      --frames DIR   where its pictures go\n" CLIENT_HELP
    "                         (--ca is also the CA that signs robots' certificates)\n"
    "      --json         as JSON\n"
    "\n"
    "examples:\n"
    "  muster incident list --robot r7\n"
    "  muster incident show 12\n"
    "  muster incident export 12 -o r7.mcap --frames r7-frames\n"
    "  muster incident verify /var/lib/muster/incidents/000003-20260102T030405Z-3-estop.mcap --ca ca.pem\n";

/* ---- list ---- */

static void print_when(int64_t time_ms)
{
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(time_ms, when);
    printf("%s", when);
}

static void print_row(struct json_at at)
{
    uint64_t id = 0;
    int64_t time_ms = 0;
    char robot[64] = "", cause[32] = "", text[TEXT] = "", who[48] = "";
    json_get_u64(at, "id", INT64_MAX, &id);
    json_get_int(at, "time_ms", INT64_MIN, INT64_MAX, &time_ms);
    json_get_line(at, "robot", robot, sizeof robot);
    json_get_line(at, "cause", cause, sizeof cause);
    json_get_line(at, "text", text, sizeof text);
    json_get_line(at, "who", who, sizeof who);
    printf("%6llu  %-16s ", (unsigned long long)id, robot);
    print_when(time_ms);
    printf("  %-14s %s%s%s\n", cause, text, who[0] ? "  by " : "", who);
}

/* One page; *before: the last number on it, 0 if there are no more. */
static int list_page(struct client *client, const char *robot, struct json_writer *json, uint64_t *before,
                     struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    cleanup_free char *path =
        mem_printf("/api/v1/incidents?limit=%d&before=%llu%s%s", PAGE, (unsigned long long)*before,
                   robot ? "&robot=" : "", robot ? robot : "");
    if (!path)
        return err_no_memory(err);
    if (client_call(client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    struct json_reader reader;
    size_t count = 0;
    if (json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "incidents", PAGE, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at item = json_as_object(json_item(list, i));
        cleanup_free char *text = json ? json_canonical(item) : NULL;
        if (json)
            jsonw_raw(json, NULL, text ? text : "null");
        else
            print_row(item);
        json_get_u64(item, "id", INT64_MAX, before);
    }
    if (count < PAGE)
        *before = 0;
    return json_finish(&reader, err);
}

static int list_all(struct client *client, const char *robot, struct json_writer *json, struct err *err)
{
    uint64_t before = 0;
    if (!json)
        printf("%6s  %-16s %-24s  %-14s %s\n", "ID", "ROBOT", "WHEN", "CAUSE", "WHAT");
    do {
        if (list_page(client, robot, json, &before, err) < 0)
            return -1;
    } while (before > 0);
    return 0;
}

static int run_list(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    bool json = false;
    const char *robot = NULL;
    struct operands operands = {.usage = ""};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_FLAG("json", 0, &json),
                                         OPT_TEXT("robot", 0, &robot)};
    cleanup_client struct client *client = NULL;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (robot && !str_is_name(robot, 63))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot id", robot);
    if (client_open(&where, &client, err) < 0)
        return -1;
    if (!json)
        return list_all(client, robot, NULL, err);
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_array(&out, "incidents");
    if (list_all(client, robot, &out, err) < 0)
        return -1;
    jsonw_close(&out);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* ---- one ---- */

struct one {
    struct client_flags where;
    bool json;
    const char *output, *frames;
    struct buf file;
    struct incident_verdict verdict;
    struct err doubt; /* why it does not verify; code NONE: it does */
};

static int load(struct one *one, const char *name, struct err *err)
{
    uint64_t id;
    one->file = (struct buf)BUF_INIT(INCIDENT_MAX_BYTES);
    if (!str_to_u64(name, &id) || file_exists(name))
        return file_read(name, &one->file, err);
    cleanup_client struct client *client = NULL;
    cleanup_free char *path = mem_printf("/api/v1/incidents/%llu/file", (unsigned long long)id);
    if (!path)
        return err_no_memory(err);
    return client_open(&one->where, &client, err) < 0 ? -1 : client_download(client, path, &one->file, err);
}

/* A file that does not verify is loaded all the same: what is left of it may be looked at. */
static int open_one(int argc, char **argv, struct one *one, struct err *err)
{
    struct operands operands = {.usage = "INCIDENT", .min = 1, .max = 1};
    const struct option_def options[] = {CLIENT_OPTIONS(one->where), OPT_FLAG("json", 0, &one->json),
                                         OPT_TEXT("output", 'o', &one->output),
                                         OPT_TEXT("frames", 0, &one->frames)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0 ||
        load(one, operands.items[0], err) < 0)
        return -1;
    const char *ca = one->where.ca ? one->where.ca : getenv("MUSTER_CA");
    if (incident_verify(one->file.data, one->file.len, ca && ca[0] ? ca : NULL, &one->verdict, &one->doubt) ==
        0)
        return 0;
    if (one->doubt.code == ERR_CORRUPT || one->doubt.code == ERR_UNTRUSTED) {
        err_prefix(&one->doubt, "%s", operands.items[0]);
        if (one->doubt.code == ERR_CORRUPT)
            one->doubt.code = ERR_UNTRUSTED; /* refused by verification, for the exit status */
        return 0;
    }
    *err = one->doubt;
    return err_prefix(err, "%s", operands.items[0]);
}

static int outcome(const struct one *one, struct err *err)
{
    if (one->doubt.code == ERR_NONE)
        return 0;
    *err = one->doubt;
    return -1;
}

static const char *signature_words(const struct one *one)
{
    static const char *const words[] = {[INCIDENT_UNSIGNED] = "not signed",
                                        [INCIDENT_SIGNED] =
                                            "signed; whose key that is was not checked: give --ca FILE",
                                        [INCIDENT_TRUSTED] = "signed by this robot"};
    return one->doubt.code == ERR_NONE ? words[one->verdict.signature] : one->doubt.text;
}

static void view_facts(struct json_writer *w, const struct one *one)
{
    const struct incident_facts *facts = &one->verdict.facts;
    static const char *const signature[] = {"none", "signed", "trusted"};
    jsonw_text(w, "name", facts->id);
    jsonw_text(w, "robot", facts->robot);
    jsonw_text(w, "cause", facts->cause);
    jsonw_i64(w, "severity", facts->severity);
    jsonw_text(w, "text", facts->text);
    jsonw_text(w, "who", facts->who);
    jsonw_text(w, "reason", facts->reason);
    jsonw_i64(w, "time_ms", facts->time_ms);
    jsonw_i64(w, "from_ms", facts->from_ms);
    jsonw_i64(w, "until_ms", facts->until_ms);
    jsonw_digest(w, "release", &facts->release);
    jsonw_u64(w, "frames", facts->frames);
    jsonw_real(w, "frame_rate", facts->frame_rate);
    jsonw_u64(w, "verdicts", facts->verdicts);
    jsonw_u64(w, "notices", facts->notices);
    jsonw_u64(w, "lost_frames", facts->lost_frames);
    jsonw_u64(w, "lost_verdicts", facts->lost_verdicts);
    jsonw_boolean(w, "whole", one->doubt.code == ERR_NONE);
    jsonw_text(w, "signature", signature[one->verdict.signature]);
    jsonw_text(w, "signer", one->verdict.signer);
    jsonw_u64(w, "parts", one->verdict.parts);
    if (one->verdict.broken)
        jsonw_u64(w, "broken_part", one->verdict.parts);
    if (one->doubt.code != ERR_NONE)
        jsonw_text(w, "doubt", one->doubt.text);
}

static void print_facts(const struct one *one)
{
    const struct incident_facts *facts = &one->verdict.facts;
    printf("%s  %s  ", facts->robot[0] ? facts->robot : "(no robot)", facts->cause);
    print_when(facts->time_ms);
    printf("\n%s%s%s%s%s%s\n", facts->text, facts->who[0] ? ", by " : "", facts->who,
           facts->reason[0] ? " (" : "", facts->reason, facts->reason[0] ? ")" : "");
    printf("release %s\n", digest_is_zero(&facts->release) ? "none" : digest_format(&facts->release).text);
    printf("%.1f s before, %.1f s after; %llu frames (%.1f/s), %llu verdicts; missed: %llu frames, %llu "
           "verdicts\n",
           (double)(facts->time_ms - facts->from_ms) / 1e3, (double)(facts->until_ms - facts->time_ms) / 1e3,
           (unsigned long long)facts->frames, facts->frame_rate, (unsigned long long)facts->verdicts,
           (unsigned long long)facts->lost_frames, (unsigned long long)facts->lost_verdicts);
    printf("%llu parts; %s\n\n", (unsigned long long)one->verdict.parts, signature_words(one));
}

static int show(const struct one *one, struct err *err)
{
    struct err cut = {0}; /* a broken file is shown as far as it goes */
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    if (one->json)
        view_facts(&out, one);
    else
        print_facts(one);
    int done =
        incident_timeline(one->file.data, one->file.len, &one->verdict.facts, one->json ? &out : NULL, &cut);
    jsonw_close(&out);
    if (one->json && output_print(&out, err) < 0)
        return -1;
    if (outcome(one, err) < 0)
        return -1;
    if (done < 0)
        *err = cut;
    return done;
}

static int export(const struct one *one, struct err *err)
{
    unsigned count = 0;
    if (!one->output && !one->frames)
        return err_set(err, ERR_USAGE, "nothing to export; give -o FILE.mcap or --frames DIR");
    if (one->output && file_replace(one->output, one->file.data, one->file.len, 0644, err) < 0)
        return -1;
    if (one->frames) {
        if (incident_pictures(one->file.data, one->file.len, one->frames, &count, err) < 0)
            return -1;
        printf("%u pictures in %s\n", count, one->frames);
    }
    return outcome(one, err);
}

static int verify(const struct one *one, struct err *err)
{
    if (!one->json) {
        if (one->doubt.code == ERR_NONE)
            printf("%s  whole: %llu parts; %s\n", one->verdict.facts.id,
                   (unsigned long long)one->verdict.parts, signature_words(one));
        return outcome(one, err);
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    view_facts(&out, one);
    jsonw_close(&out);
    return output_print(&out, err) < 0 ? -1 : outcome(one, err);
}

static int run_one(int argc, char **argv, int (*act)(const struct one *, struct err *), struct err *err)
{
    struct one *one = mem_zalloc(1, sizeof *one);
    if (!one)
        return err_no_memory(err);
    int done = open_one(argc, argv, one, err);
    if (done == 0)
        done = act(one, err);
    buf_fini(&one->file);
    free(one);
    return done;
}

static int run_show(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, show, err);
}

static int run_export(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, export, err);
}

static int run_verify(int argc, char **argv, struct err *err)
{
    return run_one(argc, argv, verify, err);
}

static int run(int argc, char **argv, struct err *err)
{
    static const struct verb table[] = {
        {.name = "list", .run = run_list},
        {.name = "show", .run = run_show},
        {.name = "export", .run = run_export},
        {.name = "verify", .run = run_verify},
    };
    return verb_dispatch(table, ARRAY_LEN(table), "muster incident", argc - 1, argv + 1, err);
}

const struct verb verb_incident = {.name = "incident",
                                   .summary = "what robots' black boxes sealed: list, show, export, verify",
                                   .help = help,
                                   .run = run};
