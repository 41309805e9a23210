/* muster-jail: puts the walls up and becomes the runner (sandbox), or has a container runtime do it and waits. See
 * robot/jail/jail.h. muster-agent starts it; by hand it is good for looking at what a robot can enforce (--probe). */
#include "base/log.h"
#include "base/str.h"
#include "robot/jail/door.h"
#include "robot/jail/oci.h"
#include "robot/jail/sandbox.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>

static const char usage[] =
    "usage: muster-jail --run-dir DIR --store LAYOUT --release DIGEST --runner "
    "PROGRAM [--generation N] [options]\n"
    "                   [-- options of the runner]\n"
    "       muster-jail --probe --run-dir DIR [options]\n"
    "Runs muster-runner behind walls: it sees one release, the libraries it needs "
    "and the guard's socket, and no\n"
    "network. Without --generation it is the self-test of the release.\n"
    "  --oci RUNTIME        a container by crun or runc; otherwise namespaces, "
    "Landlock and seccomp by itself\n"
    "  --engines DIR        where engine images of releases are unpacked; without it "
    "the runner is the host's\n"
    "  --uid N, --gid N     who the runner is (default 65534)\n"
    "  --user-namespace     started as root of a new user namespace: the runner stays its starter's user\n"
    "  --show PATH          something more that the runner may read, e.g. an "
    "accelerator's libraries; repeatable\n"
    "  --hand-on            descriptor 3 is for the runner; nothing else that was open is\n"
    "  --probe              says what cannot be enforced here, and runs nothing\n"
    "examples:\n"
    "  unshare --pid --fork muster-jail --probe --run-dir /run/muster\n"
    "  muster-jail --oci runc --run-dir /run/muster --store /var/lib/muster/store "
    "--release sha256:… --runner "
    "/usr/bin/muster-runner\n";

enum { NOBODY = 65534, MAX_SHOWN = 16 };

struct arguments {
    struct jail_job job;
    const char *runtime; /* NULL: the sandbox */
    uint64_t uid, gid;
    bool user_namespace, probe, bad, answered;
    const char *shown[MAX_SHOWN + 1];
    size_t shown_count;
};

static bool take_number(uint64_t *out)
{
    return str_to_u64(optarg, out) && *out <= UINT32_MAX - 1;
}

static void take_option(struct arguments *args, int opt)
{
    const char **texts[] = {['d'] = &args->job.run_dir,
                            ['s'] = &args->job.store,
                            ['R'] = &args->job.runner,
                            ['e'] = &args->job.engines,
                            ['o'] = &args->runtime};
    uint64_t *numbers[] = {['u'] = &args->uid, ['g'] = &args->gid};
    bool ok = opt != '?';
    if (opt < (int)ARRAY_LEN(texts) && texts[opt])
        *texts[opt] = optarg;
    else if (opt < (int)ARRAY_LEN(numbers) && numbers[opt])
        ok = take_number(numbers[opt]);
    else if (opt == 'r')
        ok = digest_parse(optarg, &args->job.release);
    else if (opt == 'n')
        ok = str_to_u64(optarg, &args->job.generation);
    else if (opt == 'w' && args->shown_count < MAX_SHOWN)
        args->shown[args->shown_count++] = optarg;
    else if (opt == 'h' || opt == 'v')
        args->answered = fputs(opt == 'h' ? usage : "muster-jail " MUSTER_VERSION "\n", stdout) >= 0;
    args->probe |= opt == 'p';
    args->user_namespace |= opt == 'U';
    args->job.hands_on |= opt == 'H';
    args->bad |= !ok;
}

