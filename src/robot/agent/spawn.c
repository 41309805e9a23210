#include "robot/agent/spawn.h"

#include "sys/proc.h"

#include <signal.h>
#include <stdio.h>

int spawn_runner(const struct spawn_options *options, const struct spawn_job *job, pid_t *out_pid,
                 struct err *err)
{
    struct digest_text release = digest_format(job->release);
    char generation[24];
    snprintf(generation, sizeof generation, "%llu", (unsigned long long)job->generation);
    const char *const serve[] = {
        options->runner, "--run-dir",  options->run_dir, "--store",  options->layout,
        "--release",     release.text, "--generation",   generation, job->low ? "--priority" : NULL,
        "low",           NULL};
    const char *const test[] = {options->runner, "--self-test", "--store", options->layout,
                                "--release",     release.text,  NULL};
    struct proc_options child = {.argv = job->generation ? serve : test,
                                 .log_path = job->log_path,
                                 .detach = job->generation != 0,
                                 .die_with_parent = job->generation == 0,
                                 .keep_fd = -1};
    return proc_spawn(&child, out_pid, err);
}

bool spawn_is(pid_t child, pid_t runner)
{
    return child > 0 && child == runner;
}

void spawn_kill(pid_t child)
{
    if (child > 0)
        kill(child, SIGKILL);
}
