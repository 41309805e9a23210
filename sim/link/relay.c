#include "sim/link/link.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sim/world/prng.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PAIRS = 64, PIECES = 32, PIECE_BYTES = 4096, TICK_MS = 5 };

struct piece {
    int64_t due_ms;
    size_t len, sent;
    uint8_t data[PIECE_BYTES];
};

struct way { /* one direction of a connection */
    int from, to;
    size_t first, count;          /* ring of pieces */
    int64_t last_due_ms, free_ms; /* when the line is free again at its rate */
    bool ended;
    struct piece pieces[PIECES];
};

struct pair {
    bool used, stalled; /* stalled: the link was down, and this one just stands still */
    struct way ways[2];
};

struct relay {
    const struct relay_options *options;
    struct prng rng;
    int listener, log_fd;
    bool up;
    int64_t change_ms, told_ms;
    uint64_t bytes, told_bytes, cut;
    struct pair pairs[MAX_PAIRS];
};

static void say(struct relay *relay, const char *what)
{
    if (relay->log_fd >= 0)
        dprintf(relay->log_fd, "{\"t\":%lld,\"link\":\"%s\",\"bytes\":%llu,\"cut\":%llu}\n",
                (long long)clock_wall_ms(), what, (unsigned long long)relay->bytes,
                (unsigned long long)relay->cut);
}

static void drop(struct pair *pair)
{
    close(pair->ways[0].from);
    close(pair->ways[1].from);
    pair->used = false;
}

static int64_t spell_ms(struct relay *relay, double mean_s)
{
    return (int64_t)(1000 * mean_s * (0.3 + 1.4 * (double)prng_unit(&relay->rng)));
}

