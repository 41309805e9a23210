#include "cli/demo/cast.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/procs.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESTART_AFTER_MS = 200, AT_ONCE_MS = 1000, MAX_GAVE_UP = 5, MAX_ARGS = 48, SERVER_START_MS = 20000 };

struct actor_args {
    char *items[MAX_ARGS];
    size_t count;
};

struct actor {
    enum actor_kind kind;
    int robot; /* index; -1 for the server */
    char name[32];
    char log[2 * STAGE_PATH];
    pid_t pid;             /* 0: not running */
    int64_t start_at_ms;   /* when to start it (again) */
    int64_t started_at_ms; /* monotonic */
    int gave_up;           /* how often in a row it ended by itself as soon as it was started */
    struct actor_args args;
};

struct cast {
    struct stage *stage;
    struct actor actors[1 + 3 * STAGE_MAX_ROBOTS];
    size_t count;
};

static void arg(struct actor_args *args, const char *text)
{
    if (args->count + 1 < MAX_ARGS)
        args->items[args->count++] = mem_strdup(text);
}

void args_pair(struct actor_args *args, const char *flag, const char *value)
{
    arg(args, flag);
    arg(args, value);
}

void args_number(struct actor_args *args, const char *flag, long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    args_pair(args, flag, text);
}

static void clear_args(struct actor_args *args)
{
    for (size_t i = 0; i < args->count; i++)
        free(args->items[i]);
    memset(args, 0, sizeof *args);
}

static int start(struct actor *actor, struct err *err)
{
    actor->started_at_ms = clock_mono_ms();
    struct proc_options options = {.argv = (const char *const *)actor->args.items,
                                   .log_path = actor->log,
                                   .die_with_parent = true,
                                   .keep_fd = -1};
    return proc_spawn(&options, &actor->pid, err);
}

static struct actor *add(struct cast *cast, enum actor_kind kind, int robot, const char *name)
{
    struct actor *actor = &cast->actors[cast->count++];
    *actor = (struct actor){.kind = kind, .robot = robot};
    str_copy(actor->name, sizeof actor->name, name);
    str_copy(actor->log, sizeof actor->log, stage_path(cast->stage, "log/%s.log", name));
    return actor;
}

int cast_new(struct stage *stage, struct cast **out, struct err *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_errno(err, "become the subreaper of the demo's processes");
    *out = mem_zalloc(1, sizeof **out);
    if (!*out)
        return err_no_memory(err);
    (*out)->stage = stage;
    return 0;
}

static void listen_on(struct actor_args *args, const char *flag, uint16_t port)
{
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    args_pair(args, flag, address);
}

static void server_args(struct cast *cast, struct actor_args *args)
{
    const struct stage *stage = cast->stage;
    clear_args(args);
    arg(args, stage_program(stage, "musterd"));
    arg(args, "serve");
    args_pair(args, "--dir", stage_path(stage, "server"));
    args_pair(args, "--root", stage_path(stage, "keys/root.json"));
    args_pair(args, "--ports-file", stage_path(stage, "ports.json"));
    listen_on(args, "--robot-listen", stage->robot_port);
    listen_on(args, "--operator-listen", stage->operator_port);
    listen_on(args, "--console-listen", stage->console_port);
}

int cast_start_server(struct cast *cast, struct err *err)
{
    struct actor *server = add(cast, ACTOR_SERVER, -1, "server");
    server_args(cast, &server->args);
    if (start(server, err) < 0)
        return -1;
    int64_t give_up = clock_mono_ms() + SERVER_START_MS;
    while (!file_exists(stage_path(cast->stage, "ports.json"))) {
        if (clock_mono_ms() > give_up || waitpid(server->pid, NULL, WNOHANG) == server->pid)
            return err_set(err, ERR_TIMEOUT, "musterd did not start; see %s", server->log);
        usleep(20000);
    }
    if (stage_read_ports(cast->stage, err) < 0)
        return -1;
    server_args(cast, &server->args); /* from now on with the same ports */
    return 0;
}

