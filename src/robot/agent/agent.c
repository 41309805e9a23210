#include "robot/agent/agent.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/agent/anchor.h"
#include "robot/agent/command.h"
#include "robot/agent/crew.h"
#include "robot/agent/derive.h"
#include "robot/agent/director.h"
#include "robot/agent/enroll.h"
#include "robot/agent/incidents.h"
#include "robot/agent/installer.h"
#include "robot/agent/letters.h"
#include "robot/agent/renew.h"
#include "robot/agent/sidecar.h"
#include "robot/agent/tally.h"
#include "robot/agent/uplink.h"
#include "robot/agent/windows.h"
#include "robot/agent/witness.h"
#include "robot/store/reports.h"
#include "robot/store/store.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "wire/release.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { MAX_UNSAID = 32, MAX_WAIT_MS = 60000 };

struct agent {
    const struct agent_config *config;
    int epoll_fd, signal_fd;
    bool stop;
    struct store *store;
    struct forward *forward;
    struct report_log *log; /* class EVENT of it */
    struct letters letters;
    size_t unsaid_count; /* reports that could not be written yet (disk full), oldest first */
    struct api_report unsaid[MAX_UNSAID];
    struct tally *tally;
    char *tally_path;
    struct spawn_options spawn;
    char *engines;             /* where engines of releases are unpacked */
    char *grants, *device_key; /* for sealed releases */
    char *derived;             /* where this robot keeps what it makes of models */
    struct derive derive;
    struct crew *crew;
    struct occasion_watch occasion;
    struct installer *installer;
    struct enroll *enroll; /* NULL: enrolled */
    struct fetch *fetch;   /* NULL: not enrolled */
    char *trust;           /* STATE_DIR/trust */
    struct anchor *anchor;
    struct director *director; /* NULL: not enrolled */
    struct witness *witness;   /* NULL: not enrolled */
    uint64_t recovered;        /* of the fetch, when the witness was last told */
    struct uplink *uplink;     /* NULL: not enrolled */
    struct commands *commands; /* NULL: not enrolled */
    struct sidecar recorder, watch;
    struct incidents *incidents; /* NULL: not enrolled */
    struct renew *renew;         /* NULL: not enrolled */
    char robot[API_ID_SIZE];
};

/* Reports. */

static void say_unsaid(struct agent *agent)
{
    struct err err = {0};
    size_t said = 0;
    while (said < agent->unsaid_count && report_log_append(agent->log, &agent->unsaid[said], &err) == 0)
        said++;
    agent->unsaid_count -= said;
    memmove(agent->unsaid, agent->unsaid + said, agent->unsaid_count * sizeof agent->unsaid[0]);
}

static void on_report(const struct api_report *report, void *arg)
{
    struct agent *agent = arg;
    struct err err = {0};
    struct api_report stamped = *report;
    stamped.time_ms = clock_wall_ms();
    say_unsaid(agent);
    if (agent->unsaid_count == 0 && report_log_append(agent->log, &stamped, &err) == 0)
        return;
    if (err.code != ERR_NONE)
        log_error("reports: %s", err.text);
    if (agent->unsaid_count < MAX_UNSAID)
        agent->unsaid[agent->unsaid_count++] = stamped;
    else
        log_error("reports: one is lost: %s", stamped.text);
}

static void on_note(enum report_kind kind, const struct digest *release, const char *text, void *arg)
{
    struct api_report report = {.kind = kind, .release = *release};
    str_copy(report.text, sizeof report.text, text);
    on_report(&report, arg);
}

static bool on_admitted(const struct admitted *admitted, void *arg)
{
    const struct agent *agent = arg;
    return installer_admitted(agent->installer, admitted);
}

static void on_chain_updated(const struct err *err, void *arg)
{
    const struct agent *agent = arg;
    if (agent->director)
        director_chain_updated(agent->director, err);
}

/* Opening. */

static int open_signals(struct agent *agent, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "signals");
    agent->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    agent->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = agent->signal_fd};
    if (agent->signal_fd < 0 || agent->epoll_fd < 0 ||
        epoll_ctl(agent->epoll_fd, EPOLL_CTL_ADD, agent->signal_fd, &event) < 0)
        return err_errno(err, "epoll");
    return 0;
}

/* The floor only ever rises. */
static int raise_floor(struct agent *agent, struct err *err)
{
    struct robot_state state = *store_state(agent->store);
    const char *floor = agent->config->floor;
    if (!floor[0] || (state.floor[0] && version_compare(floor, state.floor) <= 0))
        return 0;
    str_copy(state.floor, sizeof state.floor, floor);
    return store_save(agent->store, &state, err);
}

