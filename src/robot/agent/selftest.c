#include "robot/agent/selftest.h"

#include "base/mem.h"
#include "robot/agent/lastline.h"

#include <signal.h>
#include <sys/wait.h>

int selftest_start(struct selftest *test, const struct spawn_options *spawn, const struct digest *release,
                   int64_t until_ms, struct err *err)
{
    *test = (struct selftest){.until_ms = until_ms};
    snprintf(test->log, sizeof test->log, "%s/self-test.log", spawn->run_dir);
    unlink(test->log);
    struct spawn_job job = {.release = release, .log_path = test->log};
    return spawn_runner(spawn, &job, &test->pid, err);
}

bool selftest_reaped(struct selftest *test, pid_t pid, int status)
{
    if (test->pid != pid || pid == 0)
        return false;
    test->pid = 0;
    test->ended = true;
    test->status = status;
    return true;
}

static int judge(const struct selftest *test, struct err *err)
{
    enum { EXIT_REFUSED = 3 };
    char words[160];
    if (test->late)
        return err_set(err, ERR_REFUSED, "the self-test took too long and was ended");
    if (WIFEXITED(test->status) && WEXITSTATUS(test->status) == 0)
        return 1;
    last_line(test->log, words, sizeof words);
    if (WIFSIGNALED(test->status))
        return err_set(err, ERR_BUSY, "the self-test died of signal %d", WTERMSIG(test->status));
    bool refused = WEXITSTATUS(test->status) == EXIT_REFUSED;
    return err_set(err, refused ? ERR_REFUSED : ERR_BUSY, "%s", words[0] ? words : "the self-test failed");
}

int selftest_result(struct selftest *test, int64_t now_ms, struct err *err)
{
    if (test->ended)
        return judge(test, err);
    if (now_ms >= test->until_ms && !test->late) {
        test->late = true;
        spawn_kill(test->pid);
    }
    return 0;
}

void selftest_cancel(struct selftest *test)
{
    spawn_kill(test->pid);
    test->ended = false;
}