static void agent_args(struct cast *cast, int index, struct actor_args *args, const char *token_file)
{
    const struct stage *stage = cast->stage;
    const char *robot = stage_robot(index);
    char url[64];
    arg(args, stage_program(stage, "muster-agent"));
    args_pair(args, "--state-dir", stage_path(stage, "%s/state", robot));
    args_pair(args, "--run-dir", stage_path(stage, "%s/run", robot));
    snprintf(url, sizeof url, "https://127.0.0.1:%u",
             stage->play->bad_link ? stage->link_ports[index] : stage->robot_port);
    args_pair(args, "--server", url);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", stage->operator_port);
    args_pair(args, "--enroll-url", url);
    args_pair(args, "--robot", robot);
    args_pair(args, "--enroll-token-file", token_file);
    args_pair(args, "--ca", stage_path(stage, "server/ca.pem"));
    args_pair(args, "--root", stage_path(stage, "keys/root.json"));
    args_number(args, "--telemetry-ms", 2000);
    args_number(args, "--recorder-memory-mib", 8); /* many robots, one machine */
    args_number(args, "--probation-ms", 6000);
    args_number(args, "--min-frames", 20);
    args_pair(args, "--max-over-budget-share", "0.1"); /* two cores for forty processes: room for hiccups */
    args_pair(args, "--alpha", "0.00001");             /* a second or two of evidence, not three frames */
    args_number(args, "--max-runner-losses", 6);       /* chaos kills runners of good releases too */
    if (stage->play->agent)
        stage->play->agent(stage, index, args);
}

static void program_args(struct cast *cast, int index, struct actor_args *args)
{
    const struct stage *stage = cast->stage;
    const char *robot = stage_robot(index);
    arg(args, stage_program(stage, "muster-sim"));
    arg(args, "robot");
    args_pair(args, "--run-dir", stage_path(stage, "%s/run", robot));
    args_pair(args, "--log", stage_path(stage, "%s/frames.jsonl", robot));
    args_number(args, "--seed", 7000 + index);
    args_number(args, "--deadline-ms", 180);
    stage->play->program(stage, index, args);
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return 0;
    return ntohs(at.sin_port);
}

static int start_link(struct cast *cast, int robot, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "%s-link", stage_robot(robot));
    struct actor *link = add(cast, ACTOR_LINK, robot, name);
    struct actor_args *args = &link->args;
    cast->stage->link_ports[robot] = free_port();
    arg(args, stage_program(cast->stage, "muster-sim"));
    arg(args, "link");
    args_number(args, "--to", cast->stage->robot_port);
    args_number(args, "--listen", cast->stage->link_ports[robot]);
    args_number(args, "--seed", 40 + robot);
    args_pair(args, "--log", stage_path(cast->stage, "%s/link.jsonl", stage_robot(robot)));
    cast->stage->play->link(cast->stage, robot, args);
    return start(link, err);
}

int cast_start_agent(struct cast *cast, int robot, const char *token_file, struct err *err)
{
    char name[32];
    if (cast->stage->play->bad_link && start_link(cast, robot, err) < 0)
        return -1;
    snprintf(name, sizeof name, "%s-agent", stage_robot(robot));
    struct actor *agent = add(cast, ACTOR_AGENT, robot, name);
    agent_args(cast, robot, &agent->args, token_file);
    return start(agent, err);
}

int cast_start_program(struct cast *cast, int robot, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, "%s-program", stage_robot(robot));
    struct actor *program = add(cast, ACTOR_PROGRAM, robot, name);
    program_args(cast, robot, &program->args);
    return start(program, err);
}

void cast_end_programs(struct cast *cast)
{
    for (size_t i = 0; i < cast->count; i++) {
        struct actor *actor = &cast->actors[i];
        if (actor->kind != ACTOR_PROGRAM)
            continue;
        actor->start_at_ms = INT64_MAX;
        if (actor->pid)
            kill(actor->pid, SIGTERM);
    }
}