static void turn(struct relay *relay, int64_t now_ms)
{
    if (relay->options->down_s <= 0 || now_ms < relay->change_ms)
        return;
    relay->up = !relay->up;
    relay->change_ms = now_ms + spell_ms(relay, relay->up ? relay->options->up_s : relay->options->down_s);
    for (size_t i = 0; i < MAX_PAIRS && !relay->up; i++) {
        struct pair *pair = &relay->pairs[i];
        if (!pair->used)
            continue;
        relay->cut++;
        if (prng_chance(&relay->rng, 0.5f))
            drop(pair);
        else
            pair->stalled = true;
    }
    say(relay, relay->up ? "up" : "down");
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void prepare(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void take_caller(struct relay *relay)
{
    int caller = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC), server = -1;
    struct pair *pair = NULL;
    for (size_t i = 0; i < MAX_PAIRS && !pair; i++)
        pair = relay->pairs[i].used ? NULL : &relay->pairs[i];
    if (caller < 0)
        return;
    if (!pair || !relay->up || (server = connect_to(relay->options->to_port)) < 0) {
        close(caller);
        return;
    }
    prepare(caller);
    prepare(server);
    memset(pair, 0, sizeof *pair);
    pair->used = true;
    pair->ways[0] = (struct way){.from = caller, .to = server};
    pair->ways[1] = (struct way){.from = server, .to = caller};
}

/* When a piece arrives: behind all before it, after its delay, at the rate of the line. */
static int64_t due_for(struct relay *relay, struct way *way, size_t len, int64_t now_ms)
{
    const struct relay_options *o = relay->options;
    int64_t start = MAX(now_ms, way->free_ms);
    way->free_ms = o->rate > 0 ? start + (int64_t)(1000 * (double)len / o->rate) : start;
    double late = o->delay_ms + o->jitter_ms * (double)prng_unit(&relay->rng);
    if (prng_chance(&relay->rng, (float)o->loss))
        late += 200 + 800 * (double)prng_unit(&relay->rng);
    way->last_due_ms = MAX(way->last_due_ms, way->free_ms + (int64_t)late);
    return way->last_due_ms;
}

/* False: this direction is over. */
static bool take_in(struct relay *relay, struct way *way, int64_t now_ms)
{
    while (way->count < PIECES && !way->ended) {
        struct piece *piece = &way->pieces[(way->first + way->count) % PIECES];
        ssize_t got = read(way->from, piece->data, sizeof piece->data);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        if (got == 0) {
            way->ended = true;
            return true;
        }
        piece->due_ms = due_for(relay, way, (size_t)got, now_ms);
        piece->len = (size_t)got;
        piece->sent = 0;
        way->count++;
    }
    return true;
}

static bool let_out(struct relay *relay, struct way *way, int64_t now_ms)
{
    while (way->count && way->pieces[way->first].due_ms <= now_ms) {
        struct piece *piece = &way->pieces[way->first];
        ssize_t put = send(way->to, piece->data + piece->sent, piece->len - piece->sent, MSG_NOSIGNAL);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR;
        piece->sent += (size_t)put;
        relay->bytes += (uint64_t)put;
        if (piece->sent < piece->len)
            return true;
        way->first = (way->first + 1) % PIECES;
        way->count--;
    }
    return !way->ended || way->count;
}

static void carry(struct relay *relay, struct pair *pair, int64_t now_ms)
{
    if (!relay->up || pair->stalled)
        return;
    for (int i = 0; i < 2; i++)
        if (!take_in(relay, &pair->ways[i], now_ms) || !let_out(relay, &pair->ways[i], now_ms)) {
            drop(pair);
            return;
        }
}

static int listen_on(struct relay *relay, uint16_t *out_port, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(relay->options->listen_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int one = 1;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (relay->listener < 0)
        return err_errno(err, "socket");
    setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(relay->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(relay->listener, 64) < 0 ||
        getsockname(relay->listener, (struct sockaddr *)&at, &len) < 0)
        return err_errno(err, "listen on port %u", relay->options->listen_port);
    *out_port = ntohs(at.sin_port);
    return 0;
}

static void round_of(struct relay *relay)
{
    struct pollfd ear = {.fd = relay->listener, .events = POLLIN};
    int ignored = poll(&ear, 1, TICK_MS);
    (void)ignored;
    int64_t now_ms = clock_mono_ms();
    turn(relay, now_ms);
    if (ear.revents & POLLIN)
        take_caller(relay);
    for (size_t i = 0; i < MAX_PAIRS; i++)
        if (relay->pairs[i].used)
            carry(relay, &relay->pairs[i], now_ms);
    if (relay->bytes != relay->told_bytes && now_ms - relay->told_ms >= 1000) {
        say(relay, relay->up ? "up" : "down");
        relay->told_bytes = relay->bytes;
        relay->told_ms = now_ms;
    }
}

static int open_all(struct relay *relay, struct err *err)
{
    uint16_t port = 0;
    const struct relay_options *options = relay->options;
    if (options->log_path &&
        (relay->log_fd = open(options->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) < 0)
        return err_errno(err, "%s", options->log_path);
    if (listen_on(relay, &port, err) < 0)
        return -1;
    relay->change_ms = clock_mono_ms() + spell_ms(relay, options->up_s);
    printf("%u\n", port);
    fflush(stdout);
    return 0;
}

int relay_run(const struct relay_options *options, const volatile sig_atomic_t *stop, struct err *err)
{
    cleanup_free struct relay *relay = mem_zalloc(1, sizeof *relay);
    if (!relay)
        return err_no_memory(err);
    relay->options = options;
    relay->rng = prng_of(options->seed, 0x11 * 0x1001);
    relay->listener = relay->log_fd = -1;
    relay->up = true;
    int rc = open_all(relay, err);
    while (rc == 0 && !*stop)
        round_of(relay);
    for (size_t i = 0; i < MAX_PAIRS; i++)
        if (relay->pairs[i].used)
            drop(&relay->pairs[i]);
    mem_cleanup_close(&relay->listener);
    mem_cleanup_close(&relay->log_fd);
    return rc;
}
