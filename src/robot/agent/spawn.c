#include "robot/agent/spawn.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "release/engine.h"
#include "robot/jail/door.h"
#include "robot/jail/oci.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

enum { NOBODY = 65534, PROBE_MS = 5000, PROBE_STEP_MS = 2, MAX_ARGV = 40 };

static const char *const names[] = {[ISOLATION_AUTO] = "auto",
                                    [ISOLATION_OCI] = "oci",
                                    [ISOLATION_SANDBOX] = "sandbox",
                                    [ISOLATION_NONE] = "none"};

/* ---- what this robot can do ---- */

static int parse_isolation(const char *text, enum isolation *out, struct err *err)
{
    *out = ISOLATION_AUTO;
    if (!text || !text[0])
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(text, names[i])) {
            *out = (enum isolation)i;
            return 0;
        }
    return err_set(err, ERR_USAGE, "isolation %s: it is one of auto, oci, sandbox, none", text);
}

/* A user of its own keeps a runner off everything that belongs to the agent. Only root can give it one. */
static int find_user(struct spawn_options *options, struct err *err)
{
    options->uid = geteuid();
    options->gid = getegid();
    if (geteuid() != 0)
        return 0;
    const char *name = options->runner_user && options->runner_user[0] ? options->runner_user : NULL;
    uint64_t number = NOBODY;
    const struct passwd *user = getpwnam(name ? name : "muster-runner");
    if (!user && name && (!str_to_u64(name, &number) || number == 0 || number >= UINT32_MAX))
        return err_set(err, ERR_USAGE, "runner_user %s: there is no such user; create it, or give a number",
                       name);
    options->uid = user ? user->pw_uid : (uid_t)number;
    options->gid = user ? user->pw_gid : (gid_t)number;
    return 0;
}

/* crun starts faster and needs less memory; without root it does not take cgroups of both versions. */
static void find_runtime(struct spawn_options *options)
{
    static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"};
    const char *const programs[] = {geteuid() == 0 ? "crun" : "runc", geteuid() == 0 ? "runc" : "crun"};
    for (size_t i = 0; i < ARRAY_LEN(programs) * ARRAY_LEN(dirs); i++) {
        snprintf(options->runtime, sizeof options->runtime, "%s/%s", dirs[i % ARRAY_LEN(dirs)],
                 programs[i / ARRAY_LEN(dirs)]);
        if (access(options->runtime, X_OK) == 0)
            return;
    }
    options->runtime[0] = '\0';
}

static bool find_jail(struct spawn_options *options)
{
    cleanup_free char *dir = proc_self_dir();
    if (dir)
        snprintf(options->jail, sizeof options->jail, "%s/muster-jail", dir);
    return dir && access(options->jail, X_OK) == 0;
}

static bool ended_well(pid_t pid)
{
    int status = -1;
    int64_t until_ms = clock_mono_ms() + PROBE_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() > until_ms)
            kill(pid, SIGKILL);
        poll(NULL, 0, PROBE_STEP_MS);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool try_sandbox(struct spawn_options *options, unsigned namespaces, const char *log)
{
    struct err err = {0};
    pid_t pid;
    char uid[16], gid[16];
    snprintf(uid, sizeof uid, "%u", options->uid);
    snprintf(gid, sizeof gid, "%u", options->gid);
    const char *const argv[] = {options->jail,
                                "--probe",
                                "--run-dir",
                                options->run_dir,
                                "--uid",
                                uid,
                                "--gid",
                                gid,
                                namespaces & CLONE_NEWUSER ? "--user-namespace" : NULL,
                                NULL};
    struct proc_options child = {.argv = argv, .log_path = log, .keep_fd = -1, .namespaces = namespaces};
    unlink(log);
    options->namespaces = namespaces;
    return proc_spawn(&child, &pid, &err) == 0 && ended_well(pid);
}

/* What the probe said is missing: the rest of its only line. */
static void read_missing(const char *log, char *out, size_t size)
{
    static const char mark[] = "not enforced here: ";
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct err ignored = {0};
    out[0] = '\0';
    if (file_read(log, &text, &ignored) < 0 || text.len == 0)
        return;
    const char *found = strstr(buf_text(&text), mark);
    if (found)
        snprintf(out, size, "%.*s", (int)strcspn(found + strlen(mark), "\n"), found + strlen(mark));
}

