#include "robot/agent/witness.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "sys/file.h"
#include "trust/merkle/answer.h"
#include "trust/rule.h"
#include "wire/json_stream.h"

#include <string.h>
#include <sys/random.h>

enum {
    PERIOD_MS = 3600000,
    PATIENCE_MS = 7200000,
    QUIET_MS = 600000,
    TIMEOUT_MS = 20000,
    MAX_KEYS = 16,
    MAX_EVIDENCE = 16,
    ROOT_MAX = 512 << 10
};

struct witness {
    struct witness_options options;
    int transfer;              /* 0: none */
    int64_t next_ms, quiet_ms; /* not asked out of turn before; monotonic */
    struct backoff backoff;
    enum err_code complained;
    struct checkpoint known; /* size 0: nothing yet */
    char *note;              /* as it was signed; owned; NULL: none */
    int64_t stranger_ms;     /* since when no key of root signs; monotonic; 0: one does */
    bool stranger_told;
};

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

static char *path_of(const struct witness *witness, const char *name)
{
    return file_join(witness->options.dir, name);
}

/* ---- what is known ---- */

static int load(struct witness *witness, struct err *err)
{
    cleanup_free char *path = path_of(witness, "checkpoint");
    cleanup_buf struct buf text = BUF_INIT(CHECKPOINT_MAX_BYTES);
    struct err damaged = {0};
    if (!path)
        return err_no_memory(err);
    if (!file_exists(path))
        return 0;
    if (file_read(path, &text, &damaged) < 0 ||
        checkpoint_parse(buf_text(&text), text.len, &witness->known, &damaged) < 0) {
        log_error("audit log: %s: %s; this robot begins anew as its witness", path, damaged.text);
        witness->known = (struct checkpoint){0};
        return 0;
    }
    witness->note = buf_take(&text);
    return witness->note ? 0 : err_no_memory(err);
}

static int keep(struct witness *witness, const struct checkpoint *checkpoint, const char *note,
                struct err *err)
{
    cleanup_free char *path = path_of(witness, "checkpoint"), *copy = mem_strdup(note);
    if (!path || !copy)
        return err_no_memory(err);
    if (file_replace(path, note, strlen(note), 0600, err) < 0)
        return -1;
    free(witness->note);
    witness->note = TAKE_PTR(copy);
    witness->known = *checkpoint;
    return 0;
}

/* The keys that the root of trust names for the audit log; what is on the shelf was verified. */
static size_t read_keys(const struct witness *witness, struct public_key keys[MAX_KEYS])
{
    cleanup_free char *path = path_of(witness, "root.json");
    cleanup_buf struct buf text = BUF_INIT(ROOT_MAX);
    cleanup_tuf_metadata struct tuf_metadata root = {0};
    struct err err = {0};
    if (!path || !file_exists(path) || file_read(path, &text, &err) < 0 ||
        tuf_metadata_parse(buf_text(&text), text.len, &root, &err) < 0 || root.kind != TUF_ROOT)
        return 0;
    return checkpoint_root_keys(&root.root, keys, MAX_KEYS);
}

/* ---- what contradicts it ---- */

static char *format_evidence(const struct witness *witness, const char *text,
                             const struct checkpoint_answer *answer)
{
    cleanup_json_writer struct json_writer w;
    struct err err = {0};
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "time_ms", clock_wall_ms());
    jsonw_text(&w, "violation", text);
    jsonw_text(&w, "known", witness->note ? witness->note : "");
    jsonw_text(&w, "given", answer->text);
    jsonw_array(&w, "consistency");
    for (size_t i = 0; i < answer->consistency.count; i++)
        jsonw_digest(&w, NULL, &answer->consistency.hashes[i]);
    jsonw_close(&w);
    jsonw_close(&w);
    return jsonw_take(&w, &err);
}

static int save_evidence(const struct witness *witness, const char *text,
                         const struct checkpoint_answer *answer, struct err *err)
{
    cleanup_free char *evidence = format_evidence(witness, text, answer);
    if (!evidence)
        return err_no_memory(err);
    for (int i = 1; i <= MAX_EVIDENCE; i++) {
        char name[40];
        snprintf(name, sizeof name, "audit-evidence-%d.json", i);
        cleanup_free char *path = path_of(witness, name);
        if (!path)
            return err_no_memory(err);
        if (!file_exists(path))
            return file_replace(path, evidence, strlen(evidence), 0600, err);
    }
    return err_set(err, ERR_NO_SPACE, "%d evidences are kept already", MAX_EVIDENCE);
}

/* First the evidence is on the disk, then it is told, then the robot goes on from what it was shown. */
static void convict(struct witness *witness, const struct checkpoint_answer *answer,
                    const struct checkpoint *now, const char *text)
{
    struct err err = {0};
    log_error("audit log of the server: %s", text);
    if (save_evidence(witness, text, answer, &err) < 0)
        log_error("audit log: the evidence could not be kept: %s", err.text);
    if (witness->options.violated)
        witness->options.violated(text, witness->options.arg);
    if (now->size && keep(witness, now, answer->text, &err) < 0)
        log_error("audit log: %s", err.text);
}

