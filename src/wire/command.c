#include "wire/command.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"
#include "wire/json_tree.h"
#include "wire/json_write.h"

#include <inttypes.h>

enum { SCHEMA = 1, NONCE_DIGITS = 32 };

static const char *const verb_words[COMMAND_VERB_COUNT] = {
    [COMMAND_HOLD] = "hold",       [COMMAND_RELEASE] = "release",   [COMMAND_OVERRIDE] = "override",
    [COMMAND_RENEW] = "renew",     [COMMAND_FALLBACK] = "fallback", [COMMAND_ROLLBACK] = "rollback",
    [COMMAND_STOP] = "stop",       [COMMAND_RESET] = "reset",       [COMMAND_RESTART] = "restart",
    [COMMAND_SERVICE] = "service",
};

const char *command_verb_name(enum command_verb verb)
{
    return (unsigned)verb < COMMAND_VERB_COUNT ? verb_words[verb] : "unknown";
}

bool command_verb_parse(const char *text, enum command_verb *out)
{
    for (int i = 0; i < COMMAND_VERB_COUNT; i++) {
        if (!str_eq(text, verb_words[i]))
            continue;
        *out = (enum command_verb)i;
        return true;
    }
    return false;
}

void command_fini(struct command *command)
{
    free(command->robots);
    command->robots = NULL;
    command->robot_count = 0;
}

/* ---- reading ---- */

static void read_robots(struct json_at root, struct command *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, "robots", COMMAND_MAX_ROBOTS, &count);
    if (count == 0) {
        json_fail(list, "must name a robot");
        return;
    }
    out->robots = mem_zalloc(count, sizeof out->robots[0]);
    if (!out->robots) {
        (void)err_no_memory(&root.reader->err);
        return;
    }
    out->robot_count = count;
    for (size_t i = 0; i < count; i++) {
        struct json_at item = json_item(list, i);
        json_as_name(item, out->robots[i], sizeof out->robots[i]);
        if (i > 0 && strcmp(out->robots[i - 1], out->robots[i]) >= 0)
            json_fail(item, "\"%.63s\" is out of order; ids are sorted, each once", out->robots[i]);
    }
}

static void read_nonce(struct json_at root, struct command *out)
{
    json_get_string(root, "nonce", out->nonce, sizeof out->nonce);
    if (strlen(out->nonce) != NONCE_DIGITS || strspn(out->nonce, "0123456789abcdef") != NONCE_DIGITS)
        json_fail(root, "nonce: must be %d lower-case hexadecimal digits", NONCE_DIGITS);
}

static void read_times(struct json_at root, struct command *out)
{
    json_get_int(root, "issued_ms", 0, INT64_MAX / 2, &out->issued_ms);
    json_get_int(root, "expires_ms", 0, INT64_MAX / 2, &out->expires_ms);
    if (out->expires_ms <= out->issued_ms || out->expires_ms - out->issued_ms > COMMAND_MAX_LIFE_MS)
        json_fail(root, "expires_ms: must be after issued_ms, by at most %d ms", COMMAND_MAX_LIFE_MS);
}

static bool has_ttl(enum command_verb verb)
{
    return verb == COMMAND_OVERRIDE || verb == COMMAND_RENEW;
}

static void read_lease(struct json_at root, struct command *out)
{
    int64_t ttl_ms = 0;
    json_get_u64(root, "lease", INT64_MAX, &out->lease);
    json_get_int(root, "ttl_ms", 0, COMMAND_MAX_TTL_MS, &ttl_ms);
    out->ttl_ms = (uint32_t)ttl_ms;
    if (has_ttl(out->verb) ? ttl_ms < COMMAND_MIN_TTL_MS : ttl_ms != 0)
        json_fail(root, "ttl_ms: %s",
                  has_ttl(out->verb) ? "must be from 200 to 60000" : "must be 0 for this verb");
    if (out->verb == COMMAND_RENEW && out->lease == 0)
        json_fail(root, "lease: must be the number of the lease to renew");
    if (out->lease != 0 && out->robot_count > 1)
        json_fail(root, "robots: a lease is one robot's, name only that one");
}

static void read_command(struct json_at root, struct command *out)
{
    int64_t schema = 0;
    int verb = 0;
    JSON_ONLY(root, "schema", "robots", "verb", "operator", "reason", "nonce", "issued_ms", "expires_ms",
              "lease", "ttl_ms");
    json_get_int(root, "schema", SCHEMA, SCHEMA, &schema);
    json_get_choice(root, "verb", verb_words, COMMAND_VERB_COUNT, &verb);
    out->verb = (enum command_verb)verb;
    json_get_name(root, "operator", out->operator_name, sizeof out->operator_name);
    json_get_line(root, "reason", out->reason, sizeof out->reason);
    if (out->reason[0] == 0)
        json_fail(root, "reason: must not be empty");
    read_robots(root, out);
    read_nonce(root, out);
    read_times(root, out);
    read_lease(root, out);
}

