#include "wire/profile.h"

#include "base/mem.h"
#include "base/str.h"
#include "wire/profile_check.h"

#include <endian.h>
#include <math.h>

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "numbers are copied as they lie in memory");

enum kind { KIND_SIGNALS = 1, KIND_LABELS, KIND_ACCURACY, KIND_TAP, KIND_PROTOTYPES, KIND_CONFORMAL, KINDS };
enum { HEAD_BYTES = 16, TAIL_BYTES = 8, MAX_SECTIONS = 32, SIGNAL_BYTES = 64, ACCURACY_NUMBERS = 7 };
static const char magic[8] = "MPROFIL1";

/* Fowler, Noll and Vo's hash, 64 bits. */
static uint64_t fnv1a(const uint8_t *data, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3U;
    return hash;
}

/* ---- reading: a cursor that cannot leave its section ---- */

struct cursor {
    const uint8_t *at;
    size_t left;
    bool bad; /* something was asked for that is not there */
};

static void take(struct cursor *cursor, void *out, size_t len)
{
    if (cursor->bad || len > cursor->left) {
        cursor->bad = true;
        memset(out, 0, len);
        return;
    }
    memcpy(out, cursor->at, len);
    cursor->at += len;
    cursor->left -= len;
}

static uint32_t take_count(struct cursor *cursor, uint32_t max)
{
    uint32_t words[2];
    take(cursor, words, sizeof words);
    if (words[0] < 1 || words[0] > max)
        cursor->bad = true;
    return cursor->bad ? 0 : words[0];
}

/* An array of the heap; NULL if it is not there or there is no memory for it: `bad` then. */
static void *take_array(struct cursor *cursor, size_t count, size_t size)
{
    void *array = cursor->bad || count > cursor->left / size ? NULL : mem_zalloc(count, size);
    if (array)
        take(cursor, array, count * size);
    else
        cursor->bad = true;
    return array;
}

static void read_signals(struct cursor *cursor, struct profile *out)
{
    if (cursor->left == 0 || cursor->left % SIGNAL_BYTES)
        cursor->bad = true;
    for (size_t i = 0; i < SIGNALS && cursor->left >= SIGNAL_BYTES; i++) {
        struct drift_reference *signal = &out->signals[i];
        uint32_t zero;
        take(cursor, &signal->mean, sizeof signal->mean);
        take(cursor, &signal->sd, sizeof signal->sd);
        take(cursor, &signal->tolerance, sizeof signal->tolerance);
        take(cursor, &signal->memory, sizeof signal->memory);
        take(cursor, signal->edges, sizeof signal->edges);
        take(cursor, &zero, sizeof zero);
    }
    cursor->left = 0; /* signals of a newer release */
}

static void read_labels(struct cursor *cursor, struct profile *out)
{
    take(cursor, out->label_share, sizeof out->label_share);
}

static void read_accuracy(struct cursor *cursor, struct profile *out)
{
    double numbers[ACCURACY_NUMBERS];
    take(cursor, numbers, sizeof numbers);
    out->accuracy = (struct labelfree_reference){.accuracy = numbers[0],
                                                 .mean_confidence = numbers[1],
                                                 .slope = numbers[2],
                                                 .atc_threshold = numbers[3],
                                                 .atc_slope = numbers[4],
                                                 .reach = numbers[5],
                                                 .error = numbers[6]};
    take(cursor, out->accuracy.bins_accuracy, sizeof out->accuracy.bins_accuracy);
}

static void read_tap(struct cursor *cursor, struct profile *out)
{
    take(cursor, out->tap, sizeof out->tap);
    if (!out->tap[0] || !memchr(out->tap, 0, sizeof out->tap))
        cursor->bad = true;
    out->channels = take_count(cursor, PROFILE_MAX_CHANNELS);
    out->projection = take_array(cursor, (size_t)out->channels * PROFILE_DIMS, sizeof *out->projection);
    take(cursor, out->offset, sizeof out->offset);
}

