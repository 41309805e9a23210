#include "robot/forward/campaign.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/forward/forward.h"
#include "robot/store/powercut.h"
#include "sys/file.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_NUMBERS = 1 << 20, QUOTA = 512 << 10, STEPS = 160, MOST_CHANGES = 300 };
enum { KIND_A = 1, KIND_B = 2 };

/* What a record carries: of how many numbers it speaks, their sum, and filling. */
struct load {
    uint64_t id, count, sum;
    uint8_t filling[400];
};

struct server { /* what it has, and what was promised to it */
    char stream[33];
    uint64_t last[FORWARD_CLASSES];
    uint64_t taken[FORWARD_CLASSES], again[FORWARD_CLASSES], gaps, in_gaps, merged, restarts, wrong_sums;
    uint64_t next_event; /* id */
    uint8_t event_promised[MAX_NUMBERS], event_taken[MAX_NUMBERS];
    uint8_t seq_taken[FORWARD_CLASSES][MAX_NUMBERS], seq_in_gap[FORWARD_CLASSES][MAX_NUMBERS];
    uint64_t appended[FORWARD_CLASSES];
    uint64_t given[FORWARD_CLASSES]; /* the last number whose append returned */
    int64_t clock_ms;
    bool failed;
    char first_wrong[160];
};

struct campaign {
    const struct campaign_options *options;
    struct server *server;
    char log[256], graves[256], boot[32];
    uint64_t random;
    int line; /* to the server; -1: it is in this process */
};

static uint64_t random_below(struct campaign *campaign, uint64_t bound)
{
    campaign->random = campaign->random * 6364136223846793005u + 1442695040888963407u;
    return (campaign->random >> 33) % bound;
}

static void wrong(struct server *server, const char *what, const char *class, uint64_t number)
{
    if (!server->first_wrong[0])
        snprintf(server->first_wrong, sizeof server->first_wrong, "%s %llu %s", class,
                 (unsigned long long)number, what);
}

/* The server. */

static void bump(uint8_t *count)
{
    if (*count < 255)
        (*count)++;
}

static void take_numbers(struct server *server, enum forward_class class, const char *numbers)
{
    for (const char *at = numbers; *at && *at != '"';) {
        char *end;
        unsigned long long first = strtoull(at, &end, 10), last = first, by = 1;
        if (*end == '-')
            last = strtoull(end + 1, &end, 10);
        if (*end == '/')
            by = strtoull(end + 1, &end, 10);
        for (unsigned long long seq = first; seq <= last && seq < MAX_NUMBERS; seq += by) {
            bump(&server->seq_in_gap[class][seq]);
            server->in_gaps++;
        }
        at = *end == ',' ? end + 1 : end;
        if (end == at && *end != '"' && *end)
            break;
    }
}

static void take_gap(struct server *server, const struct forward_record *record)
{
    cleanup_free char *text = mem_strndup((const char *)record->data, record->len);
    const char *numbers = text ? strstr(text, "\"numbers\":\"") : NULL;
    const char *merged = text ? strstr(text, "\"merged\":") : NULL;
    server->gaps++;
    if (!numbers || !merged) {
        wrong(server, "is a GAP without numbers", "event", record->seq);
        server->wrong_sums++;
        return;
    }
    server->merged += strtoull(merged + 9, NULL, 10);
    if (strstr(text, "\"class\":\"event\"")) {
        server->restarts++;
        return;
    }
    take_numbers(server, strstr(text, "\"class\":\"metric\"") ? FORWARD_METRIC : FORWARD_SAMPLE,
                 numbers + 11);
}

static void take(struct server *server, const struct forward_record *record)
{
    struct load load = {0};
    bump(&server->seq_taken[record->class][record->seq]);
    server->taken[record->class]++;
    if (record->class == FORWARD_EVENT && record->kind == FORWARD_KIND_GAP) {
        take_gap(server, record);
        return;
    }
    memcpy(&load, record->data, MIN(record->len, sizeof load));
    if (record->class == FORWARD_EVENT)
        bump(&server->event_taken[load.id]);
    if (record->class == FORWARD_METRIC &&
        (load.count != 1ull << record->level || (load.count == 1 && load.sum != load.id))) {
        wrong(server, "carries another number of windows than its level says", "metric", record->seq);
        server->wrong_sums++;
    }
}

