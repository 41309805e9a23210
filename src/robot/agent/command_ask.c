/* The question for commands, and what else comes with its answer. */
#include "robot/agent/command_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "wire/command.h"
#include "wire/json.h"

#include <sys/random.h>

enum { POLL_GRACE_MS = 20000, MAX_ORDERS = 64, MAX_ANSWER_BYTES = 2 << 20 };

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

/* Logs each new kind of trouble once. */
static void settle(struct commands *commands, const struct err *err)
{
    if (err->code == ERR_NONE) {
        backoff_reset(&commands->backoff);
    } else {
        if (commands->complained != err->code)
            log_warn("commands: %s", err->text);
        backoff_failed(&commands->backoff, clock_mono_ms(), random_bits());
    }
    commands->complained = err->code;
}

/* The server's mistake in one entry keeps nobody from what comes behind it. */
static void skip_one(struct commands *commands, uint64_t id, const struct err *why)
{
    static const struct digest none;
    struct command_outcome outcome = {.id = id, .who = "nobody"};
    str_copy(outcome.text, sizeof outcome.text, why->text);
    command_report(commands, &outcome, &none);
}

/* -1: it has no number, so it cannot be passed over for good. */
static int take_entry(struct commands *commands, struct json_at at, struct err *err)
{
    uint64_t id = 0;
    json_get_u64(at, "id", INT64_MAX, &id);
    bool numbered = at.reader->err.code == ERR_NONE;
    cleanup_free char *envelope = json_canonical(json_child(at, "envelope"));
    struct err wrong = at.reader->err;
    at.reader->err = (struct err){0};
    if (!numbered || wrong.code == ERR_NO_MEMORY)
        return err_set(err, wrong.code, "%s", wrong.text);
    if (envelope)
        command_take(commands, id, envelope);
    else
        skip_one(commands, id, &wrong);
    commands->after = MAX(commands->after, id);
    return 0;
}

static int take_all(struct commands *commands, const struct buf *body, struct err *err)
{
    struct json_reader reader;
    struct seen_list seen;
    size_t count = 0;
    int rc = 0;
    if (json_read(&reader, "commands", body->data, body->len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "commands", MAX_ORDERS, &count);
    for (size_t i = 0; i < count; i++)
        if (take_entry(commands, json_as_object(json_item(list, i)), err) < 0)
            rc = -1;
    seen_read(json_root(&reader), &seen);
    struct err *rest = rc < 0 ? &(struct err){0} : err;
    if (json_finish(&reader, rest) < 0 || rc < 0)
        return -1;
    return seen_book_take(&commands->seen, &seen, err);
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct commands *commands = arg;
    static const struct seen_list nothing;
    struct err err = response->err;
    commands->transfer = 0;
    if (err.code == ERR_NONE && response->status == 200)
        (void)!take_all(commands, &response->body, &err);
    else if (err.code == ERR_NONE)
        (void)!seen_book_take(&commands->seen, &nothing, &err);
    settle(commands, &err);
}

void command_ask(struct commands *commands)
{
    struct err err = {0};
    const struct commands_options *options = &commands->options;
    cleanup_free char *url = mem_printf("%s/api/v1/commands?after=%llu&wait=%lld&seen=%llu", options->server,
                                        (unsigned long long)commands->after, (long long)options->poll_wait_s,
                                        (unsigned long long)seen_last(&commands->seen.list));
    struct fetch_request request = {.method = "GET",
                                    .url = url,
                                    .max_bytes = MAX_ANSWER_BYTES,
                                    .timeout_ms = options->poll_wait_s * 1000 + POLL_GRACE_MS,
                                    .stall_s = (int)options->poll_wait_s + 15};
    if (!url)
        err_no_memory(&err);
    else if (fetch_start(options->fetch, &request, on_answer, commands, &commands->transfer, &err) == 0)
        return;
    commands->transfer = 0;
    settle(commands, &err);
}