static void note_death(struct cast *cast, pid_t pid, int status)
{
    for (size_t i = 0; i < cast->count; i++) {
        struct actor *actor = &cast->actors[i];
        if (actor->pid != pid)
            continue;
        bool at_once = WIFEXITED(status) && clock_mono_ms() - actor->started_at_ms < AT_ONCE_MS;
        actor->gave_up = at_once ? actor->gave_up + 1 : 0;
        actor->pid = 0;
        if (actor->start_at_ms != INT64_MAX)
            actor->start_at_ms = clock_mono_ms() + RESTART_AFTER_MS;
    }
}

int cast_tend(struct cast *cast, struct err *err)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        note_death(cast, pid, status);
    for (size_t i = 0; i < cast->count; i++) {
        struct actor *actor = &cast->actors[i];
        if (actor->gave_up >= MAX_GAVE_UP)
            return err_set(err, ERR_INTERNAL, "%s ends by itself as soon as it is started; see %s",
                           actor->name, actor->log);
        if (!actor->pid && clock_mono_ms() >= actor->start_at_ms && start(actor, err) < 0)
            return err_prefix(err, "%s", actor->name);
    }
    return 0;
}

static pid_t pick_own(struct cast *cast, enum actor_kind kind, uint32_t random, const char **out_name)
{
    size_t seen = 0;
    for (size_t i = 0; i < 2 * cast->count; i++) {
        struct actor *actor = &cast->actors[(random + i) % cast->count];
        if (actor->kind == kind && actor->pid && seen++ == 0) {
            *out_name = actor->name;
            return actor->pid;
        }
    }
    return 0;
}

pid_t cast_pick(struct cast *cast, enum actor_kind kind, uint32_t random, const char **out_name)
{
    if (kind <= ACTOR_LINK)
        return pick_own(cast, kind, random, out_name);
    static char name[48];
    const char *program = kind == ACTOR_GUARD ? "muster-guard" : "muster-runner";
    struct procs_found found[2 * STAGE_MAX_ROBOTS];
    size_t count = procs_find(program, cast->stage->dir, found, ARRAY_LEN(found));
    if (!count)
        return 0;
    const struct procs_found *one = &found[random % count];
    snprintf(name, sizeof name, "%.8s-%s", one->robot, kind == ACTOR_GUARD ? "guard" : "runner");
    *out_name = name;
    return one->pid;
}

static void signal_all(struct cast *cast, int number)
{
    for (size_t i = 0; i < cast->count; i++)
        if (cast->actors[i].pid)
            kill(cast->actors[i].pid, number);
}

/* Guards and runners outlive their agents; here nobody shall outlive the demo. */
static void kill_leftovers(struct cast *cast)
{
    static const char *const programs[] = {"muster-recorder", "muster-watch", "muster-guard",
                                           "muster-runner"};
    struct procs_found found[4 * STAGE_MAX_ROBOTS];
    for (size_t p = 0; p < ARRAY_LEN(programs); p++) {
        size_t count = procs_find(programs[p], cast->stage->dir, found, ARRAY_LEN(found));
        for (size_t i = 0; i < count; i++)
            kill(found[i].pid, SIGKILL);
    }
}

static bool any_child_left(int64_t wait_ms)
{
    int64_t give_up = clock_mono_ms() + wait_ms;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            return false;
        if (pid > 0)
            continue;
        if (clock_mono_ms() > give_up)
            return true;
        usleep(10000);
    }
}

void cast_end(struct cast *cast)
{
    if (!cast)
        return;
    signal_all(cast, SIGTERM);
    usleep(300000);
    kill_leftovers(cast);
    if (any_child_left(3000)) {
        signal_all(cast, SIGKILL);
        kill_leftovers(cast);
        any_child_left(1000);
    }
    for (size_t i = 0; i < cast->count; i++)
        clear_args(&cast->actors[i].args);
    free(cast);
}