static uint64_t post(struct server *server, const char *stream, const struct forward_record *record)
{
    if (!str_eq(server->stream, stream)) {
        str_copy(server->stream, sizeof server->stream, stream);
        memset(server->last, 0, sizeof server->last);
    }
    if (record->seq > server->last[record->class]) {
        take(server, record);
        server->last[record->class] = record->seq;
    } else {
        server->again[record->class]++;
    }
    return server->last[record->class];
}

/* Between robot and server: a request, then the number that is acknowledged. The server is the parent: what kills the robot does not kill it. */

struct request {
    char stream[33];
    struct forward_record record;
    uint8_t data[4096];
};

static uint64_t ask(const struct campaign *campaign, const char *stream, const struct forward_record *record)
{
    struct request request = {.record = *record};
    uint64_t acked = 0;
    str_copy(request.stream, sizeof request.stream, stream);
    if (record->len > sizeof request.data)
        return 0;
    memcpy(request.data, record->data, record->len);
    if (campaign->line < 0)
        return post(campaign->server, stream, record);
    if (send(campaign->line, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request ||
        recv(campaign->line, &acked, sizeof acked, 0) != (ssize_t)sizeof acked)
        _exit(3);
    return acked;
}

/* Until the robot is gone; kills it at `until_ms` (0: never). */
static void serve(const struct campaign *campaign, int line, pid_t robot, int64_t until_ns)
{
    struct request request;
    bool killed = until_ns == 0;
    for (;;) {
        int64_t left_ns = until_ns - clock_mono_ns();
        if (!killed && left_ns <= 0) {
            kill(robot, SIGKILL);
            killed = true;
        }
        const struct timespec wait = {.tv_nsec = killed ? 500000000 : (long)left_ns};
        struct pollfd poll = {.fd = line, .events = POLLIN};
        if (ppoll(&poll, 1, &wait, NULL) <= 0)
            continue;
        if (recv(line, &request, sizeof request, 0) != (ssize_t)sizeof request)
            return;
        request.record.data = request.data;
        uint64_t acked = post(campaign->server, request.stream, &request.record);
        if (send(line, &acked, sizeof acked, MSG_NOSIGNAL) < 0)
            continue;
    }
}

/* The robot. */

static int merge(const struct forward_record *a, const struct forward_record *b, struct buf *out, void *arg,
                 struct err *err)
{
    struct load x = {0}, y = {0};
    memcpy(&x, a->data, MIN(a->len, sizeof x));
    memcpy(&y, b->data, MIN(b->len, sizeof y));
    y.count += x.count;
    y.sum += x.sum;
    return buf_put(out, &y, b->len, err) < 0 ? -1 : 1;
}

static int append(struct campaign *campaign, struct forward *forward, struct err *err)
{
    static const enum forward_class classes[] = {FORWARD_EVENT,  FORWARD_METRIC, FORWARD_METRIC,
                                                 FORWARD_METRIC, FORWARD_SAMPLE, FORWARD_SAMPLE};
    enum forward_class class = classes[random_below(campaign, ARRAY_LEN(classes))];
    struct server *server = campaign->server;
    struct load load = {.count = 1};
    load.id = class == FORWARD_EVENT ? server->next_event++ : forward_last(forward, class) + 1;
    load.sum = load.id;
    size_t len = 24 + random_below(campaign, class == FORWARD_EVENT ? 60 : sizeof load.filling);
    uint8_t kind = random_below(campaign, 5) ? KIND_A : KIND_B;
    if (forward_append(forward, class, kind, server->clock_ms, &load, len, err) < 0) {
        if (err->code != ERR_NO_SPACE)
            return -1;
        *err = (struct err){0};
        return 0;
    }
    server->appended[class]++;
    server->given[class] = forward_last(forward, class);
    if (class == FORWARD_EVENT)
        server->event_promised[load.id] = 1;
    return 0;
}

static int send_some(struct campaign *campaign, struct forward *forward, enum forward_class class,
                     uint64_t most, struct err *err)
{
    uint64_t after = 0, acked = 0;
    for (uint64_t i = 0; i < most; i++) {
        struct forward_record record;
        int some = forward_next(forward, class, after, &record, err);
        if (some < 0)
            return -1;
        if (some == 0)
            break;
        after = record.seq;
        acked = ask(campaign, forward_stream(forward), &record);
    }
    if (!acked || random_below(campaign, 4) == 0) /* the answer was lost */
        return 0;
    return forward_ack(forward, class, acked, err);
}

static int step(struct campaign *campaign, struct forward *forward, bool linked, struct err *err)
{
    struct server *server = campaign->server;
    server->clock_ms += 300;
    forward_tick(forward, server->clock_ms);
    if (append(campaign, forward, err) < 0)
        return -1;
    if (!linked || random_below(campaign, 3))
        return 0;
    for (size_t i = 0; i < FORWARD_CLASSES; i++)
        if (send_some(campaign, forward, (enum forward_class)i, 1 + random_below(campaign, 8), err) < 0)
            return -1;
    return 0;
}

static int live(struct campaign *campaign, bool for_ever, struct err *err)
{
    cleanup_forward struct forward *forward = NULL;
    const struct forward_options options = {
        .dir = campaign->log, .quota_bytes = QUOTA, .merge = merge, .boot = campaign->boot};
    bool linked = random_below(campaign, 2) == 0;
    if (forward_open(&options, campaign->server->clock_ms, &forward, err) < 0)
        return -1;
    for (int i = 0; i < STEPS || for_ever; i++)
        if (step(campaign, forward, linked, err) < 0)
            return -1;
    return 0;
}

static int send_all(struct campaign *campaign, struct err *err)
{
    cleanup_forward struct forward *forward = NULL;
    const struct forward_options options = {
        .dir = campaign->log, .quota_bytes = QUOTA, .merge = merge, .boot = campaign->boot};
    if (forward_open(&options, campaign->server->clock_ms, &forward, err) < 0)
        return -1;
    for (size_t i = FORWARD_CLASSES; i > 0; i--) /* events last: the GAPs of the others are among them */
        while (forward_pending(forward, (enum forward_class)(i - 1)) > 0)
            if (send_some(campaign, forward, (enum forward_class)(i - 1), 64, err) < 0)
                return -1;
    return 0;
}

/* The end of a life. */

static void child(struct campaign *campaign, long cut_at)
{
    struct err err = {0};
    if (cut_at)
        powercut_arm(CUT_POWER, cut_at, campaign->graves);
    if (live(campaign, !cut_at, &err) == 0)
        _exit(0);
    campaign->server->failed = true;
    if (!campaign->server->first_wrong[0])
        snprintf(campaign->server->first_wrong, sizeof campaign->server->first_wrong, "%.150s", err.text);
    _exit(1);
}

/* `cut_at`: which change of the file system does not happen any more; 0: a kill. */
static int one_life(struct campaign *campaign, long cut_at, struct err *err)
{
    int64_t pause_us = (int64_t)random_below(campaign, 40000);
    int lines[2];
    campaign->random += 0x9e3779b97f4a7c15u;
    if (cut_at &&
        (file_remove_tree(campaign->graves, err) < 0 || file_make_dirs(campaign->graves, 0700, err) < 0))
        return -1;
    fflush(NULL);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lines) < 0)
        return err_errno(err, "socket");
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, "fork");
    if (pid == 0) {
        close(lines[0]);
        campaign->line = lines[1];
        child(campaign, cut_at);
    }
    close(lines[1]);
    serve(campaign, lines[0], pid, cut_at ? 0 : clock_mono_ns() + pause_us * 1000);
    close(lines[0]);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return err_errno(err, "waitpid");
    if (campaign->server->failed)
        return err_set(err, ERR_INTERNAL, "%s", campaign->server->first_wrong);
    return 0;
}

