#include "sim/fall/verb.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sim/fall/fall.h"
#include "sys/file.h"

#include <endian.h>
#include <getopt.h>
#include <stdio.h>

static const char help[] = "usage: muster-sim falls [options] -o DIR | --raw FILE\n"
                           "\n"
                           "Time series of humanoids' inertial units: windows of two seconds, five a second, "
                           "six channels of 100 samples.\n"
                           "The same options give the same bytes on every machine.\n"
                           "\n"
                           "  --seed N       which robots (default 1)\n"
                           "  --robots N     one series each (default 4)\n"
                           "  --minutes N    each that long (default 10)\n"
                           "  -o DIR         .f32 files and events.json, for muster eval\n"
                           "  --raw FILE     one file for training: \"MUSTIMU1\", u32 windows, u32 0, then "
                           "per window u32 act, u32 fall, f32[600]\n"
                           "\n"
                           "examples:\n"
                           "  muster-sim falls --seed 900001 --robots 6 --minutes 20 -o unseen      then: "
                           "muster eval RELEASE --data unseen\n"
                           "  muster-sim falls --seed 1 --robots 100 --minutes 20 --raw train.raw\n";

struct request {
    uint64_t seed, robots, minutes;
    const char *dir, *raw;
};

enum { WINDOW_FLOATS = FALL_CHANNELS * FALL_WINDOW };

static int64_t windows_of(const struct request *request)
{
    return (int64_t)request->minutes * 60 * FALL_RATE_HZ / FALL_HOP;
}

static int put(FILE *file, const void *data, size_t len, struct err *err)
{
    return fwrite(data, 1, len, file) == len ? 0 : err_errno(err, "cannot write the series");
}

static int put_floats(FILE *file, const float *values, struct err *err)
{
    uint32_t words[WINDOW_FLOATS];
    memcpy(words, values, sizeof words);
    for (size_t i = 0; i < WINDOW_FLOATS; i++)
        words[i] = htole32(words[i]);
    return put(file, words, sizeof words, err);
}

static int put_window(FILE *file, const struct fall_world *world, int64_t n, bool labelled, struct err *err)
{
    float window[WINDOW_FLOATS];
    int64_t index = n * FALL_HOP;
    struct fall_act act;
    fall_act(world, index, &act);
    const uint32_t head[2] = {htole32((uint32_t)act.kind), htole32(fall_in_window(world, index))};
    if (labelled && put(file, head, sizeof head, err) < 0)
        return -1;
    fall_window(world, index, window);
    return put_floats(file, window, err);
}

static int put_series(FILE *file, uint64_t seed, const struct request *request, bool labelled,
                      struct err *err)
{
    struct fall_world world;
    fall_init(&world, seed);
    for (int64_t n = 1; n <= windows_of(request); n++)
        if (put_window(file, &world, n, labelled, err) < 0)
            return -1;
    return 0;
}

static int write_raw(const struct request *request, struct err *err)
{
    FILE *file = fopen(request->raw, "wbe");
    if (!file)
        return err_errno(err, "%s", request->raw);
    const uint32_t head[2] = {htole32((uint32_t)(request->robots * (uint64_t)windows_of(request))), 0};
    int rc = put(file, "MUSTIMU1", 8, err) < 0 || put(file, head, sizeof head, err) < 0 ? -1 : 0;
    for (uint64_t r = 0; rc == 0 && r < request->robots; r++)
        rc = put_series(file, request->seed + r, request, true, err);
    if (fclose(file) && rc == 0)
        rc = err_errno(err, "cannot write the series");
    return rc < 0 ? err_prefix(err, "%s", request->raw) : 0;
}

