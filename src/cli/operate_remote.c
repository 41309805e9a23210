/* From afar: name the robots, sign, send, wait for what they make of it. */
#include "cli/operate.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "trust/command.h"
#include "wire/api.h"
#include "wire/json.h"

#include <inttypes.h>
#include <sys/random.h>

enum { PAGE = 500, LEASE_LOOKUP_MAX = 32, ANSWER_GRACE_MS = 3000, SHORT_CALL_MS = 3000 };

struct tally {
    size_t total, accepted, refused, open, expired;
};

struct person { /* who orders */
    const struct operate *operate;
    struct client *client;
    struct signing_key *key;
    char name[48];
};

struct names { /* of robots */
    size_t count;
    char ids[COMMAND_MAX_ROBOTS][64];
    bool known[COMMAND_MAX_ROBOTS]; /* mark_known: the server has it, and it is not revoked */
    size_t lost_count;              /* a stop does not wait for these: nobody knows them */
    char lost[COMMAND_MAX_ROBOTS][64];
};

/* ---- who ---- */

static int take_name(const struct operate *operate, const char *path, char out[48], struct err *err)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t len = strlen(file) - (str_ends(file, ".key") ? 4 : 0);
    if (operate->as)
        str_copy(out, 48, operate->as);
    else
        snprintf(out, 48, "%.*s", (int)MIN(len, (size_t)47), file);
    if (!str_is_name(out, 47))
        return err_set(err, ERR_USAGE, "\"%s\" is no operator's name; give it with --as NAME", out);
    return 0;
}

static int open_person(const struct operate *operate, struct person *out, struct err *err)
{
    const char *path = operate->key ? operate->key : getenv("MUSTER_OPERATOR_KEY");
    *out = (struct person){.operate = operate};
    if (!path || !path[0])
        return err_set(
            err, ERR_USAGE,
            "no key; give --key FILE or set MUSTER_OPERATOR_KEY (muster keys operator NAME makes one)");
    if (take_name(operate, path, out->name, err) < 0 || signing_key_load(path, &out->key, err) < 0)
        return -1;
    return client_open(&operate->where, &out->client, err);
}

static void close_person(struct person *person)
{
    if (person->client)
        client_free(person->client);
    signing_key_free(person->key);
}
#define cleanup_person __attribute__((cleanup(close_person)))

/* ---- which robots ---- */

static int add_name(struct names *names, const char *id, struct err *err)
{
    if (!str_is_name(id, API_ID_SIZE - 1))
        return err_set(err, ERR_USAGE, "\"%.80s\" is no robot id", id);
    if (names->count == COMMAND_MAX_ROBOTS)
        return err_set(err, ERR_TOO_BIG, "more than %d robots; select fewer", COMMAND_MAX_ROBOTS);
    str_copy(names->ids[names->count++], sizeof names->ids[0], id);
    return 0;
}

