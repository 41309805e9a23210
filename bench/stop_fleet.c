#include "bench/stop.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/command.h"
#include "wire/api.h"
#include "wire/json.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { UP_LIMIT_MS = 120000, LIFE_MS = 60000, ROBOT_NICE = 10 };

#define PATH(name, ...)                                                                                      \
    char name[192];                                                                                          \
    snprintf(name, sizeof name, __VA_ARGS__)

/* ---- processes ---- */

static int spawn(const struct stop_fleet *fleet, const char *log, const char *const *argv, pid_t *out,
                 struct err *err)
{
    PATH(path, "%s/%s.log", fleet->dir, log);
    struct proc_options options = {.argv = argv, .log_path = path, .die_with_parent = true, .keep_fd = -1};
    return proc_spawn(&options, out, err);
}

static int read_ports(struct stop_fleet *fleet, const char *path, struct err *err)
{
    struct json_reader reader;
    cleanup_buf struct buf text = BUF_INIT(4096);
    int64_t robot = 0, operators = 0;
    for (int64_t until = clock_mono_ms() + UP_LIMIT_MS; !file_exists(path) && clock_mono_ms() < until;)
        usleep(20000);
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, text.data, text.len, err) < 0)
        return -1;
    json_get_int(json_root(&reader), "robot", 1, 65535, &robot);
    json_get_int(json_root(&reader), "operator", 1, 65535, &operators);
    snprintf(fleet->server, sizeof fleet->server, "https://127.0.0.1:%d", (int)robot);
    snprintf(fleet->operators, sizeof fleet->operators, "https://127.0.0.1:%d", (int)operators);
    return json_finish(&reader, err);
}

static int tool(const char *const *argv, struct err *err)
{
    int status = 0;
    if (proc_run(argv, UP_LIMIT_MS, NULL, &status, err) < 0)
        return -1;
    return status == 0 ? 0 : err_set(err, ERR_IO, "%s %s failed (%d)", argv[0], argv[1], status);
}

/* The server's directory; the fleet's offline keys, whose targets name alice as an operator. */
static int make_keys(struct stop_fleet *fleet, struct err *err)
{
    PATH(musterd, "%s/musterd", fleet->bin);
    PATH(muster, "%s/muster", fleet->bin);
    PATH(dir, "%s/server", fleet->dir);
    PATH(token, "%s/token", fleet->dir);
    PATH(online, "%s/server/online.json", fleet->dir);
    PATH(keys, "%s/keys", fleet->dir);
    PATH(people, "%s/operators", fleet->dir);
    PATH(key, "%s/operators/alice.key", fleet->dir);
    const char *const init[] = {musterd, "init", "--dir", dir, "--token-file", token, NULL};
    const char *const offline[] = {muster,  "keys",     "init", "--dir",           keys, "--fleet",
                                   "bench", "--online", online, "--no-passphrase", NULL};
    const char *const operators[] = {muster, "keys",   "operator", "alice", "--dir",
                                     people, "--keys", keys,       NULL};
    return tool(init, err) < 0 || tool(offline, err) < 0 || tool(operators, err) < 0
               ? -1
               : signing_key_load(key, &fleet->key, err);
}

static int publish(const struct stop_fleet *fleet, struct err *err)
{
    PATH(muster, "%s/muster", fleet->bin);
    PATH(keys, "%s/keys", fleet->dir);
    PATH(token, "%s/token", fleet->dir);
    PATH(ca, "%s/server/ca.pem", fleet->dir);
    const char *const push[] = {muster,
                                "push",
                                "--metadata-only",
                                "--keys",
                                keys,
                                "--server",
                                fleet->operators,
                                "--token-file",
                                token,
                                "--ca",
                                ca,
                                NULL};
    return tool(push, err);
}

static int start_server(struct stop_fleet *fleet, struct err *err)
{
    PATH(program, "%s/musterd", fleet->bin);
    PATH(dir, "%s/server", fleet->dir);
    PATH(root, "%s/keys/root.json", fleet->dir);
    PATH(token, "%s/token", fleet->dir);
    PATH(ports, "%s/ports.json", fleet->dir);
    const char *const serve[] = {program,
                                 "serve",
                                 "--dir",
                                 dir,
                                 "--root",
                                 root,
                                 "--robot-listen",
                                 "127.0.0.1:0",
                                 "--operator-listen",
                                 "127.0.0.1:0",
                                 "--ports-file",
                                 ports,
                                 NULL};
    cleanup_buf struct buf text = BUF_INIT(4096);
    if (file_read(token, &text, err) < 0 || spawn(fleet, "musterd", serve, &fleet->musterd, err) < 0)
        return -1;
    snprintf(fleet->token, sizeof fleet->token, "%.*s", (int)strcspn(buf_text(&text), "\n"), buf_text(&text));
    return read_ports(fleet, ports, err) < 0 ? -1 : publish(fleet, err);
}

