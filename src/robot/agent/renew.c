#include "robot/agent/renew.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/anchor.h"
#include "robot/agent/backoff.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"
#include "wire/instant.h"

#include <sys/random.h>
#include <unistd.h>

enum { DAY_S = 86400, ROOT_SLACK_S = 90 * DAY_S };
enum { MAX_BACKOFF_MS = 600000, MIN_BACKOFF_MS = 500, ANSWER_TIMEOUT_MS = 20000, JITTER_PERCENT = 10 };

enum renew_file { RENEW_CA, RENEW_KEY, RENEW_CERT, RENEW_NEXT, RENEW_CSR, RENEW_FILES };
static const char *const file_names[RENEW_FILES] = {
    [RENEW_CA] = "ca.pem",
    [RENEW_KEY] = "device.key",
    [RENEW_CERT] = "device.pem",
    [RENEW_NEXT] = "device.pem.next", /* only ever looked at by the one who wrote it */
    [RENEW_CSR] = "device.csr",
};

struct renew {
    struct renew_options options;
    char *paths[RENEW_FILES];
    int64_t due_ms; /* monotonic */
    bool kept;      /* a new certificate is on the disk and not in use yet */
    int transfer;
    struct backoff backoff;
    char complained[sizeof((struct err *)0)->text];
};

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

/* ---- when ---- */

static int64_t life_s(int64_t from_s, int64_t until_s)
{
    return MAX(until_s - from_s - CERT_BACKDATE_S, (int64_t)1);
}

int64_t renew_delay_ms(int64_t from_s, int64_t until_s, int64_t wall_s, uint32_t random)
{
    int64_t half_ms = life_s(from_s, until_s) * 500;
    int64_t width_ms = half_ms * JITTER_PERCENT / 100;
    int64_t passed_ms = (wall_s - from_s - CERT_BACKDATE_S) * 1000;
    if (wall_s < from_s || wall_s > until_s)
        return 0;
    int64_t jitter_ms = width_ms > 0 ? (int64_t)(random % (uint64_t)(2 * width_ms + 1)) - width_ms : 0;
    return MAX(half_ms + jitter_ms - MAX(passed_ms, (int64_t)0), (int64_t)0);
}

/* `fresh`: it was issued just now, whatever the clock says. */
static int schedule(struct renew *renew, bool fresh, struct err *err)
{
    int64_t from_s, until_s;
    if (cert_validity(renew->paths[RENEW_CERT], &from_s, &until_s, err) < 0)
        return -1;
    int64_t wall_s = fresh ? from_s + CERT_BACKDATE_S : clock_wall_ms() / 1000;
    renew->due_ms = clock_mono_ms() + renew_delay_ms(from_s, until_s, wall_s, random_bits());
    renew->backoff.min_ms = MIN_BACKOFF_MS;
    renew->backoff.max_ms =
        MIN(MAX(life_s(from_s, until_s) * 50, (int64_t)MIN_BACKOFF_MS), (int64_t)MAX_BACKOFF_MS);
    fetch_raise_clock_floor(renew->options.fetch, from_s);
    return 0;
}

int renew_new(const struct renew_options *options, struct renew **out, struct err *err)
{
    cleanup_renew struct renew *renew = mem_zalloc(1, sizeof *renew);
    if (!renew)
        return err_no_memory(err);
    renew->options = *options;
    for (int i = 0; i < RENEW_FILES; i++)
        if (!(renew->paths[i] = store_path(options->store, file_names[i])))
            return err_no_memory(err);
    if (schedule(renew, false, err) < 0)
        return -1;
    *out = TAKE_PTR(renew);
    return 0;
}

void renew_free(struct renew *renew)
{
    if (!renew)
        return;
    if (renew->transfer)
        fetch_cancel(renew->options.fetch, renew->transfer);
    for (int i = 0; i < RENEW_FILES; i++)
        free(renew->paths[i]);
    free(renew);
}

static void failed(struct renew *renew, const struct err *err)
{
    backoff_failed(&renew->backoff, clock_mono_ms(), random_bits());
    if (str_eq(renew->complained, err->text))
        return;
    str_copy(renew->complained, sizeof renew->complained, err->text);
    log_warn("certificate: cannot be renewed: %s", err->text);
}

/* ---- the answer ---- */

int64_t renew_latest_s(int64_t wall_s, int64_t root_until_s)
{
    return root_until_s ? MAX(wall_s + DAY_S, root_until_s + ROOT_SLACK_S) : INT64_MAX;
}

static int check_beginning(const struct renew *renew, const struct api_enrolled *answer, struct err *err)
{
    const struct anchor *anchor = renew->options.anchor;
    int64_t from_s, until_s, root_s = anchor ? anchor_root_until_s(anchor) : 0;
    char text[INSTANT_SIZE];
    if (cert_validity_pem(answer->certificate, strlen(answer->certificate), &from_s, &until_s, err) < 0)
        return -1;
    if (from_s <= renew_latest_s(clock_wall_ms() / 1000, root_s))
        return 0;
    instant_format(from_s, text);
    return err_set(err, ERR_UNTRUSTED,
                   "it begins at %s, which is too far ahead; is the server's clock right?", text);
}

