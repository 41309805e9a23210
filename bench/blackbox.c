/* What the black box costs and how fast it seals: a real guard, a real recorder, and this program as the robot's, with frames
 * of 640 x 480 at 30 per second and no model (so every verdict is SAFE; the guard and the recorder do not care).
 *
 *   1  as shipped (15 s before, 10 s after): CPU of the recorder while nothing happens, then one trigger by hand
 *   2  short events, one after the other: how many are kept, the slowest seal
 *
 * seal_ms: from the end of the event (trigger + after) until the file is there under its name. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "muster/muster.h"
#include "robot/recorder/recorder.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"
#include "sys/proc.h"
#include "trust/incident.h"
#include "usage.h"
#include "wire/json_stream.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    WIDTH = 640,
    HEIGHT = 480,
    FPS = 30,
    DEADLINE_US = 15000,
    AFTER_MS = 10000,
    EVENTS = 40,
    SHORT_AFTER_MS = 100
};

struct bench {
    char dir[64], incidents[80];
    pid_t guard, recorder;
    struct muster *robot;
    uint8_t *scene; /* twice as wide as a frame: the camera moves over it */
    int64_t next_ns;
    uint64_t frames;
};

struct measured {
    double cpu_percent, rss_mib, seal_ms, seal_max_ms;
    uint64_t bytes;
    size_t events;
    struct incident_verdict verdict;
};

/* Something like a picture: shapes, gradients and a camera's noise. */
static void paint(uint8_t *scene)
{
    uint32_t state = 1;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < 2 * WIDTH; x++)
            for (int c = 0; c < 3; c++) {
                double wave = 60 * sin(x * 0.021 * (c + 1)) * cos(y * 0.017) + 30 * sin((x + 2 * y) * 0.11);
                double box = (x / 90 + y / 70) % 3 == 0 ? 40 : 0;
                state = state * 1664525u + 1013904223u;
                double value = 110 + wave + box + (double)(state >> 28) - 8;
                scene[((size_t)y * 2 * WIDTH + (size_t)x) * 3 + (size_t)c] =
                    (uint8_t)fmin(fmax(value, 0), 255);
            }
}

static void send_frame(struct bench *b)
{
    struct muster_verdict verdict;
    uint8_t *rgb = muster_frame_begin(b->robot);
    size_t shift = (size_t)(b->frames++ * 4 % WIDTH);
    for (size_t y = 0; y < HEIGHT; y++)
        memcpy(rgb + y * WIDTH * 3, b->scene + (y * 2 * WIDTH + shift) * 3, WIDTH * 3);
    muster_verdict_wait(b->robot, muster_frame_submit(b->robot, 0, DEADLINE_US), &verdict);
}

static void play_until(struct bench *b, int64_t until_ns)
{
    while (clock_mono_ns() < until_ns) {
        send_frame(b);
        b->next_ns = MAX(b->next_ns + 1000000000 / FPS, clock_mono_ns() - 1000000000);
        int64_t wait_ns = b->next_ns - clock_mono_ns();
        if (wait_ns > 0)
            usleep((useconds_t)(wait_ns / 1000));
    }
}

static int start(const char *const *argv, const char *log, pid_t *out, struct err *err)
{
    struct proc_options options = {.argv = argv, .log_path = log, .die_with_parent = true, .keep_fd = -1};
    return proc_spawn(&options, out, err);
}

static int start_recorder(struct bench *b, const char *before_ms, const char *after_ms, struct err *err)
{
    cleanup_free char *bin = proc_self_dir(), *log = file_join(b->dir, "recorder.log");
    cleanup_free char *program = bin ? file_join(bin, "muster-recorder") : NULL;
    if (!program || !log)
        return err_no_memory(err);
    const char *const argv[] = {program,       "--run-dir", b->dir,       "--state-dir", b->dir,
                                "--before-ms", before_ms,   "--after-ms", after_ms,      NULL};
    return start(argv, log, &b->recorder, err);
}