static int open_log(struct agent *agent, struct err *err)
{
    cleanup_free char *dir = store_path(agent->store, "forward");
    cleanup_free char *old = store_path(agent->store, "reports.log");
    if (!dir || !old)
        return err_no_memory(err);
    const struct forward_options options = {
        .dir = dir, .quota_bytes = (uint64_t)agent->config->log_mib << 20, .merge = window_merge};
    if (forward_open(&options, clock_wall_ms(), &agent->forward, err) < 0 ||
        report_log_open(agent->forward, old, &agent->log, err) < 0)
        return -1;
    letters_init(&agent->letters, agent->config->run_dir, agent->forward);
    return 0;
}

static int open_store(struct agent *agent, struct err *err)
{
    bool recovered = false;
    if (store_open(agent->config->state_dir, &agent->store, &recovered, err) < 0 ||
        raise_floor(agent, err) < 0)
        return -1;
    if (open_log(agent, err) < 0)
        return -1;
    static const struct digest none;
    if (recovered)
        on_note(REPORT_RESTARTED, &none,
                "state.json was damaged and set aside; the robot starts from nothing", agent);
    return 0;
}

static int open_tally(struct agent *agent, struct err *err)
{
    uint8_t stream[16];
    cleanup_free char *id_path = store_path(agent->store, "robot-id");
    cleanup_buf struct buf id = BUF_INIT(API_ID_SIZE);
    struct err ignored = {0};
    if (getrandom(stream, sizeof stream, 0) != sizeof stream)
        return err_errno(err, "no random numbers");
    if (!id_path || file_read(id_path, &id, &ignored) < 0)
        buf_reset(&id);
    agent->tally = tally_new(id.len ? buf_text(&id) : agent->config->robot, stream, clock_wall_ms());
    agent->tally_path = file_join(agent->config->run_dir, "telemetry.state");
    if (!agent->tally || !agent->tally_path)
        return err_no_memory(err);
    cleanup_buf struct buf kept = BUF_INIT(256 << 10);
    if (file_read(agent->tally_path, &kept, &ignored) == 0 &&
        tally_restore(agent->tally, kept.data, kept.len, &ignored) < 0)
        log_warn("%s", ignored.text);
    return 0;
}

/* "" until it is enrolled. */
static void read_robot_id(struct agent *agent)
{
    struct err ignored = {0};
    cleanup_free char *path = store_path(agent->store, "robot-id");
    cleanup_buf struct buf id = BUF_INIT(API_ID_SIZE);
    if (path && file_read(path, &id, &ignored) == 0)
        str_copy(agent->robot, sizeof agent->robot, buf_text(&id));
}

static int open_crew(struct agent *agent, struct err *err)
{
    const struct agent_config *config = agent->config;
    agent->engines = store_path(agent->store, "engines");
    agent->derived = store_path(agent->store, "derived");
    agent->grants = store_path(agent->store, "grants");
    agent->device_key = store_path(agent->store, "device.key");
    read_robot_id(agent);
    agent->spawn = (struct spawn_options){
        .run_dir = config->run_dir,
        .layout = store_layout(agent->store),
        .runner = config->runner,
        .engines = agent->engines,
        .derived = agent->derived,
        .sealed = {.grants = agent->grants, .robot = agent->robot, .device_key = agent->device_key},
        .isolation = config->isolation,
        .runner_user = config->runner_user,
        .runner_cpus = config->runner_cpus,
    };
    if (!agent->engines || !agent->derived || !agent->grants || !agent->device_key)
        return err_no_memory(err);
    if (spawn_prepare(&agent->spawn, err) < 0)
        return -1;
    derive_init(&agent->derive, &agent->spawn, on_note, agent);
    struct crew_options crew = {
        .run_dir = config->run_dir,
        .state_dir = config->state_dir,
        .spawn = &agent->spawn,
        .guard = config->guard,
        .start_ms = config->start_ms + config->self_test_ms,
        .epoll_fd = agent->epoll_fd,
        .note = on_note,
        .report = on_report,
        .arg = agent,
    };
    if (crew_new(&crew, &agent->crew, err) < 0)
        return -1;
    if (occasion_open(config, &agent->occasion, err) < 0)
        return -1;
    struct installer_options installer = {
        .config = config,
        .store = agent->store,
        .crew = agent->crew,
        .isolation = agent->spawn.told,
        .sealed = &agent->spawn.sealed,
        .tally = agent->tally,
        .occasion = &agent->occasion,
        .report = on_report,
        .arg = agent,
    };
    return installer_new(&installer, &agent->installer, err);
}