static bool probe(struct spawn_options *options)
{
    cleanup_free char *log = file_join(options->run_dir, "isolation.log");
    unsigned wanted = CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    if (!log || (!try_sandbox(options, wanted, log) && !try_sandbox(options, 0, log)))
        return false;
    char missing[120];
    read_missing(log, missing, sizeof missing);
    snprintf(options->told, sizeof options->told, "sandbox%s%s", missing[0] ? " without " : "", missing);
    return true;
}

static int unsupported(const struct spawn_options *options, const char *why, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "isolation %s: %s", names[options->wall], why);
}

static int choose(struct spawn_options *options, struct err *err)
{
    bool jail = find_jail(options);
    bool sandbox = jail && options->wall != ISOLATION_NONE && probe(options);
    find_runtime(options);
    if (options->wall == ISOLATION_OCI && (!jail || !options->runtime[0]))
        return unsupported(
            options, jail ? "neither crun nor runc is here; install one" : "muster-jail is not here", err);
    if (options->wall == ISOLATION_SANDBOX && !sandbox)
        return unsupported(options, "the sandbox does not work here; see isolation.log", err);
    if (options->wall == ISOLATION_AUTO && !sandbox)
        options->wall = ISOLATION_NONE;
    if (options->wall == ISOLATION_NONE)
        str_copy(options->told, sizeof options->told, "none but the runner's own");
    if (options->wall == ISOLATION_OCI)
        snprintf(options->told, sizeof options->told, "container by %.100s", options->runtime);
    return 0;
}

int spawn_prepare(struct spawn_options *options, struct err *err)
{
    if (parse_isolation(options->isolation, &options->wall, err) < 0 || find_user(options, err) < 0)
        return -1;
    if (options->wall != ISOLATION_NONE && door_make(options->run_dir, err) < 0)
        return -1;
    if (choose(options, err) < 0)
        return -1;
    if (options->wall == ISOLATION_NONE)
        options->uid = geteuid();
    log_info("isolation: %s", options->told);
    return 0;
}

/* ---- starting ---- */

static bool has_engine(const struct spawn_options *options, const struct digest *release)
{
    struct err ignored = {0};
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    if (!image || image_open(options->layout, release, image, &ignored) < 0)
        return false;
    bool found = engine_of(image) != NULL;
    image_close(image);
    return found;
}

static enum isolation wall_for(const struct spawn_options *options, const struct digest *release)
{
    if (options->wall != ISOLATION_AUTO)
        return options->wall;
    return options->runtime[0] && has_engine(options, release) ? ISOLATION_OCI : ISOLATION_SANDBOX;
}

struct command {
    const char *argv[MAX_ARGV];
    size_t count;
    struct digest_text release;
    char generation[24], uid[16], gid[16];
    const char *derived; /* NULL: nothing was derived yet */
    int key_fd;          /* -1: the weights lie in the clear */
};

static void add(struct command *command, const char *const *words)
{
    for (; *words && command->count + 1 < MAX_ARGV; words++)
        command->argv[command->count++] = *words;
}

static void add_bare(struct command *command, const struct spawn_options *options,
                     const struct spawn_job *job)
{
    const char *const common[] = {options->runner,       "--store", options->layout, "--release",
                                  command->release.text, NULL};
    const char *const serve[] = {"--run-dir", options->run_dir, "--generation", command->generation, NULL};
    const char *const test[] = {"--self-test", NULL};
    add(command, common);
    add(command, job->generation ? serve : test);
}

/* Read-only, where there is something. */
static void add_shown(struct command *command)
{
    if (command->derived)
        add(command, (const char *const[]){"--show", command->derived, NULL});
}

static void add_jailed(struct command *command, const struct spawn_options *options, bool container)
{
    const char *const common[] = {
        options->jail,         "--run-dir",    options->run_dir,    "--store",  options->layout, "--release",
        command->release.text, "--generation", command->generation, "--runner", options->runner, "--engines",
        options->engines,      "--uid",        command->uid,        "--gid",    command->gid,    NULL};
    const char *const oci[] = {"--oci", options->runtime, NULL};
    const char *const mapped[] = {"--user-namespace", NULL};
    add(command, common);
    if (container)
        add(command, oci);
    else if (options->namespaces & CLONE_NEWUSER)
        add(command, mapped);
    if (command->key_fd >= 0)
        add(command, (const char *const[]){"--hand-on", NULL});
    add_shown(command);
    add(command, (const char *const[]){"--", NULL});
}

char *spawn_derived(const struct spawn_options *options, const struct digest *release)
{
    struct digest_text text = digest_format(release);
    return options->derived ? file_join(options->derived, digest_hex(&text)) : NULL;
}