static void stop(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGTERM);
        waitpid(*pid, NULL, 0);
    }
    *pid = 0;
}

static int bring_up(struct bench *b, struct err *err)
{
    char why[MUSTER_TEXT_SIZE];
    cleanup_free char *bin = proc_self_dir(), *program = bin ? file_join(bin, "muster-guard") : NULL;
    snprintf(b->dir, sizeof b->dir, "/tmp/muster-blackbox-XXXXXX");
    b->scene = mem_zalloc(2 * WIDTH * HEIGHT, 3);
    if (!program || !b->scene)
        return err_no_memory(err);
    if (!mkdtemp(b->dir))
        return err_errno(err, "%s", b->dir);
    snprintf(b->incidents, sizeof b->incidents, "%s/incidents", b->dir);
    paint(b->scene);
    cleanup_free char *log = file_join(b->dir, "guard.log");
    const char *const argv[] = {program, "--run-dir", b->dir, NULL};
    if (!log || start(argv, log, &b->guard, err) < 0)
        return -1;
    struct muster_options options = {.run_dir = b->dir, .width = WIDTH, .height = HEIGHT, .patient = 1};
    if (muster_open(&options, &b->robot, why) != 0)
        return err_set(err, ERR_INTERNAL, "%s", why);
    return 0;
}

static double cpu_seconds(pid_t pid)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file) || !strrchr(line, ')') ||
        sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Until `count` events are there; when the newest one came, as a distance from `due_ns`. */
static int await_event(struct bench *b, size_t count, int64_t due_ns, double *out_ms, struct shelf_item *out,
                       struct err *err)
{
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    for (int64_t give_up_ns = due_ns + 30000000000; clock_mono_ns() < give_up_ns; poll(NULL, 0, 2)) {
        if (shelf_read(b->incidents, list, err) < 0)
            return -1;
        if (list->count < count)
            continue;
        *out_ms = (double)(clock_mono_ns() - due_ns) / 1e6;
        *out = list->items[list->count - 1];
        return 0;
    }
    return err_set(err, ERR_TIMEOUT, "no incident came; see %s/recorder.log", b->dir);
}

static int read_facts(const struct bench *b, const struct shelf_item *item, struct measured *m,
                      struct err *err)
{
    char path[512];
    cleanup_file_map struct file_map map = {0};
    if (shelf_path(b->incidents, item->id, ".mcap", path, sizeof path, err) < 0 ||
        file_map(path, &map, err) < 0)
        return -1;
    m->bytes = item->bytes;
    return incident_verify(map.data, map.size, NULL, &m->verdict, err);
}

static int trigger(struct bench *b, int64_t *out_ns, struct err *err)
{
    for (int64_t give_up_ns = clock_mono_ns() + 10000000000; clock_mono_ns() < give_up_ns; usleep(20000)) {
        *out_ns = clock_mono_ns();
        if (recorder_trigger(b->dir, "bench", err) == 0)
            return 0;
    }
    return -1;
}

static int as_shipped(struct bench *b, int64_t armed_s, struct measured *m, struct err *err)
{
    struct shelf_item item;
    int64_t pulled_ns = 0;
    if (start_recorder(b, "15000", "10000", err) < 0)
        return -1;
    play_until(b, clock_mono_ns() + 3000000000);
    int64_t from_ns = clock_mono_ns();
    double before = cpu_seconds(b->recorder);
    play_until(b, from_ns + armed_s * 1000000000);
    m->cpu_percent = 100 * (cpu_seconds(b->recorder) - before) / ((double)(clock_mono_ns() - from_ns) / 1e9);
    m->rss_mib = (double)proc_rss_bytes(b->recorder) / (1 << 20);
    if (trigger(b, &pulled_ns, err) < 0)
        return -1;
    int64_t due_ns = pulled_ns + (int64_t)AFTER_MS * 1000000;
    play_until(b, due_ns);
    if (await_event(b, 1, due_ns, &m->seal_ms, &item, err) < 0 || read_facts(b, &item, m, err) < 0)
        return -1;
    stop(&b->recorder);
    return 0;
}

