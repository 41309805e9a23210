/* What the tests of the agent share: the real muster-agent on a robot from the box, against a fleet server that misbehaves (fake_fleet.h,
 * fake_trust.h) and a guard and runners that are played (fake_robot.c). One robot per process; included once. */
#ifndef MUSTER_ROBOT_AGENT_AGENT_TESTING_H
#define MUSTER_ROBOT_AGENT_AGENT_TESTING_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/agent/fake_fleet.h"
#include "robot/agent/fake_trust.h"
#include "robot/ctl/busy.h"
#include "robot/ctl/ctl.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 30000 };

static char base[] = "/tmp/muster-agent-XXXXXX";
static char state_dir[64], run_dir[64], script_dir[64], root_file[64], token_path[64], url[64];
static const char *machine; /* NULL: this one */
static const char *model_memory = "0", *probation = "200", *metadata_ms = "600000", *update_battery = "0";
static pid_t agent;

/* The agent. */

static inline void start_agent(void)
{
    struct err err = {0};
    char log[96], ca[96];
    snprintf(log, sizeof log, "%s/agent.log", base);
    snprintf(ca, sizeof ca, "%s/ca/ca.pem", base);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-agent",
                                "--state-dir",
                                state_dir,
                                "--run-dir",
                                run_dir,
                                "--server",
                                url,
                                "--enroll-url",
                                url,
                                "--enroll-token-file",
                                token_path,
                                "--ca",
                                ca,
                                "--root",
                                root_file,
                                "--metadata-ms",
                                metadata_ms,
                                "--robot",
                                "r1",
                                "--runner",
                                AGENT_FAKE,
                                "--guard",
                                AGENT_FAKE,
                                "--isolation",
                                "none", /* the fake needs its script, and is no model */
                                "--no-watch",
                                "--recorder-memory-mib",
                                "0", /* the fake guard streams nothing */
                                "--telemetry-ms",
                                "100",
                                "--probation-ms",
                                probation,
                                "--shadow-wait-ms",
                                "500",
                                "--update-battery",
                                update_battery,
                                "--board-root",
                                base,
                                "--model-memory-mib",
                                model_memory,
                                "--min-frames",
                                "60",
                                "--poll-wait-s",
                                "1",
                                "--stall-s",
                                "1",
                                "--max-runner-losses",
                                "1000",
                                "--machine",
                                machine ? machine : "x86_64",
                                NULL};
    struct proc_options options = {.argv = argv, .log_path = log, .die_with_parent = true, .keep_fd = -1};
    assert_ok(proc_spawn(&options, &agent, &err), err);
}