static void read_prototypes(struct cursor *cursor, struct profile *out)
{
    out->prototype_count = take_count(cursor, PROFILE_MAX_PROTOTYPES);
    out->prototypes = take_array(cursor, out->prototype_count, sizeof *out->prototypes);
    out->prototype_labels = take_array(cursor, out->prototype_count, sizeof *out->prototype_labels);
}

static void read_conformal(struct cursor *cursor, struct profile *out)
{
    out->quantile_count = take_count(cursor, PROFILE_MAX_QUANTILES);
    out->quantiles = take_array(cursor, out->quantile_count, sizeof *out->quantiles);
}

static int read_section(uint32_t kind, struct cursor cursor, struct profile *out, struct err *err)
{
    static void (*const readers[KINDS])(struct cursor *, struct profile *) = {
        [KIND_SIGNALS] = read_signals,       [KIND_LABELS] = read_labels,
        [KIND_ACCURACY] = read_accuracy,     [KIND_TAP] = read_tap,
        [KIND_PROTOTYPES] = read_prototypes, [KIND_CONFORMAL] = read_conformal};
    if (kind >= KINDS)
        return 0; /* of a newer muster */
    readers[kind](&cursor, out);
    if (cursor.bad || cursor.left)
        return err_set(err, ERR_INVALID, "profile: section %u has not the size of what it says", kind);
    return 0;
}

static int read_sections(struct cursor *cursor, uint32_t count, struct profile *out, struct err *err)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t head[2];
        take(cursor, head, sizeof head);
        const size_t padded = ((size_t)head[1] + 7) / 8 * 8;
        if (cursor->bad || padded > cursor->left || head[0] <= last)
            return err_set(err, ERR_INVALID, "profile: section %u is cut short or out of order", i);
        last = head[0];
        if (read_section(head[0], (struct cursor){.at = cursor->at, .left = head[1]}, out, err) < 0)
            return -1;
        cursor->at += padded;
        cursor->left -= padded;
    }
    return cursor->left ? err_set(err, ERR_INVALID, "profile: there is something behind the last section")
                        : 0;
}

static int open_file(const uint8_t *data, size_t len, struct cursor *out, uint32_t *out_count,
                     struct err *err)
{
    uint64_t sum;
    uint32_t head[2];
    if (len > PROFILE_MAX_BYTES)
        return err_set(err, ERR_INVALID, "profile: %zu bytes, more than the %d there can be", len,
                       PROFILE_MAX_BYTES);
    if (len < HEAD_BYTES + TAIL_BYTES || memcmp(data, magic, sizeof magic) != 0)
        return err_set(err, ERR_INVALID, "profile: this is none; muster pack makes them");
    memcpy(&sum, data + len - TAIL_BYTES, sizeof sum);
    if (sum != fnv1a(data, len - TAIL_BYTES))
        return err_set(err, ERR_CORRUPT, "profile: damaged; fetch or pack the release again");
    memcpy(head, data + sizeof magic, sizeof head);
    if (head[0] > MAX_SECTIONS)
        return err_set(err, ERR_INVALID, "profile: %u sections are too many", head[0]);
    *out = (struct cursor){.at = data + HEAD_BYTES, .left = len - HEAD_BYTES - TAIL_BYTES};
    *out_count = head[0];
    return 0;
}

int profile_parse(const void *data, size_t len, struct profile *out, struct err *err)
{
    struct cursor cursor;
    uint32_t count = 0;
    *out = (struct profile){.accuracy.accuracy = NAN};
    if (open_file(data, len, &cursor, &count, err) < 0)
        return -1;
    if (read_sections(&cursor, count, out, err) == 0 && profile_check(out, err) == 0)
        return 0;
    profile_fini(out);
    return -1;
}

void profile_fini(struct profile *profile)
{
    free(profile->projection);
    free(profile->prototypes);
    free(profile->prototype_labels);
    free(profile->quantiles);
    *profile = (struct profile){.accuracy.accuracy = NAN};
}

/* ---- writing ---- */

