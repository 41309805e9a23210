#include "robot/agent/director_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "sys/hash.h"
#include "trust/rule.h"

#include <sys/random.h>

enum { POLL_GRACE_MS = 20000, PLAN_MS = 300000, QUESTION_MS = 500, QUESTIONS_AT_ONCE = 32 };

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

int director_new(const struct director_options *options, struct director **out, struct err *err)
{
    struct director *director = mem_zalloc(1, sizeof *director);
    if (!director)
        return err_no_memory(err);
    director->options = *options;
    director->link = (struct backoff){.min_ms = 200, .max_ms = 5000};
    director->pace = (struct backoff){.min_ms = 500, .max_ms = 60000};
    director->retry = (struct backoff){.min_ms = 5000, .max_ms = 300000};
    director->plan = (struct buf)BUF_INIT(PLAN_MAX_BYTES + 1);
    refusals_init(&director->refusals, &store_state(options->store)->trust.refused, clock_mono_ms());
    *out = director;
    return 0;
}

void director_free(struct director *director)
{
    if (!director)
        return;
    if (director->transfer)
        fetch_cancel(director->options.fetch, director->transfer);
    anchor_forget(director->options.anchor);
    assignment_envelope_fini(&director->envelope);
    director_answer_fini(&director->answer);
    buf_fini(&director->plan);
    free(director);
}

/* ---- refusals ---- */

static void say(struct director *director, const struct err *err, const struct assignment *of,
                unsigned untold)
{
    struct api_report report = {.kind = REPORT_FAILED};
    char name[64], more[40] = "";
    if (untold)
        snprintf(more, sizeof more, " (and %u more refusals)", untold);
    if (of) {
        report.release = of->release;
        (void)assignment_path_split(of->path, name, report.version);
    }
    snprintf(report.text, sizeof report.text, "%.*s%s", (int)(sizeof report.text - sizeof more), err->text,
             more);
    log_error("%s", err->text);
    director->options.report(&report, director->options.arg);
}

/* So that the next agent does not say it again. That it cannot be kept costs one more report. */
static void remember(struct director *director, const struct digest *key)
{
    struct robot_state state = *store_state(director->options.store);
    struct err err = {0};
    state.trust.refused = *key;
    if (store_save(director->options.store, &state, &err) < 0)
        log_warn("state: %s", err.text);
}

/* An error without a rule is named by its text. */
static struct digest key_of(const struct err *err, const struct digest *what)
{
    cleanup_hash struct hash *hash = hash_new();
    enum trust_rule rule = trust_rule_of(err->text);
    const char *name = rule ? trust_rule_name(rule) : err->text;
    if (!hash)
        return *what;
    hash_update(hash, name, strlen(name));
    hash_update(hash, what->bytes, sizeof what->bytes);
    return hash_finish(hash);
}

void director_refuse(struct director *director, const struct err *err, const struct digest *what,
                     const struct assignment *of)
{
    unsigned untold = 0;
    struct digest key = key_of(err, what);
    if (refusals_is_new(&director->refusals, &key, clock_mono_ms(), &untold)) {
        say(director, err, of, untold);
        remember(director, &key);
    }
}

static const struct digest the_chain; /* no assignment */

void director_chain_well(struct director *director)
{
    if (!digest_is_zero(&director->chain_refused))
        refusals_forget(&director->refusals, &director->chain_refused);
    director->chain_refused = the_chain;
}

void director_chain_updated(struct director *director, const struct err *err)
{
    if (!err) {
        director_chain_well(director);
        backoff_reset(&director->retry);
        director->afresh = true;
        return;
    }
    director_refuse(director, err, &the_chain, NULL);
    director->chain_refused = key_of(err, &the_chain);
}

/* ---- stages ---- */

void director_settle(struct director *director)
{
    director->stage = DIRECTOR_SETTLED;
    backoff_reset(&director->retry);
    backoff_reset(&director->pace);
    buf_fini(&director->plan);
}

void director_unsettle(struct director *director)
{
    int64_t now_ms = clock_mono_ms();
    director->stage = DIRECTOR_UNSETTLED;
    backoff_failed(&director->retry, now_ms, random_bits());
    backoff_failed(&director->pace, now_ms, random_bits());
    buf_fini(&director->plan);
}

/* Nothing that is wrong with the way or with this machine refuses anything. */
void director_later(struct director *director, const struct err *err)
{
    if (director->troubled != err->code)
        log_warn("assignment: %s; trying again", err->text);
    director->troubled = err->code;
    director_unsettle(director);
}

void director_chain_failed(struct director *director, const struct err *err)
{
    if (trust_rule_of(err->text) == TRUST_RULE_NONE) {
        director_later(director, err);
        return;
    }
    director_chain_updated(director, err);
    director_unsettle(director);
}

static void seek(struct director *director)
{
    anchor_seek(director->options.anchor, director->envelope.assignment.path, director_judge, director);
}

static void on_plan(const struct fetch_response *response, void *arg)
{
    struct director *director = arg;
    struct err err = {0};
    director->transfer = 0;
    director->has_plan = response->err.code == ERR_NONE;
    bool refused = response->err.code == ERR_NOT_FOUND || response->err.code == ERR_TOO_BIG;
    if (!director->has_plan && !refused)
        director_later(director, &response->err);
    else if (director->has_plan &&
             buf_put(&director->plan, response->body.data, response->body.len, &err) < 0)
        director_later(director, &err);
    else
        seek(director);
}