/* {"file": …, "events": [{"label": "fall", "from_s": …, "to_s": …}]}; times count from the first window. */
static int add_events(struct buf *json, uint64_t seed, const struct request *request, struct err *err)
{
    struct fall_world world;
    struct fall_act act;
    bool first = true;
    fall_init(&world, seed);
    for (int64_t at = 0; at < windows_of(request) * FALL_HOP; at += FALL_SLOT) {
        fall_act(&world, at, &act);
        if (act.kind >= FALL_KINDS || act.until > windows_of(request) * FALL_HOP)
            continue;
        if (buf_printf(json, err, "%s{\"label\": \"fall\", \"from_s\": %.2f, \"to_s\": %.2f}",
                       first ? "" : ", ", (double)(act.impact - FALL_HOP) / FALL_RATE_HZ,
                       (double)(act.impact + FALL_RATE_HZ - FALL_HOP) / FALL_RATE_HZ) < 0)
            return -1;
        first = false;
    }
    return 0;
}

static int write_one(struct buf *json, uint64_t r, const struct request *request, struct err *err)
{
    cleanup_free char *path = mem_printf("%s/robot-%03u.f32", request->dir, (unsigned)r);
    FILE *file = path ? fopen(path, "wbe") : NULL;
    if (!file)
        return path ? err_errno(err, "%s", path) : err_no_memory(err);
    int rc = put_series(file, request->seed + r, request, false, err);
    if (fclose(file) && rc == 0)
        rc = err_errno(err, "%s", path);
    if (rc < 0 ||
        buf_printf(json, err, "%s\n {\"file\": \"robot-%03u.f32\", \"events\": [", r ? "," : "",
                   (unsigned)r) < 0 ||
        add_events(json, request->seed + r, request, err) < 0)
        return -1;
    return buf_printf(json, err, "]}");
}

static int write_dir(const struct request *request, struct err *err)
{
    cleanup_buf struct buf json = BUF_INIT(4 << 20);
    cleanup_free char *path = mem_printf("%s/events.json", request->dir);
    if (!path)
        return err_no_memory(err);
    if (file_make_dirs(request->dir, 0755, err) < 0 ||
        buf_printf(
            &json, err,
            "{\"rate_hz\": %d, \"labels\": [\"fall\"], \"tolerance_s\": 1.0, \"join_s\": 1.0, \"series\": [",
            FALL_RATE_HZ / FALL_HOP) < 0)
        return -1;
    for (uint64_t r = 0; r < request->robots; r++)
        if (write_one(&json, r, request, err) < 0)
            return -1;
    if (buf_printf(&json, err, "]}\n") < 0)
        return -1;
    return file_replace(path, json.data, json.len, 0644, err);
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"robots", required_argument, NULL, 'r'},
                                            {"minutes", required_argument, NULL, 'm'},
                                            {"raw", required_argument, NULL, 'w'},
                                            {0}};
    bool ok = true;
    optind = 1;
    for (int opt; ok && (opt = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        if (opt == 's')
            ok = str_to_u64(optarg, &out->seed);
        else if (opt == 'r')
            ok = str_to_u64(optarg, &out->robots) && out->robots >= 1 && out->robots <= 1000;
        else if (opt == 'm')
            ok = str_to_u64(optarg, &out->minutes) && out->minutes >= 1 && out->minutes <= 1440;
        else if (opt == 'w')
            out->raw = optarg;
        else if (opt == 'o')
            out->dir = optarg;
        else
            ok = false;
    }
    return ok && optind == argc && !out->dir != !out->raw;
}

int falls_verb(int argc, char **argv)
{
    struct request request = {.seed = 1, .robots = 4, .minutes = 10};
    struct err err = {0};
    if (argc >= 2 && (str_eq(argv[1], "--help") || str_eq(argv[1], "-h")))
        return fputs(help, stdout) < 0;
    if (!parse(argc, argv, &request)) {
        fputs("muster-sim falls: give either -o DIR or --raw FILE, and possible values; see muster-sim falls "
              "--help\n",
              stderr);
        return 2;
    }
    if ((request.raw ? write_raw(&request, &err) : write_dir(&request, &err)) == 0)
        return 0;
    fprintf(stderr, "muster-sim falls: %s\n", err.text);
    return err_exit_status(err.code);
}