static int post(struct fetch *fetch, const struct stop_fleet *fleet, const char *path, const char *body,
                struct buf *out, struct err *err)
{
    PATH(url, "%s%s", fleet->operators, path);
    struct fetch_response response = {0};
    struct fetch_request request = {.method = "POST",
                                    .url = url,
                                    .content_type = "application/json",
                                    .bearer = fleet->token,
                                    .body = body,
                                    .body_len = strlen(body),
                                    .timeout_ms = 30000};
    int rc = fetch_once(fetch, &request, &response, err);
    if (rc == 0 && out && response.body.len)
        rc = buf_put(out, response.body.data, response.body.len, err);
    buf_fini(&response.body);
    return rc;
}

static int open_fetch(const struct stop_fleet *fleet, struct fetch **out, struct err *err)
{
    PATH(ca, "%s/server/ca.pem", fleet->dir);
    const struct fetch_options options = {.ca_path = ca, .parse_error = api_error_parse};
    return fetch_new(&options, out, err);
}

/* ---- robots ---- */

static int take_token(const struct stop_fleet *fleet, const struct stop_robot *robot, const char *path,
                      struct err *err)
{
    char body[64], token[80] = "";
    struct json_reader reader;
    cleanup_buf struct buf answer = BUF_INIT(4096);
    snprintf(body, sizeof body, "{\"robot\":\"%s\"}", robot->id);
    if (post(fleet->fetch, fleet, "/api/v1/enroll-tokens", body, &answer, err) < 0 ||
        json_read(&reader, "token", answer.data, answer.len, err) < 0)
        return -1;
    json_get_name(json_root(&reader), "token", token, sizeof token);
    return json_finish(&reader, err) < 0 ? -1 : file_create(path, token, strlen(token), 0600, err);
}

static int start_robot(struct stop_fleet *fleet, size_t index, struct err *err)
{
    struct stop_robot *robot = &fleet->robots[index];
    snprintf(robot->id, sizeof robot->id, "r%03zu", index);
    PATH(run_dir, "%s/r%03zu/run", fleet->robots_dir, index);
    str_copy(robot->run_dir, sizeof robot->run_dir, run_dir);
    PATH(program, "%s/muster-agent", fleet->bin);
    PATH(dir, "%s/%s", fleet->robots_dir, robot->id);
    PATH(state, "%s/%s/state", fleet->robots_dir, robot->id);
    PATH(token, "%s/%s/token", fleet->robots_dir, robot->id);
    PATH(ca, "%s/server/ca.pem", fleet->dir);
    PATH(root, "%s/keys/root.json", fleet->dir);
    const char *const argv[] = {program,
                                "--state-dir",
                                state,
                                "--run-dir",
                                robot->run_dir,
                                "--server",
                                fleet->server,
                                "--robot",
                                robot->id,
                                "--root",
                                root,
                                "--enroll-url",
                                fleet->operators,
                                "--enroll-token-file",
                                token,
                                "--ca",
                                ca,
                                "--recorder-memory-mib",
                                "0",
                                "--telemetry-ms",
                                "60000",
                                NULL};
    robot->observer = -1;
    if (file_make_dirs(dir, 0700, err) < 0 || take_token(fleet, robot, token, err) < 0)
        return -1;
    if (spawn(fleet, robot->id, argv, &robot->agent, err) < 0)
        return -1;
    (void)setpriority(PRIO_PROCESS, (id_t)robot->agent,
                      getpriority(PRIO_PROCESS, 0) + ROBOT_NICE); /* it does not slow the server down */
    return 0;
}

static int attach(struct stop_robot *robot, struct err *err)
{
    char why[MUSTER_TEXT_SIZE];
    const struct muster_options options = {
        .run_dir = robot->run_dir, .width = 16, .height = 16, .patient = 1};
    int64_t until_ms = clock_mono_ms() + UP_LIMIT_MS;
    while (ctl_connect(robot->run_dir, CTL_ROLE_OBSERVER, &robot->observer, err) < 0) {
        robot->observer = -1;
        if (clock_mono_ms() > until_ms)
            return -1;
        usleep(50000);
    }
    if (muster_open(&options, &robot->program, why) != 0)
        return err_set(err, ERR_IO, "%s: %s", robot->id, why);
    return 0;
}