/* Told once each time that it begins. */
static bool is_lasting(struct witness *witness)
{
    int64_t now_ms = clock_mono_ms();
    if (!witness->stranger_ms) {
        witness->stranger_ms = now_ms;
        witness->stranger_told = false;
    }
    bool tell = !witness->stranger_told && now_ms - witness->stranger_ms >= witness->options.patience_ms;
    witness->stranger_told = witness->stranger_told || tell;
    return tell;
}

static int judge(struct witness *witness, const struct checkpoint_answer *answer,
                 const struct public_key *keys, size_t count, struct err *err)
{
    struct checkpoint now = {0};
    int rc = checkpoint_follows(&witness->known, answer, keys, count, &now, err);
    if (rc == 0) {
        witness->stranger_ms = 0;
        bool news = now.size != witness->known.size;
        return news ? keep(witness, &now, answer->text, err) : 0;
    }
    if (err->code != ERR_UNTRUSTED)
        return -1;
    if (trust_rule_of(err->text) != TRUST_AUDIT_SIGNATURE) {
        witness->stranger_ms = 0;
    } else if (!is_lasting(witness)) {
        log_warn("audit log: %s", err->text);
        *err = (struct err){0};
        return 0;
    }
    convict(witness, answer, &now, err->text);
    return -1;
}

int witness_judge(struct witness *witness, const void *answer, size_t len, struct err *err)
{
    struct public_key keys[MAX_KEYS];
    size_t count = read_keys(witness, keys);
    cleanup_free struct checkpoint_answer *parsed = mem_zalloc(1, sizeof *parsed);
    if (!parsed)
        return err_no_memory(err);
    if (!count)
        return 0;
    return checkpoint_answer_parse(answer, len, parsed, err) < 0 ? -1
                                                                 : judge(witness, parsed, keys, count, err);
}

/* ---- asking ---- */

int witness_new(const struct witness_options *options, struct witness **out, struct err *err)
{
    cleanup_witness struct witness *witness = mem_zalloc(1, sizeof *witness);
    if (!witness)
        return err_no_memory(err);
    witness->options = *options;
    if (!witness->options.period_ms)
        witness->options.period_ms = PERIOD_MS;
    if (!witness->options.patience_ms)
        witness->options.patience_ms = PATIENCE_MS;
    witness->backoff = (struct backoff){.min_ms = 1000, .max_ms = 60000};
    if (load(witness, err) < 0)
        return -1;
    *out = TAKE_PTR(witness);
    return 0;
}

void witness_free(struct witness *witness)
{
    if (!witness)
        return;
    if (witness->transfer)
        fetch_cancel(witness->options.fetch, witness->transfer);
    free(witness->note);
    free(witness);
}

/* Each kind of trouble of the way is logged once; a violation has said what it is. */
static void settle(struct witness *witness, const struct err *err)
{
    int64_t now_ms = clock_mono_ms(), period_ms = witness->options.period_ms;
    if (err->code == ERR_UNTRUSTED)
        witness->quiet_ms = now_ms + QUIET_MS;
    if (err->code == ERR_NONE || err->code == ERR_UNTRUSTED) {
        backoff_reset(&witness->backoff);
        witness->complained = ERR_NONE;
        witness->next_ms = now_ms + period_ms / 2 + (int64_t)(random_bits() % (uint32_t)(period_ms + 1));
        return;
    }
    if (witness->complained != err->code)
        log_warn("audit log: %s", err->text);
    witness->complained = err->code;
    backoff_failed(&witness->backoff, now_ms, random_bits());
    witness->next_ms = witness->backoff.until_ms;
}

static void on_answer(const struct fetch_response *response, void *arg)
{
    struct witness *witness = arg;
    struct err err = response->err;
    witness->transfer = 0;
    if (err.code == ERR_UNTRUSTED)
        err.code = ERR_UNREACHABLE; /* the way, not the log */
    if (err.code == ERR_NONE && response->status == 200 &&
        witness_judge(witness, response->body.data, response->body.len, &err) == 0)
        err = (struct err){0};
    settle(witness, &err);
}

void witness_tick(struct witness *witness, int64_t now_ms)
{
    struct public_key keys[MAX_KEYS];
    struct err err = {0};
    if (witness->transfer || now_ms < witness->next_ms)
        return;
    if (!read_keys(witness, keys)) { /* nobody to believe yet */
        witness->next_ms = now_ms + 60000;
        return;
    }
    cleanup_free char *url = mem_printf("%s/api/v1/audit/checkpoint?since=%llu", witness->options.server,
                                        (unsigned long long)witness->known.size);
    struct fetch_request request = {
        .method = "GET", .url = url, .timeout_ms = TIMEOUT_MS, .max_bytes = CHECKPOINT_ANSWER_MAX_BYTES};
    if (!url)
        err_no_memory(&err);
    else if (fetch_start(witness->options.fetch, &request, on_answer, witness, &witness->transfer, &err) == 0)
        return;
    witness->transfer = 0;
    settle(witness, &err);
}

int64_t witness_next_ms(const struct witness *witness)
{
    return witness->transfer ? INT64_MAX : witness->next_ms;
}

void witness_soon(struct witness *witness)
{
    int64_t now_ms = clock_mono_ms();
    if (!backoff_ready(&witness->backoff, now_ms) || now_ms < witness->quiet_ms)
        return;
    witness->next_ms = 0;
}