static void parse(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"run-dir", required_argument, NULL, 'd'}, {"store", required_argument, NULL, 's'},
        {"release", required_argument, NULL, 'r'}, {"generation", required_argument, NULL, 'n'},
        {"runner", required_argument, NULL, 'R'},  {"engines", required_argument, NULL, 'e'},
        {"oci", required_argument, NULL, 'o'},     {"uid", required_argument, NULL, 'u'},
        {"gid", required_argument, NULL, 'g'},     {"user-namespace", no_argument, NULL, 'U'},
        {"hand-on", no_argument, NULL, 'H'},       {"show", required_argument, NULL, 'w'},
        {"probe", no_argument, NULL, 'p'},         {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},       {0},
    };
    args->uid = args->gid = NOBODY;
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take_option(args, opt);
    args->job.uid = (uid_t)args->uid;
    args->job.gid = (gid_t)args->gid;
    args->job.shown = args->shown;
    args->job.extra = (const char *const *)(argv + optind);
    bool whole = args->job.store && args->job.runner && !digest_is_zero(&args->job.release);
    args->bad |= !args->job.run_dir || (!args->probe && !whole);
}

/* An empty jail shows what can be had as well as a full one. */
static int plan(const struct arguments *args, struct jail **out, struct err *err)
{
    if (!args->probe)
        return jail_plan(&args->job, out, err);
    *out = mem_zalloc(1, sizeof **out);
    if (!*out)
        return err_no_memory(err);
    **out = (struct jail){.uid = args->job.uid,
                          .gid = args->job.gid,
                          .in_place = args->job.in_place,
                          .memory_bytes = (uint64_t)JAIL_ENGINE_MARGIN_MIB << 20,
                          .tasks = JAIL_THREADS_BESIDES,
                          .cpu_weight = 100};
    str_copy((*out)->id, sizeof(*out)->id, "muster-probe-0");
    return 0;
}

static void tell(const struct sandbox *sandbox)
{
    if (sandbox->missing.text[0])
        log_warn("not enforced here: %s", sandbox->missing.text);
}

/* The starter's death has to be the runner's again: changing the user forgot it. */
static void keep_tied(bool tied)
{
    if (tied)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int in_sandbox(struct arguments *args, const char *base, struct err *err)
{
    struct sandbox sandbox;
    cleanup_jail struct jail *jail = NULL;
    int on_death = 0;
    prctl(PR_GET_PDEATHSIG, &on_death);
    sandbox_unshare(&sandbox, args->user_namespace);
    args->job.in_place = !sandbox.mounts;
    if (args->job.in_place) { /* nobody else could walk to the files */
        args->job.uid = geteuid();
        args->job.gid = getegid();
    }
    if (plan(args, &jail, err) < 0 || sandbox_build(&sandbox, jail, base, err) < 0 ||
        sandbox_drop(&sandbox, jail, err) < 0)
        return -1;
    keep_tied(on_death != 0);
    tell(&sandbox);
    if (!args->probe)
        return sandbox_exec(jail, err);
    printf("%s\n", sandbox.missing.text);
    return 0;
}

static int in_container(const struct arguments *args, const char *base, int *out_status, struct err *err)
{
    cleanup_jail struct jail *jail = NULL;
    if (jail_plan(&args->job, &jail, err) < 0)
        return -1;
    return oci_run(jail, args->runtime, base, out_status, err);
}

static int run(struct arguments *args, int *out_status, struct err *err)
{
    cleanup_free char *whole = realpath(args->job.run_dir, NULL);
    cleanup_free char *base = whole ? file_join(whole, "jail") : NULL;
    if (!base)
        return whole ? err_no_memory(err) : err_errno(err, "%s", args->job.run_dir);
    if (file_make_dirs(base, 0755, err) < 0 || door_make(whole, err) < 0)
        return -1;
    args->job.run_dir = whole;
    if (args->runtime && !args->probe)
        return in_container(args, base, out_status, err);
    return in_sandbox(args, base, err);
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    parse(argc, argv, &args);
    if (args.answered)
        return 0;
    if (args.bad)
        return fputs("muster-jail: an option is missing or wrong; see muster-jail --help\n", stderr), 2;
    log_init("jail");
    struct err err = {0};
    int status = 0;
    if (run(&args, &status, &err) == 0)
        return status;
    log_error("%s", err.text);
    return err_exit_status(err.code);
}