int command_parse(const void *text, size_t len, struct command *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct command){0};
    if (len > COMMAND_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "command: %zu bytes, the limit is %d", len, COMMAND_MAX_BYTES);
    if (json_read(&reader, "command", text, len, err) < 0)
        return -1;
    read_command(json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    command_fini(out);
    return -1;
}

/* ---- writing ---- */

char *command_format(const struct command *command)
{
    cleanup_json json_t *robots = json_array();
    for (size_t i = 0; i < command->robot_count; i++)
        if (json_append(robots, json_string(command->robots[i])) < 0)
            return NULL;
    return json_write_new(json_pack("{s:i, s:O, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "schema", SCHEMA,
                                    "robots", robots, "verb", command_verb_name(command->verb), "operator",
                                    command->operator_name, "reason", command->reason, "nonce",
                                    command->nonce, "issued_ms", (json_int_t)command->issued_ms, "expires_ms",
                                    (json_int_t)command->expires_ms, "lease", (json_int_t)command->lease,
                                    "ttl_ms", (json_int_t)command->ttl_ms));
}

/* ---- asking ---- */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

bool command_names(const struct command *command, const char *robot)
{
    return command->robot_count > 0 && bsearch(robot, command->robots, command->robot_count,
                                               sizeof command->robots[0], compare_ids) != NULL;
}

int command_timely(const struct command *command, int64_t now_ms, struct err *err)
{
    if (now_ms >= command->expires_ms)
        return err_set(err, ERR_REFUSED, "it expired %lld ms ago by this robot's clock; give it again",
                       (long long)(now_ms - command->expires_ms));
    if (now_ms < command->issued_ms - COMMAND_SKEW_MS)
        return err_set(err, ERR_REFUSED,
                       "it was issued %lld ms in the future by this robot's clock; set the clocks",
                       (long long)(command->issued_ms - now_ms));
    return 0;
}

/* ---- outcomes ---- */

void command_outcome_format(const struct command_outcome *outcome, char *out, size_t out_size)
{
    snprintf(out, out_size,
             "%s %s (command %" PRIu64 ", lease %" PRIu64 ", generation %" PRIu64 ") by %s: %s",
             command_verb_name(outcome->verb), outcome->accepted ? "accepted" : "refused", outcome->id,
             outcome->lease, outcome->generation, outcome->who, outcome->text);
}

/* The number behind `label`, up to `end`; *at moves behind that. */
static bool take_number(const char **at, const char *label, char end, uint64_t *out)
{
    char digits[24];
    if (!str_starts(*at, label))
        return false;
    const char *from = *at + strlen(label), *stop = strchr(from, end);
    if (!stop || (size_t)(stop - from) >= sizeof digits)
        return false;
    memcpy(digits, from, (size_t)(stop - from));
    digits[stop - from] = 0;
    *at = stop + 1;
    return str_to_u64(digits, out);
}

static bool take_verb(const char **at, struct command_outcome *out)
{
    char word[16];
    const char *blank = strchr(*at, ' ');
    if (!blank || (size_t)(blank - *at) >= sizeof word)
        return false;
    memcpy(word, *at, (size_t)(blank - *at));
    word[blank - *at] = 0;
    *at = blank + 1;
    return command_verb_parse(word, &out->verb);
}

static bool take_word(const char **at, const char *word)
{
    if (!str_starts(*at, word))
        return false;
    *at += strlen(word);
    return true;
}

/* Behind ") by ": the rest may be cut anywhere. */
static void take_people(const char *at, struct command_outcome *out)
{
    const char *colon = strstr(at, ": ");
    size_t len = colon ? (size_t)(colon - at) : strlen(at);
    len = MIN(len, sizeof out->who - 1);
    memcpy(out->who, at, len);
    str_copy(out->text, sizeof out->text, colon ? colon + 2 : "");
}

bool command_outcome_parse(const char *text, struct command_outcome *out)
{
    *out = (struct command_outcome){0};
    if (!take_verb(&text, out))
        return false;
    out->accepted = take_word(&text, "accepted (");
    if ((!out->accepted && !take_word(&text, "refused (")) ||
        !take_number(&text, "command ", ',', &out->id) || !take_number(&text, " lease ", ',', &out->lease) ||
        !take_number(&text, " generation ", ')', &out->generation) || !take_word(&text, " by "))
        return false;
    take_people(text, out);
    return true;
}