static int add_operand(const struct operate *operate, const char *id, struct names *names, struct err *err)
{
    if (operate->verb != COMMAND_STOP || str_is_name(id, API_ID_SIZE - 1))
        return add_name(names, id, err);
    str_copy(names->lost[names->lost_count++], sizeof names->lost[0], id);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int mark_known(struct names *names, const char *id)
{
    const char(*found)[64] = bsearch(id, names->ids, names->count, sizeof names->ids[0], compare_ids);
    if (found)
        names->known[found - (const char(*)[64])names->ids] = true;
    return 0;
}

static bool has_labels(struct json_at robot, const struct option_list *select)
{
    struct json_at labels = json_child(robot, "labels");
    for (size_t i = 0; i < select->count; i++) {
        char key[64], value[64] = "";
        const char *equals = strchr(select->items[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(equals - select->items[i]), select->items[i]);
        if (json_has(labels, key))
            json_get_string(labels, key, value, sizeof value);
        if (!json_has(labels, key) || strcmp(value, equals + 1) != 0)
            return false;
    }
    return true;
}

/* One page of the fleet; after[0] is 0 at its end. `mark`: no robot is added, those that are named already are marked. */
static int select_page(const struct person *person, bool mark, char after[API_ID_SIZE], struct names *names,
                       struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/robots?limit=%d&after=%s", PAGE, after);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    size_t count = 0;
    if (!path)
        return err_no_memory(err);
    if (client_call(person->client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader), list = json_list(root, "robots", PAGE, &count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct json_at robot = json_as_object(json_item(list, i));
        char id[API_ID_SIZE] = "";
        bool revoked = true;
        json_get_name(robot, "id", id, sizeof id);
        json_get_bool(robot, "revoked", &revoked);
        if (!revoked && (mark || has_labels(robot, &person->operate->select)))
            rc = mark ? mark_known(names, id) : add_name(names, id, err);
    }
    after[0] = 0;
    if (json_has(root, "next"))
        json_get_name(root, "next", after, API_ID_SIZE);
    struct err malformed = {0};
    int finished = json_finish(&reader, rc < 0 ? &malformed : err);
    return rc < 0 ? rc : finished;
}

static int select_robots(const struct person *person, struct names *names, struct err *err)
{
    const struct option_list *select = &person->operate->select;
    char after[API_ID_SIZE] = "";
    for (size_t i = 0; i < select->count; i++) {
        const char *equals = strchr(select->items[i], '=');
        if (!equals || equals == select->items[i] || equals - select->items[i] >= 32)
            return err_set(err, ERR_USAGE, "--select %.80s: it wants LABEL=VALUE", select->items[i]);
    }
    do {
        if (select_page(person, false, after, names, err) < 0)
            return -1;
    } while (after[0]);
    return names->count ? 0 : err_set(err, ERR_NOT_FOUND, "no robot has these labels; see muster robot list");
}

/* Drops whom the server does not know from what a stop names. */
static int keep_known(const struct person *person, struct names *names, struct err *err)
{
    char after[API_ID_SIZE] = "";
    size_t kept = 0;
    do {
        if (select_page(person, true, after, names, err) < 0)
            return -1;
    } while (after[0]);
    for (size_t i = 0; i < names->count; i++)
        if (names->known[i])
            memmove(names->ids[kept++], names->ids[i], sizeof names->ids[0]);
        else if (names->lost_count < COMMAND_MAX_ROBOTS)
            memcpy(names->lost[names->lost_count++], names->ids[i], sizeof names->ids[0]);
    names->count = kept;
    return 0;
}

/* Who was not ordered, after all others were. */
static int say_lost(const struct names *names, struct err *err)
{
    char list[160] = "";
    for (size_t i = 0; i < names->lost_count && strlen(list) < sizeof list - 1; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.63s", i ? ", " : "", names->lost[i]);
    return err_set(err, ERR_NOT_FOUND, "NOT STOPPED, not known or revoked: %s; %s", list,
                   names->count ? "all others were ordered" : "nothing was ordered");
}

static int find_robots(const struct person *person, struct names *names, struct err *err)
{
    for (size_t i = 0; i < person->operate->robots.count; i++)
        if (add_operand(person->operate, person->operate->robots.items[i], names, err) < 0)
            return -1;
    if (person->operate->select.count && select_robots(person, names, err) < 0)
        return -1;
    qsort(names->ids, names->count, sizeof names->ids[0], compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++)
        if (kept == 0 || strcmp(names->ids[kept - 1], names->ids[i]) != 0)
            memmove(names->ids[kept++], names->ids[i], sizeof names->ids[0]);
    names->count = kept;
    return 0;
}

/* More than one robot, on a terminal: are these the ones? A stop is never held up. */
static int confirm(const struct operate *operate, const struct names *names, struct err *err)
{
    char answer[16] = "";
    if (names->count < 2 || operate->yes || operate->verb == COMMAND_STOP || !isatty(STDIN_FILENO) ||
        !isatty(STDERR_FILENO))
        return 0;
    fprintf(stderr, "%s %zu robots:", command_verb_name(operate->verb), names->count);
    for (size_t i = 0; i < names->count && i < 12; i++)
        fprintf(stderr, " %s", names->ids[i]);
    fprintf(stderr, "%s? [y/N] ", names->count > 12 ? " …" : "");
    if (!fgets(answer, sizeof answer, stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(err, ERR_REFUSED, "not confirmed; nothing was sent");
    return 0;
}

/* ---- which lease ---- */

/* What stands on the robot, by its newest command that was accepted: our lease, or 0. Sets *out_settled. */
static uint64_t lease_in(struct json_at command, const char *robot, const char *name, bool *out_settled)
{
    char word[16] = "", by[48] = "";
    enum command_verb verb = COMMAND_HOLD;
    size_t count = 0;
    uint64_t lease = 0;
    json_get_string(command, "verb", word, sizeof word);
    json_get_string(command, "operator", by, sizeof by);
    struct json_at list = json_list(command, "robots", COMMAND_MAX_ROBOTS, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        char id[API_ID_SIZE] = "", state[16] = "";
        json_get_string(at, "robot", id, sizeof id);
        json_get_string(at, "state", state, sizeof state);
        if (strcmp(id, robot) != 0 || strcmp(state, "accepted") != 0 || !command_verb_parse(word, &verb) ||
            verb == COMMAND_ROLLBACK)
            continue;
        *out_settled = true;
        if ((verb == COMMAND_OVERRIDE || verb == COMMAND_RENEW) && strcmp(by, name) == 0)
            json_get_u64(at, "lease", INT64_MAX, &lease);
    }
    return lease;
}

static int find_lease(const struct person *person, const char *robot, uint64_t *out, struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/commands?limit=20&robot=%s", robot);
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    size_t count = 0;
    bool settled = false;
    if (!path)
        return err_no_memory(err);
    if (client_call(person->client, "GET", path, NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "commands", 20, &count);
    for (size_t i = 0; i < count && !settled; i++)
        *out = lease_in(json_as_object(json_item(list, i)), robot, person->name, &settled);
    return json_finish(&reader, err);
}

/* ---- one signed command ---- */

static int make_nonce(char out[33], struct err *err)
{
    uint8_t bits[16];
    if (getrandom(bits, sizeof bits, 0) != sizeof bits)
        return err_errno(err, "no random numbers");
    hex_encode(bits, sizeof bits, out);
    return 0;
}

static int send_command(const struct person *person, enum command_verb verb, const char (*robots)[64],
                        size_t count, uint64_t lease, int64_t life_ms, uint64_t *out_id, struct err *err)
{
    const struct operate *operate = person->operate;
    struct command command = {
        .verb = verb, .robot_count = count, .lease = lease, .issued_ms = clock_wall_ms()};
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    command.robots = (char(*)[64])(uintptr_t)robots; /* only read */
    command.expires_ms = command.issued_ms + life_ms;
    if (verb == COMMAND_OVERRIDE || verb == COMMAND_RENEW)
        command.ttl_ms = (uint32_t)(operate->ttl_s * 1000 + 0.5);
    str_copy(command.operator_name, sizeof command.operator_name, person->name);
    str_copy(command.reason, sizeof command.reason, operate->reason);
    if (make_nonce(command.nonce, err) < 0)
        return -1;
    cleanup_free char *envelope = command_sign(&command, person->key, err);
    if (!envelope || client_call(person->client, "POST", "/api/v1/commands", envelope, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    json_get_u64(json_root(&reader), "id", INT64_MAX, out_id);
    return json_finish(&reader, err);
}

/* ---- what became of it ---- */

static void count_state(struct tally *tally, const char *state)
{
    tally->total++;
    if (str_eq(state, "accepted"))
        tally->accepted++;
    else if (str_eq(state, "refused"))
        tally->refused++;
    else if (str_eq(state, "expired"))
        tally->expired++;
    else
        tally->open++;
}

static void print_robot(struct json_at at)
{
    char id[API_ID_SIZE] = "", state[16] = "", text[API_MAX_SUMMARY] = "";
    uint64_t lease = 0;
    json_get_string(at, "robot", id, sizeof id);
    json_get_string(at, "state", state, sizeof state);
    json_get_string(at, "text", text, sizeof text);
    json_get_u64(at, "lease", INT64_MAX, &lease);
    printf("%-16s %s", id, str_eq(state, "queued") || str_eq(state, "delivered") ? "no answer" : state);
    if (lease)
        printf(" lease %" PRIu64, lease);
    printf("%s%s\n", text[0] ? ": " : "", text);
}

/* Asks once. `visit` may be NULL. The first robot's lease goes to *out_lease if that is not NULL. */
static int ask(const struct person *person, uint64_t id, struct tally *tally,
               void (*visit)(struct json_at robot), struct buf *out_answer, uint64_t *out_lease,
               struct err *err)
{
    cleanup_free char *path = mem_printf("/api/v1/commands/%" PRIu64, id);
    struct json_reader reader;
    size_t count = 0;
    buf_reset(out_answer);
    if (!path)
        return err_no_memory(err);
    if (client_call(person->client, "GET", path, NULL, out_answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(out_answer), out_answer->len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "robots", COMMAND_MAX_ROBOTS, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        char state[16] = "";
        json_get_string(at, "state", state, sizeof state);
        count_state(tally, state);
        if (visit)
            visit(at);
        if (i == 0 && out_lease)
            json_get_u64(at, "lease", INT64_MAX, out_lease);
    }
    return json_finish(&reader, err);
}

/* Until every robot has said what it makes of it, or its time is over. */
static int await(const struct person *person, uint64_t id, int64_t until_ms, struct err *err)
{
    for (int64_t pause_ms = 20;; pause_ms = MIN(2 * pause_ms, (int64_t)300)) {
        struct tally tally = {0};
        cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
        if (ask(person, id, &tally, NULL, &answer, NULL, err) < 0)
            return -1;
        progress_show(command_verb_name(person->operate->verb), tally.total - tally.open, tally.total);
        if (tally.open == 0 || clock_mono_ms() >= until_ms || !operate_sleep_ms(pause_ms))
            break;
    }
    progress_clear();
    return 0;
}

struct orders { /* one for all robots without a lease, one for each with one */
    size_t count;
    uint64_t ids[LEASE_LOOKUP_MAX + 1];
};

static int send_all(const struct person *person, struct names *names, struct orders *orders, struct err *err)
{
    const struct operate *operate = person->operate;
    int64_t life_ms = (int64_t)(operate->expires_s * 1000);
    bool ask_lease = operate->verb == COMMAND_RELEASE && names->count <= LEASE_LOOKUP_MAX && !operate->lease;
    size_t rest = 0, leased_count = 0;
    char leased[LEASE_LOOKUP_MAX][64];
    uint64_t leases[LEASE_LOOKUP_MAX];
    if (operate->lease && names->count > 1)
        return err_set(err, ERR_USAGE, "--lease: a lease is one robot's, name only that one");
    for (size_t i = 0; i < names->count; i++) {
        uint64_t lease = (uint64_t)operate->lease;
        if (ask_lease && find_lease(person, names->ids[i], &lease, err) < 0)
            return -1;
        if (lease) {
            memcpy(leased[leased_count], names->ids[i], sizeof leased[0]);
            leases[leased_count++] = lease;
        } else {
            memmove(names->ids[rest++], names->ids[i], sizeof names->ids[0]);
        }
    }
    /* First those of whom the server may not know one: then nothing was ordered. */
    if (rest > 0 && send_command(person, operate->verb, (const char(*)[64])names->ids, rest, 0, life_ms,
                                 &orders->ids[orders->count], err) < 0)
        return -1;
    orders->count += rest > 0;
    for (size_t i = 0; i < leased_count; i++)
        if (send_command(person, operate->verb, (const char(*)[64]) & leased[i], 1, leases[i], life_ms,
                         &orders->ids[orders->count], err) < 0)
            return -1;
        else
            orders->count++;
    return 0;
}

/* A stop is never lost to a name that is wrong: it goes to all others. */
static int order(const struct person *person, struct names *names, struct orders *orders, struct err *err)
{
    if (names->count && send_all(person, names, orders, err) == 0)
        return 0;
    bool unknown = err->code == ERR_NOT_FOUND || err->code == ERR_REFUSED;
    if (person->operate->verb == COMMAND_STOP && unknown && orders->count == 0) {
        struct err refused = *err;
        size_t named = names->count;
        *err = (struct err){0};
        if (keep_known(person, names, err) < 0)
            return -1;
        if (names->count == named)
            return *err = refused, -1;
        if (names->count && send_all(person, names, orders, err) < 0)
            return -1;
    }
    if (names->lost_count && err->code == ERR_NONE)
        return names->count ? 0 : say_lost(names, err);
    return orders->count || err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT
               ? -1
               : err_prefix(err, "nothing was ordered");
}

static int say(const struct person *person, const struct orders *orders, const struct names *names,
               struct tally *tally, struct err *err)
{
    const bool json = person->operate->json;
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_array(&out, "commands");
    for (size_t i = 0; i < orders->count; i++) {
        cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
        if (ask(person, orders->ids[i], tally, json ? NULL : print_robot, &answer, NULL, err) < 0)
            return -1;
        jsonw_raw(&out, NULL, buf_text(&answer));
    }
    jsonw_close(&out);
    jsonw_u64(&out, "accepted", tally->accepted);
    jsonw_u64(&out, "refused", tally->refused);
    jsonw_u64(&out, "unanswered", tally->expired + tally->open);
    jsonw_array(&out, "unknown");
    for (size_t i = 0; i < names->lost_count; i++)
        jsonw_text(&out, NULL, names->lost[i]);
    jsonw_close(&out);
    jsonw_close(&out);
    return json ? output_print(&out, err) : 0;
}

static int status_of(const struct operate *operate, const struct tally *tally)
{
    if (operate->no_wait)
        return 0;
    return tally->refused ? err_exit_status(ERR_REFUSED) : tally->accepted == tally->total ? 0 : 1;
}

/* ---- an override that is held open ---- */

struct leased {
    const char (*robot)[64];
    uint64_t lease;
    int64_t ttl_ms, alive_until_ms; /* as far as we know; monotonic */
    uint64_t renewal;               /* the command that was sent last; 0: settled */
    int64_t renewal_ms;             /* when */
};

/* Whether the last renewal went through. -1: the robot refused it. */
static int look_at_renewal(const struct person *person, struct leased *leased, struct err *err)
{
    struct tally tally = {0};
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct err unreachable = {0};
    if (!leased->renewal || ask(person, leased->renewal, &tally, NULL, &answer, NULL, &unreachable) < 0)
        return 0;
    if (tally.refused)
        return err_set(err, ERR_REFUSED,
                       "the robot refused to renew lease %" PRIu64 "; see muster robot show %s",
                       leased->lease, *leased->robot);
    if (tally.accepted == 0)
        return 0;
    leased->alive_until_ms = leased->renewal_ms + leased->ttl_ms;
    leased->renewal = 0;
    return 0;
}

static void renew(const struct person *person, struct leased *leased, bool *trouble)
{
    struct err err = {0};
    leased->renewal_ms = clock_mono_ms();
    if (send_command(person, COMMAND_RENEW, leased->robot, 1, leased->lease, leased->ttl_ms, &leased->renewal,
                     &err) == 0) {
        *trouble = false;
        return;
    }
    if (!*trouble)
        fprintf(stderr, "the link is lost (%s); if it does not come back the robot stops by itself\n",
                err.text);
    *trouble = true;
    leased->renewal = 0;
}

static int hold_open(const struct person *person, const char (*robot)[64], uint64_t lease, int64_t asked_ms,
                     struct err *err)
{
    int64_t ttl_ms = (int64_t)(person->operate->ttl_s * 1000);
    struct leased leased = {
        .robot = robot, .lease = lease, .ttl_ms = ttl_ms, .alive_until_ms = asked_ms + ttl_ms};
    bool trouble = false;
    uint64_t id = 0;
    fprintf(stderr, "you are in control of %s with lease %" PRIu64 "; ^C releases\n", *robot, lease);
    client_set_timeout(person->client, MIN(MAX(ttl_ms / 3, (int64_t)200), (int64_t)SHORT_CALL_MS));
    do {
        if (look_at_renewal(person, &leased, err) < 0)
            return -1;
        if (clock_mono_ms() >= leased.alive_until_ms)
            return err_set(err, ERR_UNREACHABLE,
                           "lease %" PRIu64 " was not renewed in time: %s stops by itself", lease, *robot);
        renew(person, &leased, &trouble);
    } while (operate_sleep_ms(ttl_ms / 3));
    client_set_timeout(person->client, SHORT_CALL_MS);
    if (send_command(person, COMMAND_RELEASE, robot, 1, lease, 10000, &id, err) < 0)
        return err_prefix(err, "released nothing, %s stops by itself", *robot);
    fprintf(stderr, "released; muster restart %s lets the models answer again\n", *robot);
    return 0;
}

int operate_remote(const struct operate *operate, struct err *err)
{
    cleanup_person struct person person;
    cleanup_free struct names *names = mem_zalloc(1, sizeof *names);
    struct orders orders = {0};
    struct tally tally = {0};
    if (!names)
        return err_no_memory(err);
    if (open_person(operate, &person, err) < 0 || find_robots(&person, names, err) < 0)
        return -1;
    if (operate->hold_open && names->count != 1)
        return err_set(err, ERR_USAGE, "--hold-open: one robot at a time");
    if (confirm(operate, names, err) < 0)
        return -1;
    operate_catch_signals();
    int64_t asked_ms = clock_mono_ms();
    int64_t until_ms = asked_ms + (int64_t)(operate->expires_s * 1000) + ANSWER_GRACE_MS;
    if (order(&person, names, &orders, err) < 0)
        return -1;
    for (size_t i = 0; i < orders.count && !operate->no_wait; i++)
        if (await(&person, orders.ids[i], until_ms, err) < 0)
            return -1;
    if (say(&person, &orders, names, &tally, err) < 0)
        return -1;
    if (names->lost_count)
        return say_lost(names, err);
    int status = status_of(operate, &tally);
    if (status != 0 || !operate->hold_open)
        return status;
    struct tally again = {0};
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    uint64_t lease = 0;
    if (ask(&person, orders.ids[0], &again, NULL, &answer, &lease, err) < 0)
        return -1;
    return hold_open(&person, (const char(*)[64]) & names->ids[0], lease, asked_ms, err);
}