static inline void end_agent(int signal_number)
{
    int status;
    if (agent <= 0)
        return;
    kill(agent, signal_number);
    assert_int_equal(waitpid(agent, &status, 0), agent);
    agent = 0;
    if (signal_number == SIGTERM)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline void show_log(void)
{
    struct err err = {0};
    char path[96];
    cleanup_buf struct buf text = BUF_INIT(1 << 22);
    snprintf(path, sizeof path, "%s/agent.log", base);
    if (file_read(path, &text, &err) == 0)
        fprintf(stderr, "%s\n", buf_text(&text) + (text.len > 6000 ? text.len - 6000 : 0));
}

#define wait_for(condition)                                                                                  \
    do {                                                                                                     \
        int64_t until_ms_ = clock_mono_ms() + PATIENCE_MS;                                                   \
        while (!(condition)) {                                                                               \
            if (clock_mono_ms() > until_ms_) {                                                               \
                show_log();                                                                                  \
                fail_msg("never: %s", #condition);                                                           \
            }                                                                                                \
            usleep(10000);                                                                                   \
        }                                                                                                    \
    } while (0)

/* The robot. */

static inline bool guard_status(struct ctl_status *out)
{
    struct err err = {0};
    cleanup_close int fd = -1;
    return ctl_connect(run_dir, CTL_ROLE_AGENT, &fd, &err) == 0 && ctl_status(fd, 1000, out, &err) == 0;
}

static inline const struct ctl_runner_status *runner(const struct ctl_status *status, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (status->runners[i].generation == generation)
            return &status->runners[i];
    return NULL;
}

static inline bool answers(const struct made *release)
{
    struct ctl_status status;
    if (!guard_status(&status))
        return false;
    const struct ctl_runner_status *active = runner(&status, status.active_generation);
    if (!release)
        return !active;
    return active && active->connected && digest_equal(&active->release, &release->digest);
}

static inline bool falls_back_to(const struct made *release)
{
    struct ctl_status status;
    if (!guard_status(&status))
        return false;
    const struct ctl_runner_status *spare = runner(&status, status.fallback_generation);
    return spare && digest_equal(&spare->release, &release->digest);
}

static inline void kill_one(bool guard)
{
    struct ctl_status status;
    struct err err = {0};
    cleanup_close int fd = -1;
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (ctl_connect(run_dir, CTL_ROLE_AGENT, &fd, &err) < 0 || ctl_status(fd, 1000, &status, &err) < 0)
        return;
    const struct ctl_runner_status *active = runner(&status, status.active_generation);
    if (guard && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        kill(peer.pid, SIGKILL);
    else if (active && active->pid > 1)
        kill(active->pid, SIGKILL);
}

static inline void script(const struct made *release, const char *words)
{
    struct err err = {0};
    struct digest_text text = digest_format(&release->digest);
    cleanup_free char *path = file_join(script_dir, digest_hex(&text));
    assert_ok(file_replace(path, words, strlen(words), 0600, &err), err);
}

static inline void expect_text(enum report_kind kind, const struct made *release, const char *part)
{
    char text[API_MAX_SUMMARY];
    fleet_report_text(kind, &release->digest, text);
    if (!strstr(text, part))
        fail_msg("%s: \"%s\" does not say \"%s\"", report_kind_name(kind), text, part);
}

static inline void install(const struct made *release)
{
    unsigned before = fleet_reports(REPORT_COMMITTED, &release->digest);
    trust_want(release, false);
    wait_for(fleet_reports(REPORT_COMMITTED, &release->digest) > before);
    wait_for(answers(release));
}

/* A robot from the box, and back into it. */

static inline int unbox(void **state)
{
    struct err err = {0};
    machine = NULL;
    model_memory = "0";
    probation = "200";
    metadata_ms = "600000";
    update_battery = "0";
    trust_start(root_file);
    assert_ok(file_make_dirs(run_dir, 0700, &err), err);
    assert_ok(file_make_dirs(script_dir, 0700, &err), err);
    assert_ok(file_replace(token_path, "good-token\n", 11, 0600, &err), err);
    start_agent();
    return 0;
}

static inline int box(void **state)
{
    struct err err = {0};
    end_agent(SIGTERM);
    const char *const argv[] = {MUSTER_BUILD_BIN "/muster-agent", "--stop", "--run-dir", run_dir, NULL};
    int status;
    assert_ok(proc_run(argv, 10000, NULL, &status, &err), err);
    struct ctl_status ignored;
    wait_for(!guard_status(&ignored));
    assert_ok(file_remove_tree(state_dir, &err), err);
    assert_ok(file_remove_tree(run_dir, &err), err);
    assert_ok(file_remove_tree(script_dir, &err), err);
    trust_stop();
    assert_false(fleet_saw_a_gap());
    return 0;
}

static inline int set_up(void **state)
{
    assert_non_null(mkdtemp(base));
    snprintf(state_dir, sizeof state_dir, "%s/state", base);
    snprintf(run_dir, sizeof run_dir, "%s/run", base);
    snprintf(script_dir, sizeof script_dir, "%s/script", base);
    snprintf(root_file, sizeof root_file, "%s/root.json", base);
    snprintf(token_path, sizeof token_path, "%s/token", base);
    setenv("MUSTER_FAKE_SCRIPT", script_dir, 1);
    fleet_start(base);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fleet_port());
    return 0;
}

static inline int tear_down(void **state)
{
    struct err err = {0};
    fleet_stop();
    assert_ok(file_remove_tree(base, &err), err);
    return 0;
}

#endif