/* A certificate that does not hold, or is not what was asked for, must not take the place of one that does. With it goes the request: another one
 * may have a better answer. */
static int check_next(const struct renew *renew, const struct api_enrolled *answer, struct err *err)
{
    const char *next = renew->paths[RENEW_NEXT];
    if (file_replace(next, answer->certificate, strlen(answer->certificate), 0600, err) < 0)
        return -1;
    int rc = cert_check(renew->paths[RENEW_CA], next, renew->paths[RENEW_KEY], renew->options.robot, err);
    if (rc == 0)
        rc = check_beginning(renew, answer, err);
    unlink(next);
    if (rc < 0 && (err->code == ERR_UNTRUSTED || err->code == ERR_INVALID))
        unlink(renew->paths[RENEW_CSR]);
    return rc;
}

/* The request goes last: with it gone, the next one is another one. */
static int keep(struct renew *renew, const struct api_enrolled *answer, struct err *err)
{
    if (file_replace(renew->paths[RENEW_CERT], answer->certificate, strlen(answer->certificate), 0600, err) <
        0)
        return -1;
    renew->kept = true;
    unlink(renew->paths[RENEW_CSR]);
    return 0;
}

static int use(struct renew *renew, struct err *err)
{
    if (fetch_use_identity(renew->options.fetch, renew->paths[RENEW_CA], renew->paths[RENEW_CERT],
                           renew->paths[RENEW_KEY], err) < 0)
        return -1;
    renew->kept = false;
    renew->complained[0] = 0;
    backoff_reset(&renew->backoff);
    log_info("certificate: renewed");
    return schedule(renew, true, err);
}

static int take_answer(struct renew *renew, const struct fetch_response *response, struct err *err)
{
    cleanup_free struct api_enrolled *answer = mem_zalloc(1, sizeof *answer);
    if (!answer)
        return err_no_memory(err);
    if (response->err.code != ERR_NONE)
        return *err = response->err, -1;
    if (api_enrolled_parse(response->body.data, response->body.len, answer, err) < 0 ||
        check_next(renew, answer, err) < 0)
        return -1;
    return keep(renew, answer, err) < 0 ? -1 : use(renew, err);
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct renew *renew = arg;
    struct err err = {0};
    renew->transfer = 0;
    if (take_answer(renew, response, &err) < 0)
        failed(renew, &err);
}

/* ---- the question ---- */

/* The one that was asked before, or a new one, which is on the disk before it is sent. */
static int load_request(const struct renew *renew, struct api_renew *out, struct err *err)
{
    cleanup_buf struct buf kept = BUF_INIT(sizeof out->csr - 1);
    cleanup_free char *csr = NULL;
    struct err none = {0};
    if (file_read(renew->paths[RENEW_CSR], &kept, &none) == 0 && kept.len > 0)
        return str_copy(out->csr, sizeof out->csr, buf_text(&kept)), 0;
    if (csr_remake(renew->paths[RENEW_KEY], renew->options.robot, &csr, err) < 0 ||
        file_replace(renew->paths[RENEW_CSR], csr, strlen(csr), 0600, err) < 0)
        return -1;
    return str_copy(out->csr, sizeof out->csr, csr) ? 0 : err_set(err, ERR_INTERNAL, "request too long");
}

static int ask(struct renew *renew, struct err *err)
{
    cleanup_free struct api_renew *message = mem_zalloc(1, sizeof *message);
    cleanup_free char *url = mem_printf("%s/api/v1/renew", renew->options.server);
    if (!message || !url)
        return err_no_memory(err);
    if (load_request(renew, message, err) < 0)
        return -1;
    cleanup_free char *text = api_renew_format(message);
    if (!text)
        return err_no_memory(err);
    const struct fetch_request request = {.method = "POST",
                                          .url = url,
                                          .content_type = "application/json",
                                          .body = text,
                                          .body_len = strlen(text),
                                          .timeout_ms = ANSWER_TIMEOUT_MS,
                                          .max_bytes = 64 << 10};
    return fetch_start(renew->options.fetch, &request, on_answer, renew, &renew->transfer, err);
}

void renew_tick(struct renew *renew, int64_t now_ms)
{
    struct err err = {0};
    if (renew->transfer || now_ms < renew->due_ms || !backoff_ready(&renew->backoff, now_ms))
        return;
    if ((renew->kept ? use(renew, &err) : ask(renew, &err)) < 0) {
        renew->transfer = 0;
        failed(renew, &err);
    }
}

int64_t renew_next_ms(const struct renew *renew)
{
    return renew->transfer ? INT64_MAX : MAX(renew->due_ms, renew->backoff.until_ms);
}
