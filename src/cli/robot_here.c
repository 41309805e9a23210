/* muster robot here: what the guard of this robot says of itself. */
#include "cli/robot_here.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/guard_fsm.h"

#include <inttypes.h>

static const struct ctl_runner_status *runner_of(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

static int64_t lease_left_ms(const struct ctl_status *status)
{
    if (status->oversight.lease_until_ns == 0)
        return 0;
    return MAX((status->oversight.lease_until_ns - clock_mono_ns()) / 1000000, (int64_t)0);
}

static void write_generation(struct json_writer *out, const char *key, const struct ctl_status *status,
                             uint64_t generation)
{
    const struct ctl_runner_status *runner = runner_of(status, generation);
    if (!generation) {
        jsonw_nothing(out, key);
        return;
    }
    jsonw_object(out, key);
    jsonw_u64(out, "generation", generation);
    if (runner) {
        jsonw_digest(out, "release", &runner->release);
        jsonw_boolean(out, "connected", runner->connected);
        jsonw_text(out, "backend", runner->backend);
    }
    jsonw_close(out);
}

static int print_json(const struct ctl_status *status, struct err *err)
{
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "state", guard_state_name((enum guard_state)status->state));
    jsonw_boolean(&out, "latched", status->oversight.latched);
    jsonw_text(&out, "who", status->oversight.who);
    jsonw_text(&out, "reason", status->oversight.reason);
    jsonw_u64(&out, "lease", status->oversight.lease);
    jsonw_i64(&out, "lease_left_ms", lease_left_ms(status));
    jsonw_boolean(&out, "local", status->oversight.local);
    jsonw_boolean(&out, "robot_program", status->client_connected);
    write_generation(&out, "active", status, status->active_generation);
    write_generation(&out, "fallback", status, status->fallback_generation);
    jsonw_u64(&out, "checked", status->checked);
    jsonw_u64(&out, "safe", status->safe);
    jsonw_u64(&out, "overridden", status->overridden);
    jsonw_close(&out);
    return output_print(&out, err);
}

static void print_text(const struct ctl_status *status)
{
    const struct ctl_runner_status *active = runner_of(status, status->active_generation);
    printf("%s%s", guard_state_name((enum guard_state)status->state),
           status->oversight.latched ? ", latched" : "");
    if (status->oversight.who[0])
        printf(", by %s: %s", status->oversight.who, status->oversight.reason);
    puts("");
    if (lease_left_ms(status))
        printf("lease %" PRIu64 "%s, %" PRId64 " ms left\n", status->oversight.lease,
               status->oversight.local ? " (here)" : "", lease_left_ms(status));
    if (active)
        printf("generation %" PRIu64 " %s\n", status->active_generation,
               digest_format(&active->release).text);
}

int robot_here(int argc, char **argv, struct err *err)
{
    const char *run_dir = NULL;
    bool json = false;
    struct operands operands = {.usage = "", .max = 0};
    const struct option_def options[] = {OPT_TEXT("run-dir", 0, &run_dir), OPT_FLAG("json", 0, &json)};
    cleanup_close int guard = -1;
    struct ctl_status status;
    if (options_parse(argc, argv, options, ARRAY_LEN(options), &operands, err) < 0)
        return -1;
    if (!run_dir)
        return err_set(err, ERR_USAGE, "--run-dir DIR is missing: where the guard's socket is");
    if (ctl_connect(run_dir, CTL_ROLE_OPERATOR, &guard, err) < 0 || ctl_status(guard, 2000, &status, err) < 0)
        return -1;
    if (json)
        return print_json(&status, err);
    print_text(&status);
    return 0;
}
