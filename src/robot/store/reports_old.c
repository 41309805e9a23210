/* STATE_DIR/reports.log, as robots had it before robot/forward: read once, into the log.
 *
 *     header   "MREPORT1"  u8[16] stream   u64 first seq of the file   u8[8] check
 *     record   u64 seq  i64 time_ms  u16 kind  u16 guard  u8[32] release  char[64] version  u64 bytes  char[160] text  u8[8] check
 *
 * With a state of the guard, who stands behind it is in the place of the version. check: the first 8 bytes of the SHA-256 of what is before it. */
#include "robot/store/reports_inside.h"

#include "base/buf.h"
#include "base/hex.h"
#include "base/log.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <string.h>

enum { CHECK_BYTES = 8, STREAM_BYTES = 16, HEADER_BYTES = 8 + STREAM_BYTES + 8 + CHECK_BYTES };
enum { TEXT_BYTES = 160, VERSION_BYTES = 64, MAX_OLD = 16 << 20 };
enum { RECORD_BYTES = 8 + 8 + 4 + 32 + VERSION_BYTES + 8 + TEXT_BYTES + CHECK_BYTES };

static const char magic[8] = {'M', 'R', 'E', 'P', 'O', 'R', 'T', '1'};

static uint64_t get_number(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | in[i - 1];
    return value;
}

static bool sealed(const uint8_t *bytes, size_t len)
{
    struct digest digest = hash_bytes(bytes, len - CHECK_BYTES);
    return memcmp(bytes + len - CHECK_BYTES, digest.bytes, CHECK_BYTES) == 0;
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

/* Those that are not in the log yet: a cut may have come between. */
static int import(struct forward *forward, const struct buf *old, struct err *err)
{
    uint64_t first = get_number(old->data + 8 + STREAM_BYTES, 8);
    char stream[2 * STREAM_BYTES + 1];
    hex_encode(old->data + 8, STREAM_BYTES, stream);
    if (forward_last(forward, FORWARD_EVENT) == 0 && forward_adopt(forward, stream, first, err) < 0)
        return -1;
    if (strcmp(forward_stream(forward), stream) != 0)
        return err_set(err, ERR_CONFLICT, "it is of another stream");
    for (size_t at = HEADER_BYTES; at + RECORD_BYTES <= old->len; at += RECORD_BYTES) {
        struct api_report report;
        uint64_t seq = first + (at - HEADER_BYTES) / RECORD_BYTES;
        if (!decode_record(old->data + at, seq, &report))
            break;
        if (seq > forward_last(forward, FORWARD_EVENT) && report_put(forward, &report, err) < 0)
            return -1;
    }
    return 0;
}

int reports_import(struct forward *forward, const char *path, struct err *err)
{
    cleanup_buf struct buf old = BUF_INIT(MAX_OLD);
    if (!file_exists(path))
        return 0;
    if (file_read(path, &old, err) < 0)
        return -1;
    bool whole = old.len >= HEADER_BYTES && memcmp(old.data, magic, sizeof magic) == 0 &&
                 sealed(old.data, HEADER_BYTES) && get_number(old.data + 8 + STREAM_BYTES, 8) > 0;
    if (whole && import(forward, &old, err) < 0) {
        if (err->code != ERR_CONFLICT)
            return -1;
        *err = (struct err){0};
        whole = false;
    }
    if (!whole)
        log_warn("%s is not taken over: it is damaged, or of another stream", path);
    return unlink(path) < 0 ? err_errno(err, "%s", path) : 0;
}
