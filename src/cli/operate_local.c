/* At the robot itself: the guard's own socket. */
#include "cli/operate.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/output.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/guard_fsm.h"
#include "robot/decide/oversight.h"

#include <inttypes.h>

enum { CALL_MS = 2000 };

static struct ctl_command order_of(const struct operate *operate, enum ctl_verb verb, uint64_t lease)
{
    struct ctl_command order = {.verb = verb, .lease = lease};
    const char *user = getenv("USER");
    if (verb == CTL_VERB_OVERRIDE || verb == CTL_VERB_RENEW)
        order.ttl_ms = (uint32_t)(operate->ttl_s * 1000 + 0.5);
    str_copy(order.who, sizeof order.who, operate->as ? operate->as : user && user[0] ? user : "local");
    str_copy(order.reason, sizeof order.reason, operate->reason);
    return order;
}

/* The lease of whoever stands here: his own, if he says no other. */
static uint64_t local_lease(const struct operate *operate, int guard)
{
    struct ctl_status status;
    struct err ignored = {0};
    if (operate->lease || operate->verb == COMMAND_STOP || operate->verb == COMMAND_OVERRIDE)
        return (uint64_t)operate->lease;
    bool held = ctl_status(guard, CALL_MS, &status, &ignored) == 0 && status.oversight.lease_until_ns != 0 &&
                status.oversight.local;
    return held ? status.oversight.lease : 0;
}

static int tell(const struct operate *operate, int guard, uint64_t lease, struct err *err)
{
    struct ctl_status status;
    if (ctl_status(guard, CALL_MS, &status, err) < 0)
        return -1;
    const char *state = guard_state_name((enum guard_state)status.state);
    if (!operate->json) {
        printf("%s", state);
        if (lease)
            printf("  lease %" PRIu64, lease);
        puts("");
        return 0;
    }
    cleanup_json_writer struct json_writer out;
    jsonw_init_indented(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "verb", command_verb_name(operate->verb));
    jsonw_text(&out, "state", state);
    jsonw_u64(&out, "lease", lease);
    jsonw_close(&out);
    return output_print(&out, err);
}

static int hold_open(const struct operate *operate, int guard, uint64_t lease, struct err *err)
{
    struct err ignored = {0};
    operate_catch_signals();
    fprintf(stderr, "you are in control; ^C releases\n");
    const struct ctl_command renew = order_of(operate, CTL_VERB_RENEW, lease);
    while (operate_sleep_ms((int64_t)(operate->ttl_s * 1000 / 3)))
        if (ctl_command(guard, &renew, CALL_MS, NULL, err) < 0)
            return err_prefix(err, "the lease is lost");
    const struct ctl_command release = order_of(operate, CTL_VERB_RELEASE, lease);
    if (ctl_command(guard, &release, CALL_MS, NULL, err) < 0)
        return -1;
    (void)!tell(operate, guard, 0, &ignored);
    return 0;
}

int operate_local(const struct operate *operate, struct err *err)
{
    cleanup_close int guard = -1;
    enum ctl_verb verb;
    uint64_t lease = 0;
    if (operate->verb == COMMAND_ROLLBACK || !oversight_verb_parse(command_verb_name(operate->verb), &verb))
        return err_set(err, ERR_USAGE, "--local: %s is the agent's; `muster fallback --local` acts at once",
                       command_verb_name(operate->verb));
    if (ctl_connect(operate->run_dir, CTL_ROLE_OPERATOR, &guard, err) < 0)
        return -1;
    const struct ctl_command order = order_of(operate, verb, local_lease(operate, guard));
    if (ctl_command(guard, &order, CALL_MS, verb == CTL_VERB_OVERRIDE ? &lease : NULL, err) < 0)
        return -1;
    if (err->text[0])
        fprintf(stderr, "muster: %s\n", err->text);
    if (tell(operate, guard, lease, err) < 0)
        return -1;
    return operate->hold_open ? hold_open(operate, guard, lease, err) : 0;
}