/* The books. */

static void judge_events(const struct server *server, struct campaign_result *out, struct server *notes)
{
    for (uint64_t id = 0; id < server->next_event; id++) {
        if (server->event_promised[id] && !server->event_taken[id]) {
            out->lost++;
            wrong(notes, "was promised and is lost", "event", id);
        }
        if (server->event_taken[id] > 1) {
            out->doubled++;
            wrong(notes, "was taken twice", "event", id);
        }
    }
}

static void judge_class(const struct server *server, enum forward_class class, uint64_t last,
                        struct campaign_result *out, struct server *notes)
{
    const char *name = class == FORWARD_METRIC ? "metric" : "sample";
    for (uint64_t seq = 1; seq <= last; seq++) {
        unsigned taken = server->seq_taken[class][seq], in_gap = server->seq_in_gap[class][seq];
        out->doubled += taken > 1;
        out->explained_twice += in_gap > 1 || (in_gap && taken);
        out->unexplained += !taken && !in_gap;
        if (!taken && !in_gap)
            wrong(notes, "was neither taken nor is it inside of a GAP", name, seq);
        else if (taken + in_gap > 1)
            wrong(notes, taken ? "was taken and is inside of a GAP" : "is inside of two GAPs", name, seq);
    }
}

static void judge(const struct campaign *campaign, struct campaign_result *out)
{
    struct server *server = campaign->server;
    judge_events(server, out, server);
    for (size_t i = 0; i < FORWARD_CLASSES; i++) {
        out->appended[i] = server->appended[i];
        out->taken[i] = server->taken[i];
        out->offered_again[i] = server->again[i];
        if (i != FORWARD_EVENT)
            judge_class(server, (enum forward_class)i, server->given[i], out, server);
    }
    out->gaps = server->gaps;
    out->in_gaps = server->in_gaps;
    out->merged = server->merged;
    out->restarts = server->restarts;
    out->wrong_sums = server->wrong_sums;
    str_copy(out->first_wrong, sizeof out->first_wrong, server->first_wrong);
}

