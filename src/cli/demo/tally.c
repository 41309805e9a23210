#include "cli/demo/tally.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/json.h"

#include <stdio.h>

enum { MAX_BOXES = 128, MAX_LINE = 1 << 16, MAX_RUNS = 64, LABELS = 16 };

/* The newest totals of one release in one run of one robot program. */
struct totals {
    char run[24];
    size_t version;
    int64_t frames, lost, unchecked, first_ms, last_ms;
};

struct file_totals {
    size_t count;
    struct totals items[MAX_RUNS * STAGE_RELEASES];
};

static bool version_of(const struct tally *tally, const char *digest, size_t *out)
{
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        if (digest[0] && str_eq(tally->versions[i].digest, digest)) {
            *out = i;
            return true;
        }
    return false;
}

/* [label, (score,) x0, y0, x1, y1] */
static void read_box(struct json_at at, bool scored, struct detection *out)
{
    double numbers[6] = {0};
    size_t first = scored ? 2 : 1;
    for (size_t i = 0; i < first + 4; i++)
        json_as_double(json_item(at, i), -1e6, 1e6, &numbers[i]);
    *out = (struct detection){.label = (uint32_t)numbers[0],
                              .score = scored ? (float)numbers[1] : 1,
                              .x0 = (float)numbers[first],
                              .y0 = (float)numbers[first + 1],
                              .x1 = (float)numbers[first + 2],
                              .y1 = (float)numbers[first + 3]};
}

static size_t read_boxes(struct json_at root, const char *key, bool scored, struct detection *out)
{
    size_t count = 0;
    struct json_at list = json_list(root, key, MAX_BOXES, &count);
    for (size_t i = 0; i < MIN(count, (size_t)MAX_BOXES); i++)
        read_box(json_item(list, i), scored, &out[i]);
    return MIN(count, (size_t)MAX_BOXES);
}

static void count_frame(struct tally *tally, struct json_at root)
{
    struct detection truth[MAX_BOXES], found[MAX_BOXES];
    char digest[80] = "", verdict[16] = "";
    size_t version;
    json_get_string(root, "release", digest, sizeof digest);
    json_get_string(root, "verdict", verdict, sizeof verdict);
    size_t truth_count = read_boxes(root, "truth", false, truth);
    size_t found_count = read_boxes(root, "found", true, found);
    if (root.reader->err.code != ERR_NONE || !version_of(tally, digest, &version) || str_eq(verdict, "safe"))
        return; /* a frame in the safe state says nothing about the model; it is counted as lost */
    struct tally_version *counted = &tally->versions[version];
    counted->labelled++;
    if (ap_meter_add(counted->meter, found, found_count, truth, truth_count) < 0)
        json_fail(root, "out of memory");
}

static void note_totals(const struct tally *tally, struct json_at root, struct file_totals *file)
{
    struct totals totals = {0};
    char digest[80] = "";
    json_get_string(root, "run", totals.run, sizeof totals.run);
    json_get_string(root, "release", digest, sizeof digest);
    json_get_int(root, "frames", 0, INT64_MAX, &totals.frames);
    json_get_int(root, "lost", 0, INT64_MAX, &totals.lost);
    json_get_int(root, "unchecked", 0, INT64_MAX, &totals.unchecked);
    json_get_int(root, "first_ms", 0, INT64_MAX, &totals.first_ms);
    json_get_int(root, "last_ms", 0, INT64_MAX, &totals.last_ms);
    if (root.reader->err.code != ERR_NONE || !version_of(tally, digest, &totals.version))
        return;
    size_t at = 0;
    while (at < file->count &&
           (file->items[at].version != totals.version || !str_eq(file->items[at].run, totals.run)))
        at++;
    if (at == ARRAY_LEN(file->items))
        return;
    file->items[at] = totals;
    file->count = MAX(file->count, at + 1);
}

static void read_line(struct tally *tally, const char *line, size_t len, struct file_totals *file)
{
    struct json_reader reader;
    struct err ignored = {0};
    char kind[16] = "";
    if (json_read(&reader, "frames.jsonl", line, len, &ignored) < 0)
        return; /* torn: its writer was killed */
    struct json_at root = json_root(&reader);
    json_get_string(root, "kind", kind, sizeof kind);
    if (str_eq(kind, "frame"))
        count_frame(tally, root);
    else if (str_eq(kind, "totals"))
        note_totals(tally, root, file);
    if (json_finish(&reader, &ignored) < 0)
        return;
}

static void add_file(struct tally *tally, const struct file_totals *file)
{
    bool ran[STAGE_RELEASES] = {0};
    for (size_t i = 0; i < file->count; i++) {
        const struct totals *one = &file->items[i];
        struct tally_version *sum = &tally->versions[one->version];
        sum->frames += (uint64_t)one->frames;
        sum->lost += (uint64_t)one->lost;
        tally->unchecked += (uint64_t)one->unchecked;
        if (!one->first_ms)
            continue;
        ran[one->version] = true;
        sum->first_ms = sum->first_ms ? MIN(sum->first_ms, one->first_ms) : one->first_ms;
        sum->last_ms = MAX(sum->last_ms, one->last_ms);
    }
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        tally->versions[i].robots += ran[i];
}

static int read_file(struct tally *tally, const char *path, struct err *err)
{
    cleanup_file FILE *file = fopen(path, "re");
    cleanup_free char *line = mem_zalloc(MAX_LINE, 1);
    cleanup_free struct file_totals *totals = mem_zalloc(1, sizeof *totals);
    if (!line || !totals)
        return err_no_memory(err);
    while (file && fgets(line, MAX_LINE, file))
        read_line(tally, line, strlen(line), totals);
    add_file(tally, totals);
    return 0;
}

int tally_read(const struct stage *stage, const struct view *view, struct tally *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < STAGE_RELEASES; i++) {
        out->versions[i].meter = ap_meter_new(LABELS);
        if (!out->versions[i].meter)
            return err_no_memory(err);
        for (size_t r = 0; r < view->release_count; r++)
            if (i < stage->play->release_count && str_eq(view->releases[r].version, stage->play->versions[i]))
                str_copy(out->versions[i].digest, sizeof out->versions[i].digest, view->releases[r].digest);
    }
    for (int robot = 0; robot < stage->robots; robot++)
        if (read_file(out, stage_path(stage, "%s/frames.jsonl", stage_robot(robot)), err) < 0)
            return -1;
    return 0;
}

void tally_fini(struct tally *tally)
{
    for (size_t i = 0; i < STAGE_RELEASES; i++)
        ap_meter_free(tally->versions[i].meter);
}
