#include "robot/store/reports.h"

#include "base/buf.h"
#include "base/hex.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { CHECK_BYTES = 8, STREAM_BYTES = 16, HEADER_BYTES = 8 + STREAM_BYTES + 8 + CHECK_BYTES };
enum { TEXT_BYTES = API_MAX_SUMMARY, VERSION_BYTES = 64 };
enum { RECORD_BYTES = 8 + 8 + 4 + 32 + VERSION_BYTES + 8 + TEXT_BYTES + CHECK_BYTES };

static const char magic[8] = {'M', 'R', 'E', 'P', 'O', 'R', 'T', '1'};

struct report_log {
    char *path;
    int fd;
    uint8_t stream[STREAM_BYTES];
    uint64_t first; /* seq of the first record in the file */
    uint64_t count; /* records in the file */
    uint64_t acked; /* ≥ first - 1 */
};

/* Encoding. */

static void put_number(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | in[i - 1];
    return value;
}

static void seal(uint8_t *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len - CHECK_BYTES);
    memcpy(bytes + len - CHECK_BYTES, digest.bytes, CHECK_BYTES);
}

static bool sealed(const uint8_t *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len - CHECK_BYTES);
    return memcmp(bytes + len - CHECK_BYTES, digest.bytes, CHECK_BYTES) == 0;
}

static void encode_header(const struct report_log *log, uint8_t out[HEADER_BYTES])
{
    memcpy(out, magic, sizeof magic);
    memcpy(out + 8, log->stream, STREAM_BYTES);
    put_number(out + 8 + STREAM_BYTES, log->first, 8);
    seal(out, HEADER_BYTES);
}

static bool decode_header(struct report_log *log, const uint8_t in[HEADER_BYTES])
{
    if (memcmp(in, magic, sizeof magic) != 0 || !sealed(in, HEADER_BYTES))
        return false;
    memcpy(log->stream, in + 8, STREAM_BYTES);
    log->first = get_number(in + 8 + STREAM_BYTES, 8);
    return log->first >= 1;
}

/* Text goes to JSON later: plain ASCII, so that a cut never leaves half a character. */
static void put_text(uint8_t *out, size_t size, const char *text)
{
    memset(out, 0, size);
    for (size_t i = 0; i + 1 < size && text[i]; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? (uint8_t)text[i] : '?';
}

static void encode_record(const struct api_report *report, uint64_t seq, uint8_t out[RECORD_BYTES])
{
    put_number(out, seq, 8);
    put_number(out + 8, (uint64_t)report->time_ms, 8);
    put_number(out + 16, (uint64_t)report->kind, 2);
    put_number(out + 18, (uint64_t)report->guard, 2);
    memcpy(out + 20, report->release.bytes, 32);
    put_text(out + 52, VERSION_BYTES, report->guard ? report->who : report->version);
    put_number(out + 52 + VERSION_BYTES, report->bytes, 8);
    put_text(out + 60 + VERSION_BYTES, TEXT_BYTES, report->text);
    seal(out, RECORD_BYTES);
}

static bool decode_record(const uint8_t in[RECORD_BYTES], uint64_t seq, struct api_report *out)
{
    uint64_t kind = get_number(in + 16, 2), guard = get_number(in + 18, 2);
    if (!sealed(in, RECORD_BYTES) || get_number(in, 8) != seq || kind >= REPORT_KIND_COUNT ||
        guard >= API_GUARD_COUNT)
        return false;
    *out = (struct api_report){.seq = seq,
                               .time_ms = (int64_t)get_number(in + 8, 8),
                               .kind = (enum report_kind)kind,
                               .guard = (enum api_guard)guard};
    memcpy(out->release.bytes, in + 20, 32);
    if (guard)
        memcpy(out->who, in + 52, sizeof out->who - 1);
    else
        memcpy(out->version, in + 52, VERSION_BYTES - 1);
    out->bytes = get_number(in + 52 + VERSION_BYTES, 8);
    memcpy(out->text, in + 60 + VERSION_BYTES, TEXT_BYTES - 1);
    return true;
}

/* The file. */

static off_t record_offset(uint64_t index)
{
    return (off_t)(HEADER_BYTES + index * RECORD_BYTES);
}

static int read_at(int fd, uint8_t *out, size_t len, off_t offset, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, out + done, len - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, "report log");
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "report log: shorter than it was");
        done += (size_t)got;
    }
    return 0;
}

static int write_at(int fd, const uint8_t *data, size_t len, off_t offset, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t put = pwrite(fd, data + done, len - done, offset + (off_t)done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_errno(err, "report log");
        done += (size_t)put;
    }
    return 0;
}

static int reopen(struct report_log *log, struct err *err)
{
    int fd = open(log->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "report log %s", log->path);
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    return 0;
}

/* Replaces the file by an empty one that continues at `first`. The log is as before on failure. */
static int start_file(struct report_log *log, const uint8_t stream[STREAM_BYTES], uint64_t first,
                      struct err *err)
{
    struct report_log fresh = *log;
    memcpy(fresh.stream, stream, STREAM_BYTES);
    fresh.first = first;
    fresh.count = 0;
    fresh.acked = first - 1;
    uint8_t header[HEADER_BYTES];
    encode_header(&fresh, header);
    if (file_replace(log->path, header, sizeof header, 0600, err) < 0 || reopen(&fresh, err) < 0)
        return -1;
    *log = fresh;
    return 0;
}