static int short_ones(struct bench *b, struct measured *m, struct err *err)
{
    if (start_recorder(b, "1000", "100", err) < 0)
        return -1;
    for (size_t i = 0; i < EVENTS; i++) {
        struct shelf_item item;
        int64_t pulled_ns = 0;
        double seal_ms = 0;
        if (trigger(b, &pulled_ns, err) < 0)
            return -1;
        int64_t due_ns = pulled_ns + (int64_t)SHORT_AFTER_MS * 1000000;
        play_until(b, due_ns);
        if (await_event(b, i + 2, due_ns, &seal_ms, &item, err) < 0)
            return -1;
        m->seal_max_ms = MAX(m->seal_max_ms, seal_ms);
    }
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    if (shelf_read(b->incidents, list, err) < 0)
        return -1;
    m->events = list->count;
    return 0;
}

static int print(const struct measured *m, int64_t armed_s, struct err *err)
{
    const struct incident_facts *facts = &m->verdict.facts;
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "armed_s", armed_s);
    jsonw_real(&w, "cpu_percent", m->cpu_percent);
    jsonw_real(&w, "rss_mib", m->rss_mib);
    jsonw_real(&w, "before_s", (double)(facts->time_ms - facts->from_ms) / 1e3);
    jsonw_real(&w, "after_s", (double)(facts->until_ms - facts->time_ms) / 1e3);
    jsonw_real(&w, "frames_per_s", facts->frame_rate);
    jsonw_u64(&w, "frames", facts->frames);
    jsonw_u64(&w, "verdicts", facts->verdicts);
    jsonw_u64(&w, "lost_frames", facts->lost_frames);
    jsonw_u64(&w, "lost_verdicts", facts->lost_verdicts);
    jsonw_real(&w, "file_mib", (double)m->bytes / (1 << 20));
    jsonw_real(&w, "seal_ms", m->seal_ms);
    jsonw_u64(&w, "events_kept", m->events);
    jsonw_real(&w, "seal_max_ms", m->seal_max_ms);
    jsonw_close(&w);
    char *text = jsonw_take(&w, err);
    if (!text)
        return -1;
    puts(text);
    free(text);
    return 0;
}

static int run(struct bench *b, int64_t armed_s, struct err *err)
{
    static struct measured m;
    if (bring_up(b, err) < 0 || as_shipped(b, armed_s, &m, err) < 0 || short_ones(b, &m, err) < 0)
        return -1;
    return print(&m, armed_s, err);
}

static const char usage[] = "usage: bench-blackbox [--seconds N (20, at least 15)] [--json]\n"
                            "What a recorder costs the robot, and how soon a recording is sealed.\n"
                            "example: bench-blackbox --seconds 30 --json\n";

int main(int argc, char **argv)
{
    static struct bench b;
    struct err err = {0}, ignored = {0};
    int64_t armed_s = 20;
    usage_on_help(argc, argv, usage);
    for (int i = 1; i < argc; i++)
        if (str_eq(argv[i], "--seconds") && i + 1 < argc && str_to_i64(argv[i + 1], &armed_s) &&
            armed_s >= 15)
            i++;
        else if (!str_eq(argv[i], "--json"))
            return fputs(usage, stderr), 2;
    int done = run(&b, armed_s, &err);
    stop(&b.recorder);
    muster_close(b.robot);
    stop(&b.guard);
    if (b.dir[0] && (done == 0 || err.code != ERR_TIMEOUT))
        (void)!file_remove_tree(b.dir, &ignored);
    if (done < 0)
        fprintf(stderr, "bench-blackbox: %s\n", err.text);
    return done < 0;
}