static int run(struct campaign *campaign, struct campaign_result *out, struct err *err)
{
    const struct campaign_options *options = campaign->options;
    long all = options->kills + options->cuts;
    while (out->kills + out->cuts < all) {
        bool cut =
            out->kills == options->kills || (out->cuts < options->cuts && random_below(campaign, 2) == 0);
        if (one_life(campaign, cut ? 1 + out->cuts % MOST_CHANGES : 0, err) < 0)
            return -1;
        out->lives++;
        *(cut ? &out->cuts : &out->kills) += 1;
        if (cut) /* the machine starts anew */
            snprintf(campaign->boot, sizeof campaign->boot, "boot-%ld", out->lives);
        if (options->progress)
            options->progress(out->kills + out->cuts, all);
    }
    return send_all(campaign, err);
}

int campaign_run(const struct campaign_options *options, struct campaign_result *out, struct err *err)
{
    struct campaign campaign = {.options = options, .random = options->seed, .boot = "boot-0", .line = -1};
    *out = (struct campaign_result){0};
    snprintf(campaign.log, sizeof campaign.log, "%s/log", options->dir);
    snprintf(campaign.graves, sizeof campaign.graves, "%s/graves", options->dir);
    campaign.server =
        mmap(NULL, sizeof *campaign.server, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (campaign.server == MAP_FAILED)
        return err_errno(err, "memory");
    campaign.server->clock_ms = 1700000000000;
    int rc = run(&campaign, out, err);
    if (rc == 0)
        judge(&campaign, out);
    munmap(campaign.server, sizeof *campaign.server);
    return rc;
}