int spawn_build(const struct spawn_options *options, const struct digest *release, const char *log_path,
                pid_t *out_pid, struct err *err)
{
    struct digest_text digest = digest_format(release);
    cleanup_free char *dir = spawn_derived(options, release);
    char user[32];
    snprintf(user, sizeof user, "%u:%u", options->uid, options->gid);
    if (!dir)
        return err_no_memory(err);
    const char *const argv[] = {options->runner,
                                "--build-engine",
                                "--store",
                                options->layout,
                                "--release",
                                digest.text,
                                "--cache",
                                dir,
                                "--user",
                                user,
                                NULL};
    const struct proc_options child = {.argv = argv, .log_path = log_path, .detach = true, .keep_fd = -1};
    return proc_spawn(&child, out_pid, err);
}

static void add_ways(struct command *command, const struct spawn_options *options,
                     const struct spawn_job *job)
{
    if (options->runner_cpus && options->runner_cpus[0])
        add(command, (const char *const[]){"--cpu", options->runner_cpus, NULL});
    if (command->derived)
        add(command, (const char *const[]){"--cache", command->derived, NULL});
    if (job->cpu_only)
        add(command, (const char *const[]){"--cpu-only", NULL});
    if (job->low)
        add(command, (const char *const[]){"--priority", "low", NULL});
    if (command->key_fd >= 0)
        add(command, (const char *const[]){"--content-key-fd", "3", NULL});
}

/* For sealed weights; *out_fd -1: they are not. */
static int content_key(const struct spawn_options *options, const struct digest *release, int *out_fd,
                       struct err *err)
{
    struct err unreadable = {0};
    cleanup_free struct image *image = mem_zalloc(1, sizeof *image);
    if (!image)
        return err_no_memory(err);
    *out_fd = -1;
    if (image_open(options->layout, release, image, &unreadable) < 0)
        return 0; /* the runner says why */
    int result = sealed_content_key(&options->sealed, image, out_fd, err);
    image_close(image);
    return result;
}

int spawn_runner(const struct spawn_options *options, const struct spawn_job *job, pid_t *out_pid,
                 struct err *err)
{
    enum isolation wall = wall_for(options, job->release);
    struct command command = {.release = digest_format(job->release)};
    cleanup_close int key_fd = -1;
    if (content_key(options, job->release, &key_fd, err) < 0)
        return -1;
    command.key_fd = key_fd;
    cleanup_free char *derived = spawn_derived(options, job->release);
    command.derived = derived && file_exists(derived) ? derived : NULL;
    snprintf(command.generation, sizeof command.generation, "%" PRIu64, job->generation);
    snprintf(command.uid, sizeof command.uid, "%u", options->uid);
    snprintf(command.gid, sizeof command.gid, "%u", options->gid);
    if (wall == ISOLATION_NONE)
        add_bare(&command, options, job);
    else
        add_jailed(&command, options, wall == ISOLATION_OCI);
    add_ways(&command, options, job);
    struct proc_options child = {.argv = command.argv,
                                 .log_path = job->log_path,
                                 .detach = job->generation != 0,
                                 .die_with_parent = job->generation == 0,
                                 .keep_fd = key_fd,
                                 .namespaces = wall == ISOLATION_SANDBOX ? options->namespaces : 0};
    return proc_spawn(&child, out_pid, err);
}

void spawn_guard_came(const struct spawn_options *options)
{
    struct err err = {0};
    if (options->wall != ISOLATION_NONE && door_open(options->run_dir, &err) < 0)
        log_warn("runners cannot find the guard: %s", err.text);
}

/* ---- processes ---- */

/* A word of /proc/PID/stat that the kernel wrote, without the name in front of it, which may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char path[32];
    int parent = 0;
    struct err ignored = {0};
    cleanup_buf struct buf text = BUF_INIT(4096);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (file_read(path, &text, &ignored) < 0 || text.len == 0)
        return 0;
    const char *end = strrchr(buf_text(&text), ')');
    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool spawn_is(pid_t child, pid_t runner)
{
    return child > 0 && (child == runner || parent_of(runner) == child);
}

static bool is_waiter(pid_t pid)
{
    char path[32];
    struct err ignored = {0};
    cleanup_buf struct buf text = BUF_INIT(64);
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    return file_read(path, &text, &ignored) == 0 && text.len > 0 && str_eq(buf_text(&text), OCI_WAITER "\n");
}

/* The waiter of a container takes the runner along and tidies up; a runner itself is simply ended. */
void spawn_kill(pid_t child)
{
    if (child > 0)
        kill(child, is_waiter(child) ? SIGTERM : SIGKILL);
}