static int open_anchor(struct agent *agent, struct err *err)
{
    const struct agent_config *config = agent->config;
    agent->trust = store_path(agent->store, "trust");
    if (!agent->trust)
        return err_no_memory(err);
    const struct anchor_options options = {
        .server = config->server,
        .dir = agent->trust,
        .root = config->root,
        .operators = config->operators,
        .grants = agent->grants,
        .layout = store_layout(agent->store),
        .metadata_ms = config->metadata_ms,
        .updated = on_chain_updated,
        .arg = agent,
    };
    return anchor_new(&options, &agent->anchor, err);
}

static int open_director(struct agent *agent, struct err *err)
{
    const struct director_options options = {
        .fetch = agent->fetch,
        .server = agent->config->server,
        .robot = agent->robot,
        .anchor = agent->anchor,
        .store = agent->store,
        .poll_wait_s = agent->config->poll_wait_s,
        .report = on_report,
        .admitted = on_admitted,
        .arg = agent,
    };
    anchor_go_online(agent->anchor, agent->fetch);
    return director_new(&options, &agent->director, err);
}

static int on_roll_back(const char *who, void *arg, struct err *err)
{
    const struct agent *agent = arg;
    return installer_roll_back(agent->installer, who, err);
}

static int open_commands(struct agent *agent, struct err *err)
{
    cleanup_free char *path = store_path(agent->store, "robot-id");
    cleanup_buf struct buf id = BUF_INIT(API_ID_SIZE);
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &id, err) < 0)
        return -1;
    str_copy(agent->robot, sizeof agent->robot, buf_text(&id));
    struct commands_options commands = {
        .fetch = agent->fetch,
        .server = agent->config->server,
        .run_dir = agent->config->run_dir,
        .robot = agent->robot,
        .anchor = agent->anchor,
        .store = agent->store,
        .poll_wait_s = agent->config->poll_wait_s,
        .report = on_report,
        .roll_back = on_roll_back,
        .arg = agent,
    };
    return commands_new(&commands, &agent->commands, err);
}

/* Each life of the agent has a number of its own, which is never written down: two that live at once with one identity are found by it. */
static int open_fetch(struct agent *agent, struct err *err)
{
    cleanup_free char *ca = store_path(agent->store, "ca.pem");
    cleanup_free char *cert = store_path(agent->store, "device.pem");
    cleanup_free char *key = store_path(agent->store, "device.key");
    uint64_t life;
    char fields[64];
    if (!ca || !cert || !key)
        return err_no_memory(err);
    if (getrandom(&life, sizeof life, 0) != sizeof life)
        return err_errno(err, "no random numbers");
    snprintf(fields, sizeof fields, "Muster-Instance: %016llx\r\n", (unsigned long long)life);
    struct fetch_options fetch = {
        .ca_path = ca, .cert_path = cert, .key_path = key, .fields = fields, .parse_error = api_error_parse};
    return fetch_new(&fetch, &agent->fetch, err);
}

static int open_renew(struct agent *agent, struct err *err)
{
    const struct renew_options renew = {.fetch = agent->fetch,
                                        .server = agent->config->server,
                                        .robot = agent->robot,
                                        .store = agent->store,
                                        .anchor = agent->anchor};
    return renew_new(&renew, &agent->renew, err);
}

static void on_violation(const char *text, void *arg)
{
    static const struct digest none;
    on_note(REPORT_WITNESS, &none, text, arg);
}

static int open_witness(struct agent *agent, struct err *err)
{
    const struct witness_options options = {.fetch = agent->fetch,
                                            .server = agent->config->server,
                                            .dir = agent->trust,
                                            .violated = on_violation,
                                            .arg = agent};
    return witness_new(&options, &agent->witness, err);
}

static bool is_fetching(void *arg)
{
    const struct agent *agent = arg;
    return store_state(agent->store)->install.phase == INSTALL_FETCH;
}

