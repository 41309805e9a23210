#include "forge/optimize/apart.h"

#include "base/clock.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 20 };

struct apart { /* shared */
    _Atomic size_t done, total;
    _Atomic unsigned turn; /* counts changes of `what`, odd while it is written */
    char what[64];
    bool failed;
    struct err err;
};

void *apart_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void apart_memory_free(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes);
}

int apart_tell(void *self, const char *what, size_t done, size_t total, struct err *err)
{
    struct apart *apart = self;
    if (strncmp(apart->what, what, sizeof apart->what - 1) != 0) {
        atomic_fetch_add(&apart->turn, 1);
        str_copy(apart->what, sizeof apart->what, what);
        atomic_fetch_add(&apart->turn, 1);
    }
    atomic_store(&apart->total, total);
    atomic_store(&apart->done, done);
    return 0;
}

/* ---- in the child ---- */

static void run_child(const struct apart_job *job, struct apart *apart, pid_t parent, int last_words)
    __attribute__((noreturn));
static void run_child(const struct apart_job *job, struct apart *apart, pid_t parent, int last_words)
{
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    dup2(last_words,
         STDERR_FILENO); /* what a library says before it aborts is part of our line, not one of its own */
#endif
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the parent decides */
    signal(SIGTERM, SIG_DFL);
    struct err err = {0};
    if (job->work(job->work_arg, apart, &err) < 0) {
        apart->err = err;
        apart->failed = true;
    }
    _exit(0);
}

/* ---- in the parent ---- */

static int tell(const struct apart_job *job, struct apart *apart, struct err *err)
{
    char what[sizeof apart->what];
    unsigned before = atomic_load(&apart->turn);
    memcpy(what, apart->what, sizeof what);
    if (!job->progress || before % 2 || atomic_load(&apart->turn) != before)
        return 0; /* next time */
    what[sizeof what - 1] = '\0';
    return job->progress(job->arg, what, atomic_load(&apart->done), atomic_load(&apart->total), err);
}

static void kill_and_reap(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static int await(const struct apart_job *job, struct apart *apart, pid_t pid, int *out_status,
                 struct err *err)
{
    int64_t end_ms = clock_mono_ms() + job->timeout_ms;
    for (;;) {
        pid_t ended = waitpid(pid, out_status, WNOHANG);
        if (ended == pid)
            return 0;
        if (ended < 0 && errno != EINTR)
            return err_errno(err, "waiting for a step");
        int result = tell(job, apart, err);
        if (result == 0 && job->timeout_ms && clock_mono_ms() >= end_ms)
            result = err_set(err, ERR_TIMEOUT, "took longer than %lld s and was stopped",
                             (long long)job->timeout_ms / 1000);
        if (result < 0) {
            kill_and_reap(pid);
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_MS * 1000000L}, NULL);
    }
}

/* The last line that the child wrote; of a long one its end. */
static int tell_death(int signal_number, int words_fd, struct err *err)
{
    enum { SHOWN = 120 };
    char words[4096];
    ssize_t len = 0, more = 0;
    while (len < (ssize_t)sizeof words - 1 &&
           (more = read(words_fd, words + len, sizeof words - 1 - (size_t)len)) > 0)
        len += more;
    while (len > 0 && iscntrl((unsigned char)words[len - 1]))
        len--;
    ssize_t start = len;
    while (start > 0 && len - start < SHOWN && !iscntrl((unsigned char)words[start - 1]))
        start--;
    words[len] = '\0';
    return err_set(err, ERR_REFUSED, "its process died: %s%s%s%s", strsignal(signal_number),
                   len > start ? " (" : "", words + start, len > start ? ")" : "");
}

static int run_with(const struct apart_job *job, struct apart *apart, struct err *err)
{
    int status = 0, words[2];
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, "cannot start a process for the next step");
    cleanup_close int reader = words[0], writer = words[1];
    pid_t parent = getpid();
    malloc_trim(0); /* what is free here is not the child's */
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_child(job, apart, parent, writer);
    if (pid < 0)
        return err_errno(err, "cannot start a process for the next step");
    if (await(job, apart, pid, &status, err) < 0)
        return -1;
    if (WIFSIGNALED(status))
        return tell_death(WTERMSIG(status), reader, err);
    if (apart->failed) {
        *err = apart->err;
        return -1;
    }
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_REFUSED, "its process ended with status %d", WEXITSTATUS(status));
    return tell(job, apart, err);
}

int apart_run(const struct apart_job *job, struct err *err)
{
    struct apart *apart = apart_memory(sizeof *apart);
    if (!apart)
        return err_no_memory(err);
    int result = run_with(job, apart, err);
    apart_memory_free(apart, sizeof *apart);
    return result;
}
