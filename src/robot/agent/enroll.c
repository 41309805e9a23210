#include "robot/agent/enroll.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"

#include <errno.h>
#include <sys/random.h>

struct enroll {
    const struct agent_config *config;
    const struct store *store;
    struct fetch *fetch;
    int transfer;
    bool done;
    struct backoff backoff;
    char complained[sizeof((struct err *)0)->text];
};

bool enroll_done(const struct store *store)
{
    cleanup_free char *cert = store_path(store, "device.pem");
    return cert && file_exists(cert);
}

int enroll_new(const struct agent_config *config, const struct store *store, struct enroll **out,
               struct err *err)
{
    if (!config->enroll_url[0] || !config->enroll_token_file[0] || !config->ca[0])
        return err_set(
            err, ERR_USAGE,
            "this robot has no certificate yet: --enroll-url, --enroll-token-file and --ca are needed");
    cleanup_enroll struct enroll *enroll = mem_zalloc(1, sizeof *enroll);
    if (!enroll)
        return err_no_memory(err);
    enroll->config = config;
    enroll->store = store;
    enroll->backoff = (struct backoff){.min_ms = 200, .max_ms = 5000};
    int64_t from_s = 0, until_s;
    struct err unread = {0};
    if (cert_validity(config->ca, &from_s, &until_s, &unread) < 0)
        from_s = 0; /* fetch_new says what is wrong with it */
    struct fetch_options options = {
        .ca_path = config->ca, .clock_floor_s = from_s, .parse_error = api_error_parse};
    if (fetch_new(&options, &enroll->fetch, err) < 0)
        return -1;
    *out = TAKE_PTR(enroll);
    return 0;
}

void enroll_free(struct enroll *enroll)
{
    if (!enroll)
        return;
    fetch_free(enroll->fetch);
    free(enroll);
}

struct fetch *enroll_fetch(struct enroll *enroll)
{
    return enroll->fetch;
}

static void failed(struct enroll *enroll, const struct err *err)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    backoff_failed(&enroll->backoff, clock_mono_ms(), bits);
    if (str_eq(enroll->complained, err->text))
        return;
    str_copy(enroll->complained, sizeof enroll->complained, err->text);
    log_error("enrolment: %s%s", err->text,
              err->code == ERR_DENIED || err->code == ERR_CONFLICT ? "; put a new token into the token file"
                                                                   : "");
}

static int save(const struct enroll *enroll, const char *name, const char *text, struct err *err)
{
    cleanup_free char *path = store_path(enroll->store, name);
    return path ? file_replace(path, text, strlen(text), 0600, err) : err_no_memory(err);
}

/* The certificate last: its presence says that all is there. A renewal that was asked for before is over. */
static int accept_answer(const struct enroll *enroll, const struct fetch_response *response, struct err *err)
{
    cleanup_free struct api_enrolled *enrolled = mem_zalloc(1, sizeof *enrolled);
    cleanup_free char *asked = store_path(enroll->store, "device.csr");
    if (!enrolled || !asked)
        return err_no_memory(err);
    unlink(asked);
    if (api_enrolled_parse(response->body.data, response->body.len, enrolled, err) < 0 ||
        save(enroll, "ca.pem", enrolled->ca, err) < 0 || save(enroll, "robot-id", enrolled->robot, err) < 0 ||
        save(enroll, "device.pem", enrolled->certificate, err) < 0)
        return -1;
    log_info("enrolled as %s", enrolled->robot);
    return 0;
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct enroll *enroll = arg;
    enroll->transfer = 0;
    struct err err = response->err;
    if (err.code != ERR_NONE || accept_answer(enroll, response, &err) < 0)
        failed(enroll, &err);
    else
        enroll->done = true;
}

static int read_token(const struct enroll *enroll, char out[65], struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(256);
    if (file_read(enroll->config->enroll_token_file, &text, err) < 0)
        return err_prefix(err, "token file");
    size_t len = strcspn(buf_text(&text), " \r\n\t");
    if (len == 0 || len > 64)
        return err_set(err, ERR_INVALID, "token file %s: holds no token", enroll->config->enroll_token_file);
    memcpy(out, text.data, len);
    out[len] = 0;
    return 0;
}

static int fill_request(const struct enroll *enroll, struct api_enroll *out, struct err *err)
{
    cleanup_free char *csr = NULL;
    cleanup_free char *key = store_path(enroll->store, "device.key");
    if (!key)
        return err_no_memory(err);
    bool in_tpm = str_eq(enroll->config->device_key, "tpm");
    if (read_token(enroll, out->token, err) < 0 ||
        (in_tpm ? csr_make_in_tpm : csr_make)(key, enroll->config->robot, &csr, err) < 0)
        return -1;
    return str_copy(out->csr, sizeof out->csr, csr)
               ? 0
               : err_set(err, ERR_INTERNAL, "certificate request too long");
}

static int start(struct enroll *enroll, struct err *err)
{
    cleanup_free struct api_enroll *message = mem_zalloc(1, sizeof *message);
    cleanup_free char *url = mem_printf("%s/api/v1/enroll", enroll->config->enroll_url);
    if (!message || !url)
        return err_no_memory(err);
    if (fill_request(enroll, message, err) < 0)
        return -1;
    cleanup_free char *text = api_enroll_format(message);
    if (!text)
        return err_no_memory(err);
    struct fetch_request request = {.method = "POST",
                                    .url = url,
                                    .content_type = "application/json",
                                    .body = text,
                                    .body_len = strlen(text),
                                    .timeout_ms = 20000,
                                    .max_bytes = 64 << 10};
    return fetch_start(enroll->fetch, &request, on_answer, enroll, &enroll->transfer, err);
}

bool enroll_tick(struct enroll *enroll, int64_t now_ms)
{
    struct err err = {0};
    if (enroll->done) {
        if (unlink(enroll->config->enroll_token_file) < 0 && errno != ENOENT)
            log_warn("%s: %s", enroll->config->enroll_token_file, strerror(errno));
        return true;
    }
    if (enroll->transfer == 0 && backoff_ready(&enroll->backoff, now_ms) && start(enroll, &err) < 0)
        failed(enroll, &err);
    return false;
}

int64_t enroll_next_ms(const struct enroll *enroll)
{
    if (enroll->done)
        return 0;
    return enroll->transfer ? INT64_MAX : enroll->backoff.until_ms;
}
