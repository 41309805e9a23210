#include "robot/agent/chore.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ANSWER_FD = 3, NICE = 10 };

struct answer { /* fits into a pipe at once */
    struct err err;
    uint8_t out[CHORE_OUT_BYTES];
};

static _Noreturn void be_child(pid_t parent, int fd, chore_work *work, void *arg)
{
    struct answer answer = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(fd, ANSWER_FD) < 0)
        _exit(1);
    syscall(SYS_close_range, ANSWER_FD + 1, ~0u, 0);
    setpriority(PRIO_PROCESS, 0, NICE);
    if (work(arg, answer.out, &answer.err) == 0)
        answer.err = (struct err){0};
    _exit(write(ANSWER_FD, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

int chore_start(struct chore *chore, chore_work *work, void *arg, struct err *err)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "pipe");
    cleanup_close int read_end = ends[0], write_end = ends[1];
    if (fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, "pipe");
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, "fork");
    if (pid == 0)
        be_child(parent, write_end, work, arg);
    *chore = (struct chore){.pid = pid, .fd = TAKE_FD(read_end)};
    return 0;
}

enum chore_state chore_poll(struct chore *chore, void *out, struct err *err)
{
    struct answer answer;
    ssize_t len = read(chore->fd, &answer, sizeof answer);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return CHORE_RUNNING;
    mem_cleanup_close(&chore->fd);
    *chore = (struct chore){0};
    if (len != (ssize_t)sizeof answer) {
        err_set(err, ERR_IO, "the process that does it ended without an answer");
        return CHORE_FAILED;
    }
    if (answer.err.code != ERR_NONE) {
        *err = answer.err;
        return CHORE_FAILED;
    }
    if (out)
        memcpy(out, answer.out, sizeof answer.out);
    return CHORE_DONE;
}

void chore_cancel(struct chore *chore)
{
    if (chore->pid == 0)
        return;
    kill(chore->pid, SIGKILL);
    mem_cleanup_close(&chore->fd);
    *chore = (struct chore){0};
}