/* Until its agent is enrolled and knows whose orders count. */
static int await_ready(const struct stop_fleet *fleet, const struct stop_robot *robot, struct err *err)
{
    PATH(known, "%s/%s/state/trust/operators.json", fleet->robots_dir, robot->id);
    for (int64_t until_ms = clock_mono_ms() + UP_LIMIT_MS; !file_exists(known); usleep(20000))
        if (clock_mono_ms() > until_ms)
            return err_set(err, ERR_TIMEOUT, "%s does not know its operators; see %s/%s.log", robot->id,
                           fleet->dir, robot->id);
    return 0;
}

int stop_fleet_open(struct stop_fleet *fleet, size_t robots, struct err *err)
{
    cleanup_free char *bin = proc_self_dir();
    *fleet =
        (struct stop_fleet){.dir = "/tmp/muster-stop-XXXXXX", .robots_dir = "/dev/shm/muster-stop-XXXXXX"};
    if (!bin || !mkdtemp(fleet->dir) || !mkdtemp(fleet->robots_dir))
        return err_errno(err, "%s, %s", fleet->dir, fleet->robots_dir);
    str_copy(fleet->bin, sizeof fleet->bin, bin);
    if (make_keys(fleet, err) < 0 || start_server(fleet, err) < 0 ||
        open_fetch(fleet, &fleet->fetch, err) < 0)
        return -1;
    for (; fleet->count < robots; fleet->count++)
        if (start_robot(fleet, fleet->count, err) < 0)
            return -1;
    for (size_t i = 0; i < robots; i++)
        if (await_ready(fleet, &fleet->robots[i], err) < 0 || attach(&fleet->robots[i], err) < 0)
            return -1;
    return 0;
}

static void end_robot(struct stop_robot *robot)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    muster_close(robot->program);
    if (robot->agent > 0 && kill(robot->agent, SIGKILL) == 0)
        waitpid(robot->agent, NULL, 0);
    if (robot->observer >= 0 && getsockopt(robot->observer, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
        peer.pid > 1)
        kill(peer.pid, SIGTERM); /* its guard, which outlives the agent */
    mem_cleanup_close(&robot->observer);
}

void stop_fleet_close(struct stop_fleet *fleet)
{
    struct err ignored = {0};
    for (size_t i = 0; i < STOP_MAX_ROBOTS && fleet->robots[i].id[0]; i++)
        end_robot(&fleet->robots[i]);
    if (fleet->musterd > 0 && kill(fleet->musterd, SIGKILL) == 0)
        waitpid(fleet->musterd, NULL, 0);
    if (fleet->fetch)
        fetch_free(fleet->fetch);
    signing_key_free(fleet->key);
    (void)!file_remove_tree(fleet->robots_dir, &ignored);
    (void)!file_remove_tree(fleet->dir, &ignored);
}

/* ---- orders ---- */

static char *sign(const struct stop_fleet *fleet, enum command_verb verb, struct err *err)
{
    uint8_t bits[16];
    struct command command = {.verb = verb, .robot_count = fleet->count, .issued_ms = clock_wall_ms()};
    cleanup_free char(*robots)[64] = mem_zalloc(fleet->count, sizeof robots[0]);
    if (!robots) {
        (void)err_no_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < fleet->count; i++)
        str_copy(robots[i], sizeof robots[i], fleet->robots[i].id);
    command.robots = robots;
    command.expires_ms = command.issued_ms + LIFE_MS;
    str_copy(command.operator_name, sizeof command.operator_name, "alice");
    str_copy(command.reason, sizeof command.reason, "bench-stop");
    if (getrandom(bits, sizeof bits, 0) != sizeof bits) {
        (void)err_errno(err, "random");
        return NULL;
    }
    hex_encode(bits, sizeof bits, command.nonce);
    return command_sign(&command, fleet->key, err);
}

int stop_fleet_order(struct stop_fleet *fleet, enum command_verb verb, struct err *err)
{
    struct fetch *fetch = NULL;
    cleanup_free char *envelope = sign(fleet, verb, err);
    if (!envelope || open_fetch(fleet, &fetch, err) < 0)
        return -1;
    int rc = post(fetch, fleet, "/api/v1/commands", envelope, NULL, err);
    fetch_free(fetch);
    return rc;
}
