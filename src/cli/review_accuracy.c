/* muster review accuracy: what people's words say about a release, by site (docs/review.md). */
#include "cli/review.h"

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "wire/json.h"

#include <math.h>

enum { MOST_RELEASES = 10000, MOST_GROUPS = 1024 };

/* ---- which release ---- */

static bool is_it(struct json_at at, const char *wanted, struct digest *out)
{
    char name[64] = "", version[64] = "", text[130];
    json_get_line(at, "name", name, sizeof name);
    json_get_line(at, "version", version, sizeof version);
    json_get_digest(at, "digest", out);
    snprintf(text, sizeof text, "%s:%s", name, version);
    return str_eq(text, wanted);
}

/* A digest, or name:version of one that the server has. */
static int find_release(struct client *client, const char *wanted, struct digest *out, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    struct json_reader reader;
    size_t count = 0;
    bool found = false;
    if (digest_parse(wanted, out))
        return 0;
    if (client_call(client, "GET", "/api/v1/releases", NULL, &answer, err) < 0 ||
        json_read(&reader, "answer of the server", buf_text(&answer), answer.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "releases", MOST_RELEASES, &count);
    for (size_t i = 0; i < count && !found; i++)
        found = is_it(json_as_object(json_item(list, i)), wanted, out);
    if (json_finish(&reader, err) < 0)
        return -1;
    return found ? 0
                 : err_set(err, ERR_NOT_FOUND,
                           "the server has no release %.80s; name it as NAME:VERSION or sha256:…", wanted);
}

/* ---- the table ---- */

static double number(struct json_at at, const char *key)
{
    double value = NAN;
    if (json_has(at, key))
        json_get_double(at, key, -1e300, 1e300, &value);
    return value;
}

static void print_estimate(struct json_at at, const char *key)
{
    struct json_at one = json_child(at, key);
    double value = number(one, "value"), low = number(one, "low"), high = number(one, "high");
    char text[48] = "-";
    if (isfinite(value))
        snprintf(text, sizeof text, "%.3g (%.3g to %.3g)", value, low, high);
    printf("  %-25s", text);
}

/* In brackets: the light is off, what stands there is not to be believed. */
static void print_unlabelled(struct json_at at, char *because, size_t size)
{
    struct json_at one = json_child(at, "unlabelled");
    double accuracy = number(one, "accuracy");
    bool valid = false;
    json_get_bool(one, "valid", &valid);
    because[0] = 0;
    if (!valid && json_has(one, "because"))
        json_get_line(one, "because", because, size);
    if (isfinite(accuracy))
        printf(valid ? "  %.3f" : "  (%.3f)", accuracy);
    else
        printf("  -");
    puts("");
}

static void take_site(struct json_at group, char *out, size_t size)
{
    str_copy(out, size, "all");
    if (json_has(group, "site"))
        json_get_line(group, "site", out, size);
}

static void print_group(struct json_at group)
{
    char site[64], because[160];
    take_site(group, site, sizeof site);
    struct json_at alarms = json_child(group, "alarms"), frames = json_child(group, "frames");
    printf("%-14s %8.1f", site, number(group, "operating_hours"));
    print_estimate(alarms, "precision");
    print_estimate(alarms, "recall");
    print_estimate(alarms, "false_per_hour");
    print_estimate(frames, "precision");
    print_estimate(frames, "recall");
    print_unlabelled(group, because, sizeof because);
}

static uint64_t count_of(struct json_at at, const char *key)
{
    uint64_t count = 0;
    json_get_u64(at, key, INT64_MAX, &count);
    return count;
}

/* What the figures stand on, of the whole fleet. */
static void print_evidence(struct json_at all)
{
    char because[160] = "";
    struct json_at alarms = json_child(all, "alarms"), frames = json_child(all, "frames"),
                   unlabelled = json_child(all, "unlabelled");
    printf(
        "\nalarms: %llu true, %llu false, %llu unsure, %llu open, %llu missed; frames: %llu random audits, "
        "%llu open, %llu unsure\n",
        (unsigned long long)count_of(alarms, "true"), (unsigned long long)count_of(alarms, "false"),
        (unsigned long long)count_of(alarms, "unsure"), (unsigned long long)count_of(alarms, "open"),
        (unsigned long long)count_of(alarms, "missed"), (unsigned long long)count_of(frames, "audits"),
        (unsigned long long)count_of(frames, "open"), (unsigned long long)count_of(frames, "unsure"));
    if (json_has(unlabelled, "because"))
        json_get_line(unlabelled, "because", because, sizeof because);
    if (because[0])
        printf("without labels: not to be believed, %s\n", because);
}

static int print_table(const struct buf *answer, struct err *err)
{
    struct json_reader reader;
    size_t count = 0;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    struct json_at groups = json_list(json_root(&reader), "groups", MOST_GROUPS, &count);
    printf("%-14s %8s  %-25s  %-25s  %-25s  %-25s  %-25s  %s\n", "SITE", "HOURS", "ALARMS: PRECISION",
           "RECALL", "FALSE PER HOUR", "FRAMES: PRECISION", "RECALL", "UNLABELLED");
    for (size_t i = 0; i < count; i++)
        print_group(json_as_object(json_item(groups, i)));
    if (count)
        print_evidence(json_as_object(json_item(groups, 0)));
    return json_finish(&reader, err);
}

int review_accuracy_run(int argc, char **argv, struct err *err)
{
    bool json = false;
    struct operands operands = {.usage = "RELEASE", .min = 1, .max = 1};
    struct digest release;
    cleanup_client struct client *client = NULL;
    cleanup_buf struct buf answer = BUF_INIT(CLIENT_MAX_ANSWER);
    if (client_start(argc, argv, &operands, &json, &client, err) < 0 ||
        find_release(client, operands.items[0], &release, err) < 0)
        return -1;
    cleanup_free char *path = mem_printf("/api/v1/accuracy?release=%s", digest_format(&release).text);
    if (!path)
        return err_no_memory(err);
    if (client_call(client, "GET", path, NULL, &answer, err) < 0)
        return -1;
    return json ? output_answer(&answer, err) : print_table(&answer, err);
}