static int fetch_plan(struct director *director, struct err *err)
{
    const struct director_options *options = &director->options;
    struct digest_text digest = digest_format(&director->envelope.assignment.plan);
    cleanup_free char *url = mem_printf("%s/api/v1/blobs/%s", options->server, digest.text);
    struct fetch_request request = {
        .method = "GET", .url = url, .max_bytes = PLAN_MAX_BYTES, .timeout_ms = PLAN_MS};
    if (!url)
        return err_no_memory(err);
    return fetch_start(options->fetch, &request, on_plan, director, &director->transfer, err);
}

/* Only what may have to be installed needs its plan. */
static bool needs_plan(const struct director *director)
{
    const struct assignment *assignment = &director->envelope.assignment;
    return !digest_is_zero(&assignment->plan) &&
           !director_is_admitted(store_state(director->options.store), assignment);
}

static void begin(struct director *director)
{
    struct err err = {0}, why = {0};
    const char *text = director->answer.assignment;
    director->stage = DIRECTOR_JUDGING;
    director->has_plan = false;
    assignment_envelope_fini(&director->envelope);
    if (assignment_parse(text, strlen(text), &director->envelope, &why) < 0) {
        trust_refuse(&err, TRUST_ASSIGNMENT_FORM, "%s", why.text);
        director_refuse(director, &err, &director->key, NULL);
        director_unsettle(director);
    } else if (!needs_plan(director)) {
        seek(director);
    } else if (fetch_plan(director, &err) < 0) {
        director_later(director, &err);
    }
}

/* ---- the question ---- */

/* Logs each new kind of trouble once. True if all is well. */
static bool well(struct director *director, const struct err *err)
{
    if (err->code != ERR_NONE) {
        if (director->complained != err->code)
            log_warn("director: %s", err->text);
        director->complained = err->code;
        backoff_failed(&director->link, clock_mono_ms(), random_bits());
        return false;
    }
    if (director->complained != ERR_NONE)
        log_info("director: works again");
    director->complained = ERR_NONE;
    backoff_reset(&director->link);
    return true;
}

static void take_answer(struct director *director, const void *text, size_t len)
{
    struct err err = {0}, why = {0};
    struct digest key = hash_bytes(text, len);
    bool same = digest_equal(&key, &director->key);
    int64_t now_ms = clock_mono_ms();
    if (same && director->stage == DIRECTOR_SETTLED)
        return;
    if (same && !backoff_ready(&director->retry, now_ms)) {
        backoff_failed(&director->pace, now_ms, random_bits());
        return;
    }
    if (!same) {
        backoff_reset(&director->retry);
        backoff_reset(&director->pace);
    }
    director->key = key;
    director->heard = director->heard && same;
    director_answer_fini(&director->answer);
    if (director_answer_parse(text, len, &director->answer, &why) == 0) {
        begin(director);
        return;
    }
    trust_refuse(&err, TRUST_ASSIGNMENT_FORM, "%s", why.text);
    director_refuse(director, &err, &key, NULL);
    director_unsettle(director);
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct director *director = arg;
    director->transfer = 0;
    if (well(director, &response->err) && response->status == 200)
        take_answer(director, response->body.data, response->body.len);
}

static void ask(struct director *director)
{
    const struct director_options *options = &director->options;
    const struct robot_trust *trust = &store_state(options->store)->trust;
    struct err err = {0};
    int64_t now_ms = clock_mono_ms();
    bool again =
        director->afresh || (director->stage != DIRECTOR_SETTLED && backoff_ready(&director->pace, now_ms));
    director->afresh = false;
    director->owed_ms = MAX(director->owed_ms, now_ms) + QUESTION_MS;
    cleanup_free char *url =
        mem_printf("%s/api/v1/director?after=%llu&wait=%lld", options->server,
                   again ? 0ull : (unsigned long long)trust->accepted, (long long)options->poll_wait_s);
    struct fetch_request request = {.method = "GET",
                                    .url = url,
                                    .max_bytes = DIRECTOR_MAX_BYTES,
                                    .timeout_ms = options->poll_wait_s * 1000 + POLL_GRACE_MS,
                                    .stall_s = (int)options->poll_wait_s + 15};
    if (!url)
        err_no_memory(&err);
    else if (fetch_start(options->fetch, &request, on_answer, director, &director->transfer, &err) == 0)
        return;
    director->transfer = 0;
    well(director, &err);
}

static bool is_idle(const struct director *director)
{
    return director->transfer == 0 && director->stage != DIRECTOR_JUDGING;
}

static int64_t may_ask_ms(const struct director *director)
{
    int64_t way_ms =
        MAX(director->link.until_ms, director->owed_ms - (int64_t)QUESTIONS_AT_ONCE * QUESTION_MS);
    return director->heard ? way_ms : MAX(way_ms, director->pace.until_ms);
}

void director_tick(struct director *director, int64_t now_ms)
{
    if (is_idle(director) && now_ms >= may_ask_ms(director))
        ask(director);
}

int64_t director_next_ms(const struct director *director)
{
    return is_idle(director) ? may_ask_ms(director) : INT64_MAX;
}
