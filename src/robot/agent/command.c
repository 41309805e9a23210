#include "robot/agent/command_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/decide/oversight.h"
#include "sys/file.h"
#include "trust/command.h"

enum { CALL_MS = 500 };

int commands_new(const struct commands_options *options, struct commands **out, struct err *err)
{
    cleanup_commands struct commands *commands = mem_zalloc(1, sizeof *commands);
    cleanup_free char *path = store_path(options->store, "commands.json");
    if (!commands || !path)
        return err_no_memory(err);
    commands->options = *options;
    commands->backoff = (struct backoff){.min_ms = 200, .max_ms = 5000};
    seen_book_open(&commands->seen, options->run_dir);
    if (command_memory_open(path, clock_wall_ms(), &commands->memory, err) < 0)
        return -1;
    *out = TAKE_PTR(commands);
    return 0;
}

void commands_free(struct commands *commands)
{
    if (!commands)
        return;
    if (commands->transfer)
        fetch_cancel(commands->options.fetch, commands->transfer);
    command_memory_free(commands->memory);
    free(commands);
}

/* ---- the guard ---- */

static bool to_guard(enum command_verb verb, uint32_t *out)
{
    static const enum ctl_verb verbs[COMMAND_VERB_COUNT] = {
        [COMMAND_HOLD] = CTL_VERB_HOLD,         [COMMAND_RELEASE] = CTL_VERB_RELEASE,
        [COMMAND_OVERRIDE] = CTL_VERB_OVERRIDE, [COMMAND_RENEW] = CTL_VERB_RENEW,
        [COMMAND_FALLBACK] = CTL_VERB_FALLBACK, [COMMAND_STOP] = CTL_VERB_STOP,
        [COMMAND_RESET] = CTL_VERB_RESET,       [COMMAND_RESTART] = CTL_VERB_RESTART,
        [COMMAND_SERVICE] = CTL_VERB_SERVICE,
    };
    *out = verbs[verb];
    return *out != 0;
}

static struct ctl_command order_of(uint32_t verb, const char *who, const char *reason)
{
    struct ctl_command order = {.verb = verb};
    str_copy(order.who, sizeof order.who, who);
    str_copy(order.reason, sizeof order.reason, reason);
    return order;
}