struct writer {
    struct buf *out;
    struct err *err;
    size_t start;   /* of the file in the buffer */
    size_t section; /* where the one that is open has its size */
    bool failed;
};

static void put(struct writer *writer, const void *data, size_t len)
{
    if (!writer->failed && buf_put(writer->out, data, len, writer->err) < 0)
        writer->failed = true;
}

static void put_words(struct writer *writer, uint32_t first, uint32_t second)
{
    const uint32_t words[] = {first, second};
    put(writer, words, sizeof words);
}

static void begin(struct writer *writer, enum kind kind)
{
    writer->section = writer->out->len + sizeof(uint32_t);
    put_words(writer, kind, 0);
}

static void end(struct writer *writer)
{
    static const uint8_t zeros[8];
    if (writer->failed)
        return;
    const size_t len = writer->out->len - writer->section - sizeof(uint32_t);
    const uint32_t said = (uint32_t)len;
    memcpy(writer->out->data + writer->section, &said, sizeof said);
    put(writer, zeros, (8 - len % 8) % 8);
}

static void put_signals(struct writer *writer, const struct profile *profile)
{
    const uint32_t zero = 0;
    begin(writer, KIND_SIGNALS);
    for (size_t i = 0; i < SIGNALS; i++) {
        const struct drift_reference *signal = &profile->signals[i];
        const double numbers[] = {signal->mean, signal->sd, signal->tolerance, signal->memory};
        put(writer, numbers, sizeof numbers);
        put(writer, signal->edges, sizeof signal->edges);
        put(writer, &zero, sizeof zero);
    }
    end(writer);
}

static void put_labels(struct writer *writer, const struct profile *profile)
{
    begin(writer, KIND_LABELS);
    put(writer, profile->label_share, sizeof profile->label_share);
    end(writer);
}

static void put_accuracy(struct writer *writer, const struct profile *profile)
{
    const struct labelfree_reference *known = &profile->accuracy;
    const double numbers[ACCURACY_NUMBERS] = {known->accuracy,      known->mean_confidence, known->slope,
                                              known->atc_threshold, known->atc_slope,       known->reach,
                                              known->error};
    begin(writer, KIND_ACCURACY);
    put(writer, numbers, sizeof numbers);
    put(writer, known->bins_accuracy, sizeof known->bins_accuracy);
    end(writer);
}

static void put_tap(struct writer *writer, const struct profile *profile)
{
    begin(writer, KIND_TAP);
    put(writer, profile->tap, sizeof profile->tap);
    put_words(writer, profile->channels, 0);
    put(writer, profile->projection, (size_t)profile->channels * PROFILE_DIMS * sizeof(float));
    put(writer, profile->offset, sizeof profile->offset);
    end(writer);
    begin(writer, KIND_PROTOTYPES);
    put_words(writer, profile->prototype_count, 0);
    put(writer, profile->prototypes, profile->prototype_count * sizeof *profile->prototypes);
    put(writer, profile->prototype_labels, profile->prototype_count * sizeof *profile->prototype_labels);
    end(writer);
    begin(writer, KIND_CONFORMAL);
    put_words(writer, profile->quantile_count, 0);
    put(writer, profile->quantiles, profile->quantile_count * sizeof *profile->quantiles);
    end(writer);
}

int profile_format(const struct profile *profile, struct buf *out, struct err *err)
{
    struct writer writer = {.out = out, .err = err, .start = out->len};
    if (profile_check(profile, err) < 0)
        return -1;
    put(&writer, magic, sizeof magic);
    put_words(&writer, profile->tap[0] ? KIND_CONFORMAL : KIND_ACCURACY, 0);
    put_signals(&writer, profile);
    put_labels(&writer, profile);
    put_accuracy(&writer, profile);
    if (profile->tap[0])
        put_tap(&writer, profile);
    if (writer.failed)
        return -1;
    const uint64_t sum = fnv1a(out->data + writer.start, out->len - writer.start);
    put(&writer, &sum, sizeof sum);
    return writer.failed ? -1 : 0;
}