static int go_online(struct agent *agent, struct err *err)
{
    if (open_fetch(agent, err) < 0)
        return -1;
    struct uplink_options uplink = {
        .fetch = agent->fetch,
        .server = agent->config->server,
        .robot = agent->robot,
        .forward = agent->forward,
        .log = agent->log,
        .tally = agent->tally,
        .tally_path = agent->tally_path,
        .telemetry_ms = agent->config->telemetry_ms,
        .busy = is_fetching,
        .arg = agent,
    };
    if (uplink_new(&uplink, &agent->uplink, err) < 0 || open_commands(agent, err) < 0 ||
        open_director(agent, err) < 0 || open_renew(agent, err) < 0 || open_witness(agent, err) < 0 ||
        incidents_new(agent->fetch, agent->config->server, agent->config->state_dir, &agent->incidents, err) <
            0)
        return -1;
    installer_go_online(agent->installer, agent->fetch);
    return 0;
}

static void init_sidecars(struct agent *agent)
{
    const struct agent_config *config = agent->config;
    sidecar_init(&agent->recorder, "recorder", config->recorder, config->run_dir, config->state_dir);
    sidecar_add_number(&agent->recorder, "--memory", config->recorder_memory_mib);
    if (config->recorder_memory_mib == 0)
        sidecar_switch_off(&agent->recorder);
    sidecar_init(&agent->watch, "watch", config->watch, config->run_dir, config->state_dir);
    if (config->board_root[0])
        sidecar_add(&agent->watch, "--board-root", config->board_root);
    sidecar_add_words(&agent->watch, config->watch_options);
    if (config->no_watch)
        sidecar_switch_off(&agent->watch);
}

static int open_all(struct agent *agent, struct err *err)
{
    if (file_make_dirs(agent->config->run_dir, 0700, err) < 0 || open_signals(agent, err) < 0 ||
        open_store(agent, err) < 0)
        return -1;
    if (open_tally(agent, err) < 0 || open_crew(agent, err) < 0 || open_anchor(agent, err) < 0)
        return -1;
    init_sidecars(agent);
    if (enroll_done(agent->store))
        return go_online(agent, err);
    return enroll_new(agent->config, agent->store, &agent->enroll, err);
}

static void close_all(struct agent *agent)
{
    renew_free(agent->renew);
    witness_free(agent->witness);
    incidents_free(agent->incidents);
    director_free(agent->director);
    commands_free(agent->commands);
    uplink_free(agent->uplink);
    if (agent->installer)
        installer_go_online(agent->installer, NULL);
    if (agent->anchor)
        anchor_go_online(agent->anchor, NULL);
    fetch_free(agent->fetch);
    enroll_free(agent->enroll);
    installer_free(agent->installer);
    crew_free(agent->crew);
    tally_free(agent->tally);
    anchor_free(agent->anchor);
    occasion_close(&agent->occasion);
    free(agent->trust);
    free(agent->tally_path);
    free(agent->engines);
    free(agent->derived);
    free(agent->grants);
    free(agent->device_key);
    report_log_free(agent->log);
    forward_free(agent->forward);
    store_free(agent->store);
    sidecar_fini(&agent->recorder);
    sidecar_fini(&agent->watch);
    mem_cleanup_close(&agent->signal_fd);
    mem_cleanup_close(&agent->epoll_fd);
}

/* Turning. */

static void reap(struct agent *agent, int64_t now_ms)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (!sidecar_reaped(&agent->recorder, pid, now_ms) && !sidecar_reaped(&agent->watch, pid, now_ms) &&
            !derive_reaped(&agent->derive, pid, status, now_ms))
            crew_reaped(agent->crew, pid, status, now_ms);
}

