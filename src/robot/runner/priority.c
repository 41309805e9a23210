#include "robot/runner/priority.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct {
    bool known, can_return, low;
    int policy; /* the normal one */
    struct sched_param param;
} the_priority;

static int lower(pid_t thread)
{
    const struct sched_param none = {0};
    return sched_setscheduler(thread, SCHED_IDLE, &none);
}

static int restore(pid_t thread)
{
    return sched_setscheduler(thread, the_priority.policy, &the_priority.param);
}

static void *there_and_back(void *out)
{
    *(bool *)out = lower(0) == 0 && restore(0) == 0;
    return NULL;
}

bool priority_can_return(void)
{
    pthread_t thread;
    if (the_priority.known)
        return the_priority.can_return;
    the_priority.known = true;
    the_priority.policy = sched_getscheduler(0);
    if (the_priority.policy < 0 || sched_getparam(0, &the_priority.param) < 0 ||
        pthread_create(&thread, NULL, there_and_back, &the_priority.can_return) != 0)
        return false;
    pthread_join(thread, NULL);
    return the_priority.can_return;
}

/* A thread that has ended meanwhile, or was never ours to change, is no matter. Without /proc: only this one. */
static void for_all_threads(int (*change)(pid_t thread))
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    uint64_t thread;
    while (tasks && (entry = readdir(tasks)) != NULL)
        if (str_to_u64(entry->d_name, &thread))
            change((pid_t)thread);
    if (tasks)
        closedir(tasks);
    change(0);
}

void priority_lower(void)
{
    if (!priority_can_return() || the_priority.low)
        return;
    for_all_threads(lower);
    the_priority.low = true;
}

void priority_restore(void)
{
    if (!the_priority.low)
        return;
    restore(0); /* first of all the one that is awaited */
    for_all_threads(restore);
    the_priority.low = false;
}

/* "3" or "2-5"; moves *text behind it. */
static bool take_range(const char **text, cpu_set_t *set)
{
    char *end;
    unsigned long first = strtoul(*text, &end, 10), last = first;
    if (end == *text || **text < '0' || **text > '9')
        return false;
    if (*end == '-') {
        const char *from = end + 1;
        last = strtoul(from, &end, 10);
        if (end == from || *from < '0' || *from > '9')
            return false;
    }
    if (first > last || last >= CPU_SETSIZE)
        return false;
    for (unsigned long cpu = first; cpu <= last; cpu++)
        CPU_SET(cpu, set);
    *text = end;
    return true;
}

int priority_pin(const char *cores, struct err *err)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const char *text = cores;
    bool more = true;
    while (more) {
        if (!take_range(&text, &set) || (*text && *text != ','))
            return err_set(err, ERR_INVALID, "cores \"%s\": expected numbers and ranges, as in 0,2-3", cores);
        more = *text++ == ',';
    }
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        return err_set(err, ERR_UNSUPPORTED, "cores \"%s\": this process may use none of them", cores);
    return 0;
}