static int start_stream(struct report_log *log, struct err *err)
{
    uint8_t stream[STREAM_BYTES];
    if (getrandom(stream, sizeof stream, 0) != sizeof stream)
        return err_errno(err, "report log: no random numbers");
    return start_file(log, stream, 1, err);
}

/* A new stream whose first record tells of the loss. */
static int restart_stream(struct report_log *log, int64_t now_ms, const char *why, struct err *err)
{
    if (start_stream(log, err) < 0)
        return -1;
    struct api_report report = {.time_ms = now_ms, .kind = REPORT_RESTARTED};
    snprintf(report.text, sizeof report.text, "reports were lost: %s", why);
    return report_log_append(log, &report, err);
}

/* Counts the good records. *out_damaged: something other than a torn tail follows them. */
static int scan(struct report_log *log, uint64_t size, bool *out_damaged, struct err *err)
{
    uint64_t whole = (size - HEADER_BYTES) / RECORD_BYTES;
    for (log->count = 0; log->count < whole; log->count++) {
        uint8_t bytes[RECORD_BYTES];
        struct api_report report;
        if (read_at(log->fd, bytes, sizeof bytes, record_offset(log->count), err) < 0)
            return -1;
        if (!decode_record(bytes, log->first + log->count, &report))
            break;
    }
    *out_damaged = log->count + 1 < whole;
    return 0;
}

static int cut_tail(struct report_log *log, struct err *err)
{
    if (ftruncate(log->fd, record_offset(log->count)) < 0)
        return err_errno(err, "report log: cannot cut its torn end");
    return 0;
}

static int load(struct report_log *log, int64_t now_ms, struct err *err)
{
    struct stat st;
    if (fstat(log->fd, &st) < 0)
        return err_errno(err, "report log %s", log->path);
    uint8_t header[HEADER_BYTES];
    if (st.st_size < HEADER_BYTES)
        return restart_stream(log, now_ms, "the report log has no header", err);
    if (read_at(log->fd, header, sizeof header, 0, err) < 0)
        return -1;
    if (!decode_header(log, header))
        return restart_stream(log, now_ms, "the report log's header is damaged", err);
    log->acked = log->first - 1;
    bool damaged = false;
    if (scan(log, (uint64_t)st.st_size, &damaged, err) < 0)
        return -1;
    if (damaged)
        return restart_stream(log, now_ms, "the report log is damaged", err);
    return cut_tail(log, err);
}

int report_log_open(const char *path, int64_t now_ms, struct report_log **out, struct err *err)
{
    cleanup_report_log struct report_log *log = mem_zalloc(1, sizeof *log);
    if (!log)
        return err_no_memory(err);
    log->fd = -1;
    log->path = mem_strdup(path);
    if (!log->path)
        return err_no_memory(err);
    log->fd = open(path, O_RDWR | O_CLOEXEC);
    if (log->fd < 0 && errno != ENOENT)
        return err_errno(err, "report log %s", path);
    if ((log->fd < 0 ? start_stream(log, err) : load(log, now_ms, err)) < 0)
        return -1;
    *out = TAKE_PTR(log);
    return 0;
}

void report_log_free(struct report_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    free(log->path);
    free(log);
}

int report_log_append(struct report_log *log, const struct api_report *report, struct err *err)
{
    uint8_t bytes[RECORD_BYTES];
    encode_record(report, log->first + log->count, bytes);
    if (write_at(log->fd, bytes, sizeof bytes, record_offset(log->count), err) == 0) {
        if (fdatasync(log->fd) == 0) {
            log->count++;
            return 0;
        }
        err_errno(err, "report log");
    }
    struct err ignored = {0};
    if (cut_tail(log, &ignored) < 0) {
        /* The next append overwrites it, and a scan cuts it. */
    }
    return -1;
}

size_t report_log_pending(const struct report_log *log)
{
    return (size_t)(log->first + log->count - 1 - log->acked);
}

uint64_t report_log_last_seq(const struct report_log *log)
{
    return log->first + log->count - 1;
}

int report_log_batch(struct report_log *log, struct api_reports *out, struct err *err)
{
    size_t count = MIN(report_log_pending(log), (size_t)API_MAX_RECORDS);
    hex_encode(log->stream, STREAM_BYTES, out->stream);
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[RECORD_BYTES];
        uint64_t seq = log->acked + 1 + i;
        if (read_at(log->fd, bytes, sizeof bytes, record_offset(seq - log->first), err) < 0)
            return -1;
        if (!decode_record(bytes, seq, &out->records[i]))
            return err_set(err, ERR_CORRUPT, "report log: record %llu is damaged", (unsigned long long)seq);
    }
    out->count = count;
    return 0;
}

int report_log_ack(struct report_log *log, uint64_t acked, int64_t now_ms, struct err *err)
{
    if (acked > report_log_last_seq(log))
        return restart_stream(log, now_ms, "the server knows more reports than the robot", err);
    if (acked + 1 < log->first)
        return restart_stream(log, now_ms, "the server lost reports that it had acknowledged", err);
    log->acked = acked;
    if (report_log_pending(log) == 0 && log->count * RECORD_BYTES > REPORT_LOG_COMPACT_BYTES)
        return start_file(log, log->stream, acked + 1, err);
    return 0;
}