static const struct ctl_runner_status *runner_of(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

static struct answering answering(const struct ctl_status *status)
{
    struct answering out = {0};
    if (status->state == GUARD_FALLBACK || status->state == GUARD_FORCED)
        out.generation = status->fallback_generation;
    else if (status->state == GUARD_AUTO || status->state == GUARD_DEGRADED)
        out.generation = status->active_generation;
    const struct ctl_runner_status *runner = runner_of(status, out.generation);
    if (runner)
        out.release = runner->release;
    return out;
}

/* ---- rollback ---- */

static bool is_hot(const struct ctl_status *status, const struct install_slot *slot)
{
    const struct ctl_runner_status *runner = runner_of(status, slot->generation);
    return runner && runner->connected && runner->admitted && digest_equal(&runner->release, &slot->release);
}

static bool has_fallback(const struct ctl_status *status)
{
    const struct ctl_runner_status *runner = runner_of(status, status->fallback_generation);
    return runner && runner->connected && runner->admitted;
}

/* Until the previous release is loaded the fallback answers, if the guard is the one who decides now. Returns who answers
 * meanwhile; NULL: what was decided stays. */
static const char *bridge(struct commands *commands, int guard, const struct ctl_status *status,
                          const char *who)
{
    struct err err = {0};
    struct ctl_command order = order_of(CTL_VERB_FALLBACK, who, "until the previous release is loaded");
    if (status->state > GUARD_FALLBACK) /* a human or a latch stands above already */
        return NULL;
    if (command_memory_set_rolling(commands->memory, who, &err) < 0 ||
        ctl_command(guard, &order, CALL_MS, NULL, &err) < 0) {
        log_warn("rollback: %s; what runs answers until the previous release is loaded", err.text);
        return "what ran before";
    }
    return has_fallback(status) ? "the fallback" : "the safe state";
}

static int roll_back(struct commands *commands, int guard, const struct ctl_status *status,
                     const struct command *command, struct command_outcome *out, struct err *err)
{
    const struct install_slot previous = store_state(commands->options.store)->install.previous;
    bool hot = is_hot(status, &previous);
    if (commands->options.roll_back(command->operator_name, commands->options.arg, err) < 0)
        return -1;
    const char *meanwhile = hot ? NULL : bridge(commands, guard, status, command->operator_name);
    if (meanwhile)
        snprintf(out->text, sizeof out->text, "%s answers until %.32s is loaded", meanwhile,
                 previous.version);
    return 0;
}

/* Who orders the fallback now means it: his word is not taken back when the rollback of another is done. */
static void adopt_bridge(struct commands *commands, uint32_t verb)
{
    struct err err = {0};
    if (verb == CTL_VERB_FALLBACK && command_memory_rolling(commands->memory)[0] &&
        command_memory_set_rolling(commands->memory, "", &err) < 0)
        log_warn("rollback: %s", err.text);
}

/* The previous release is there: what bridged the gap ends. */
static void end_bridge(struct commands *commands, const struct ctl_status *status)
{
    struct err err = {0};
    cleanup_close int guard = -1;
    const char *who = command_memory_rolling(commands->memory);
    const struct install_slot *current = &store_state(commands->options.store)->install.current;
    if (!who[0] || status->active_generation != current->generation || !is_hot(status, current))
        return;
    struct ctl_command order = order_of(CTL_VERB_RELEASE, who, "the previous release is loaded");
    if (status->state == GUARD_FORCED &&
        (ctl_connect(commands->options.run_dir, CTL_ROLE_AGENT, &guard, &err) < 0 ||
         ctl_command(guard, &order, CALL_MS, NULL, &err) < 0)) {
        log_warn("rollback: %s", err.text);
        if (err.code == ERR_UNREACHABLE || err.code == ERR_TIMEOUT)
            return; /* again */
    }
    if (command_memory_set_rolling(commands->memory, "", &err) < 0)
        log_warn("rollback: %s", err.text);
}

/* ---- one command ---- */

/* Does not wait for WELCOME: a guard that does not take us hangs up. */
static int dial(const struct commands *commands, int *out_fd, struct err *err)
{
    struct ctl_message hello;
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_AGENT;
    if (ctl_dial(commands->options.run_dir, out_fd, err) < 0)
        return -1;
    return ctl_send(*out_fd, &hello, NULL, err);
}

static int give(struct commands *commands, int guard, const struct command *command, uint32_t verb,
                struct command_outcome *out, struct err *err)
{
    struct ctl_command order = order_of(verb, command->operator_name, command->reason);
    order.lease = command->lease;
    order.ttl_ms = command->ttl_ms;
    out->lease = command->verb == COMMAND_RENEW ? command->lease : 0;
    if (ctl_command(guard, &order, CALL_MS, command->verb == COMMAND_OVERRIDE ? &out->lease : NULL, err) < 0)
        return -1;
    adopt_bridge(commands, verb);
    return 0;
}

/* *out: what to report, its text what there is to say beside the reason; *out_release: whose output stood back. */
static int carry_out(struct commands *commands, const struct command *command, struct command_outcome *out,
                     struct digest *out_release, struct err *err)
{
    cleanup_close int guard = -1;
    struct ctl_status status;
    uint32_t verb;
    bool for_guard = to_guard(command->verb, &verb);
    if (dial(commands, &guard, err) < 0)
        return -1;
    if (command->verb != COMMAND_STOP && ctl_status(guard, CALL_MS, &status, err) < 0)
        return -1;
    const struct answering stands_back = command->verb == COMMAND_STOP ? commands->last : answering(&status);
    out->generation = stands_back.generation;
    *out_release = stands_back.release;
    return for_guard ? give(commands, guard, command, verb, out, err)
                     : roll_back(commands, guard, &status, command, out, err);
}

static int check(const struct commands *commands, const struct command *command, struct err *err)
{
    if (!command_names(command, commands->options.robot))
        return err_set(err, ERR_REFUSED, "it does not name this robot (%s)", commands->options.robot);
    if (command_timely(command, clock_wall_ms(), err) < 0)
        return -1;
    return command_memory_check(commands->memory, command, err);
}

static int obey(struct commands *commands, const struct command *command, struct command_outcome *out,
                struct digest *out_release, struct err *err)
{
    bool stop = command->verb == COMMAND_STOP;
    struct err forgotten = {0};
    if (check(commands, command, err) < 0)
        return -1;
    if (!stop && command_memory_add(commands->memory, command, clock_wall_ms(), err) < 0)
        return err_prefix(err, "it cannot be remembered");
    int rc = carry_out(commands, command, out, out_release, err);
    if (stop && command_memory_add(commands->memory, command, clock_wall_ms(), &forgotten) < 0)
        log_warn("commands: %s", forgotten.text);
    return rc;
}

void command_report(struct commands *commands, const struct command_outcome *outcome,
                    const struct digest *release)
{
    struct api_report out = {.kind = REPORT_OPERATOR, .release = *release};
    command_outcome_format(outcome, out.text, sizeof out.text);
    if (outcome->verb != COMMAND_RENEW || !outcome->accepted)
        log_info("%s", out.text);
    commands->options.report(&out, commands->options.arg);
}

/* On failure *out still says what the command claims to be, if it is one: that goes into the report. */
static int open_command(struct commands *commands, const void *text, size_t len, struct command *out,
                        struct err *err)
{
    cleanup_envelope struct envelope envelope = {0};
    cleanup_free struct keyring *ring = mem_zalloc(1, sizeof *ring);
    if (!ring)
        return err_no_memory(err);
    struct err keys = {0};
    bool no_keys = anchor_operators(commands->options.anchor, ring, &keys) < 0;
    if (command_envelope_parse(text, len, &envelope, err) < 0)
        return -1;
    if (command_open(&envelope, ring, out, err) == 0)
        return 0;
    if (no_keys && err->code == ERR_UNTRUSTED)
        return err_set(err, ERR_UNTRUSTED, "no operators' keyring: %.110s; give the robot operators.json",
                       keys.text);
    return -1;
}

/* What happens comes first: a line may be cut at its end. */
static void set_text(struct command_outcome *outcome, const char *words)
{
    char said[sizeof outcome->text];
    str_copy(said, sizeof said, outcome->accepted ? outcome->text : "");
    snprintf(outcome->text, sizeof outcome->text, "%s%s%s", said, said[0] ? "; " : "", words);
}

void command_take(struct commands *commands, uint64_t id, const char *envelope)
{
    struct err err = {0};
    cleanup_command struct command command = {0};
    struct digest release = {0};
    struct command_outcome outcome = {.id = id, .who = "nobody"};
    bool opened = open_command(commands, envelope, strlen(envelope), &command, &err) == 0;
    outcome.verb = command.verb;
    if (command.operator_name[0])
        str_copy(outcome.who, sizeof outcome.who, command.operator_name);
    outcome.accepted = opened && obey(commands, &command, &outcome, &release, &err) == 0;
    if (!outcome.accepted)
        outcome.lease = 0;
    set_text(&outcome, outcome.accepted ? command.reason : err.text);
    command_report(commands, &outcome, &release);
}

void commands_tick(struct commands *commands, const struct ctl_status *status, int64_t now_ms)
{
    if (status) {
        commands->last = answering(status);
        end_bridge(commands, status);
    }
    if (commands->transfer == 0 && backoff_ready(&commands->backoff, now_ms))
        command_ask(commands);
}

int64_t commands_next_ms(const struct commands *commands)
{
    return commands->transfer ? INT64_MAX : commands->backoff.until_ms;
}

/* ---- at the robot itself ---- */

bool commands_local_outcome(const struct ctl_message *notice, char *out, size_t out_size)
{
    const struct ctl_command *command = &notice->command;
    struct command_outcome outcome = {
        .accepted = notice->result == 0, .generation = notice->generation, .lease = command->lease};
    if (notice->notice != CTL_NOTICE_COMMAND || !notice->count ||
        !command_verb_parse(oversight_verb_name((enum ctl_verb)command->verb), &outcome.verb))
        return false;
    str_copy(outcome.who, sizeof outcome.who, command->who);
    str_copy(outcome.text, sizeof outcome.text, outcome.accepted ? command->reason : notice->text);
    command_outcome_format(&outcome, out, out_size);
    return true;
}