static void on_signal(struct agent *agent, int64_t now_ms)
{
    struct signalfd_siginfo info;
    while (read(agent->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            agent->stop = true;
    reap(agent, now_ms);
}

static void take_events(struct agent *agent, int64_t now_ms)
{
    struct epoll_event events[8];
    int count = epoll_wait(agent->epoll_fd, events, ARRAY_LEN(events), 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == agent->signal_fd)
            on_signal(agent, now_ms);
        else
            crew_guard_speaks(agent->crew, now_ms);
    }
}

/* Incidents wait for whatever else the link is needed for. */
static bool link_is_busy(const struct agent *agent)
{
    return report_log_pending(agent->log) > 0 || store_state(agent->store)->install.phase == INSTALL_FETCH;
}

static void tick_witness(struct agent *agent, int64_t now_ms)
{
    if (agent->recovered != fetch_recovered(agent->fetch))
        witness_soon(agent->witness);
    agent->recovered = fetch_recovered(agent->fetch);
    witness_tick(agent->witness, now_ms);
}

static void tick_server(struct agent *agent, const struct ctl_status *status, int64_t now_ms)
{
    struct err err = {0};
    if (agent->enroll && enroll_tick(agent->enroll, now_ms)) {
        enroll_free(TAKE_PTR(agent->enroll));
        if (go_online(agent, &err) < 0) {
            log_error("%s", err.text);
            agent->stop = true;
        }
    }
    if (agent->commands)
        commands_tick(agent->commands, status, now_ms);
    if (agent->director)
        director_tick(agent->director, now_ms);
    anchor_tick(agent->anchor, now_ms);
    if (agent->uplink)
        uplink_tick(agent->uplink, now_ms);
    if (agent->incidents)
        incidents_tick(agent->incidents, link_is_busy(agent), now_ms);
    if (agent->renew)
        renew_tick(agent->renew, now_ms);
    if (agent->witness)
        tick_witness(agent, now_ms);
}

static void tick_derive(struct agent *agent, const struct ctl_status *status, int64_t now_ms)
{
    const struct install *install = &store_state(agent->store)->install;
    if (derive_tick(&agent->derive, install, status, now_ms) &&
        installer_reload(agent->installer, "an engine for its accelerator is ready"))
        derive_taken(&agent->derive, now_ms);
}

static void tick(struct agent *agent, int64_t now_ms)
{
    bool fresh = false;
    struct wanted wanted;
    const struct ctl_status *status = crew_status(agent->crew, &fresh);
    installer_wanted(agent->installer, &wanted);
    crew_tick(agent->crew, &wanted, installer_hurries(agent->installer, status), now_ms);
    status = crew_status(agent->crew, &fresh);
    if (fresh)
        tally_observe(agent->tally, status);
    installer_tick(agent->installer, status, fresh, now_ms);
    tick_derive(agent, status, now_ms);
    say_unsaid(agent);
    letters_tick(&agent->letters, now_ms);
    forward_tick(agent->forward, now_ms);
    sidecar_tick(&agent->recorder, now_ms);
    sidecar_tick(&agent->watch, now_ms);
    tick_server(agent, status, now_ms);
}

static int wait_ms(const struct agent *agent, int64_t now_ms)
{
    bool fresh;
    const struct ctl_status *status = crew_status(agent->crew, &fresh);
    bool hurry = installer_hurries(agent->installer, status);
    int64_t next = MIN(crew_next_ms(agent->crew, hurry), installer_next_ms(agent->installer));
    if (agent->enroll)
        next = MIN(next, enroll_next_ms(agent->enroll));
    if (agent->director)
        next = MIN(next, director_next_ms(agent->director));
    next = MIN(next, anchor_next_ms(agent->anchor));
    if (agent->uplink)
        next = MIN(next, uplink_next_ms(agent->uplink));
    next = MIN(next, MIN(agent->letters.next_ms, forward_next_ms(agent->forward)));
    if (agent->commands)
        next = MIN(next, commands_next_ms(agent->commands));
    if (agent->incidents)
        next = MIN(next, incidents_next_ms(agent->incidents));
    if (agent->renew)
        next = MIN(next, renew_next_ms(agent->renew));
    if (agent->witness)
        next = MIN(next, witness_next_ms(agent->witness));
    next = MIN(next, MIN(sidecar_next_ms(&agent->recorder), sidecar_next_ms(&agent->watch)));
    return (int)MIN(MAX(next - now_ms, (int64_t)0), (int64_t)MAX_WAIT_MS);
}

static int turn(struct agent *agent, struct err *err)
{
    tick(agent, clock_mono_ms());
    struct fetch *fetch = agent->fetch ? agent->fetch : enroll_fetch(agent->enroll);
    if (fetch_poll(fetch, agent->epoll_fd, wait_ms(agent, clock_mono_ms()), err) < 0)
        return -1;
    take_events(agent, clock_mono_ms());
    return 0;
}

int agent_run(const struct agent_config *config, struct err *err)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 64 << 10);
    mallopt(M_MMAP_THRESHOLD, 32 << 10); /* big scratch goes straight back */
    struct agent *agent = mem_zalloc(1, sizeof *agent);
    if (!agent)
        return err_no_memory(err);
    agent->config = config;
    agent->signal_fd = agent->epoll_fd = agent->occasion.lock_fd = -1;
    int rc = open_all(agent, err);
    if (rc == 0)
        log_info("started; state in %s", config->state_dir);
    while (rc == 0 && !agent->stop)
        rc = turn(agent, err);
    close_all(agent);
    free(agent);
    return rc;
}
