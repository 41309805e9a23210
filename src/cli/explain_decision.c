/* muster explain decision: a record of a file, or one that the server keeps. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/explain_say.h"
#include "sys/file.h"
#include "wire/json.h"

#include <stdlib.h>

enum { DECISION_MAX = 64 << 10 };

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 19;
}

/* The record with that number, as canonical text. */
static int take_decision(const struct buf *answer, uint64_t id, char **out, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    uint64_t got = 0;
    if (json_read(&reader, "decisions", answer->data, answer->len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "decisions", 1, &count);
    if (count) {
        json_get_u64(json_item(list, 0), "id", INT64_MAX, &got);
        *out = json_canonical(json_child(json_item(list, 0), "decision"));
    }
    if (json_finish(&reader, err) < 0)
        return -1;
    if (got == id && *out)
        return 0;
    return err_set(err, ERR_NOT_FOUND,
                   "the server keeps no decision %llu that you may see; muster drift decisions lists them",
                   (unsigned long long)id);
}

static int fetch(const struct client_flags *where, const char *number, char **out, struct err *err)
{
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    const uint64_t id = strtoull(number, NULL, 10);
    cleanup_free char *path = mem_printf("/api/v1/decisions?limit=1&before=%llu", (unsigned long long)id + 1);
    if (!path)
        return err_no_memory(err);
    if (client_open(where, &client, err) < 0 || client_call(client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    return take_decision(&answer, id, out, err);
}

static int read_record(const char *path, char **out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(DECISION_MAX);
    if (file_read(path, &text, err) < 0)
        return -1;
    *out = mem_strndup((const char *)text.data, text.len);
    return *out ? 0 : err_no_memory(err);
}

static int say(const char *name, const char *text, bool json, struct err *err)
{
    struct decision decision;
    if (decision_parse(text, strlen(text), &decision, err) < 0)
        return err_prefix(err, "%s", name);
    if (!json) {
        explain_say_decision(&decision);
        return 0;
    }
    cleanup_free char *canonical = decision_format(&decision);
    if (!canonical)
        return err_no_memory(err);
    puts(canonical);
    return 0;
}

int explain_decision(int argc, char **argv, struct err *err)
{
    struct client_flags where = {0};
    bool json = false;
    cleanup_free char *text = NULL;
    struct operands operands = {.usage = "FILE.json|NUMBER", .min = 1, .max = 1};
    const struct option_def options[] = {CLIENT_OPTIONS(where), OPT_FLAG("json", 0, &json)};
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    const char *which = operands.items[0];
    if ((is_number(which) ? fetch(&where, which, &text, err) : read_record(which, &text, err)) < 0)
        return -1;
    return say(which, text, json, err);
}
