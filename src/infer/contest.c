#include "infer/contest.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "infer/pipeline_inside.h"
#include "sys/file.h"

#include <inttypes.h>
#include <malloc.h>
#include <math.h>

enum { WARM_PAIRS = 2 };

const char *contest_verdict_name(enum contest_verdict verdict)
{
    static const char *const names[] = {[CONTEST_WON] = "won",
                                        [CONTEST_BROKEN] = "broken",
                                        [CONTEST_UNFAITHFUL] = "unfaithful",
                                        [CONTEST_SLOWER] = "slower",
                                        [CONTEST_BIGGER] = "bigger"};
    return names[verdict];
}

static void decide(struct contest *contest, enum contest_verdict verdict, const char *reason)
{
    contest->verdict = verdict;
    str_copy(contest->reason, sizeof contest->reason, reason);
}

/* ---- faithful? ---- */

static bool is_faithful(const struct contest_question *question, struct contest *out)
{
    struct err err = {0};
    char text[120];
    if (pipeline_golden_fidelity(question->variant, question->golden, &out->fidelity, &err) < 0) {
        out->fidelity = NAN;
        decide(out, CONTEST_BROKEN, err.text);
        return false;
    }
    if (out->fidelity >= question->promised)
        return true;
    snprintf(text, sizeof text, "agrees with the model to %.3f on golden frames, the release promises %.3f",
             out->fidelity, question->promised);
    decide(out, CONTEST_UNFAITHFUL, text);
    return false;
}

/* ---- faster? ---- */

struct race {
    const struct contest_question *question;
    size_t count;
    int64_t parent_ns[CONTEST_PAIRS], variant_ns[CONTEST_PAIRS];
};

/* Who begins alternates: the second finds the caches as the first left them. */
static int run_pair(const struct contest_question *question, size_t number, int64_t out_ns[2],
                    struct err *err)
{
    const struct golden_case *frame = &question->golden->cases[number % question->golden->count];
    struct pipeline *const pipelines[2] = {question->parent, question->variant};
    for (size_t i = 0; i < 2; i++) {
        size_t who = (i + number) % 2;
        if (pipeline_time_golden(pipelines[who], frame, &out_ns[who], err) < 0)
            return -1;
    }
    return 0;
}

static int run_race(struct race *race, struct err *err)
{
    const struct contest_question *question = race->question;
    size_t max = question->max_pairs ? MIN(question->max_pairs, (size_t)CONTEST_PAIRS) : CONTEST_PAIRS;
    int64_t limit_ms = question->limit_ms ? question->limit_ms : CONTEST_MS, until_ms = 0, ns[2];
    for (size_t i = 0; i < max + WARM_PAIRS; i++) {
        if (i == WARM_PAIRS)
            until_ms = clock_mono_ms() + limit_ms;
        if (race->count &&
            clock_mono_ms() >= (race->count < GATE_MIN_PAIRS ? until_ms + CONTEST_MORE_MS : until_ms))
            break;
        if (run_pair(question, i, ns, err) < 0)
            return -1;
        if (i < WARM_PAIRS)
            continue;
        race->parent_ns[race->count] = ns[0];
        race->variant_ns[race->count++] = ns[1];
    }
    return 0;
}

static bool is_faster(const struct contest_question *question, struct contest *out)
{
    struct race race = {.question = question};
    struct err err = {0};
    if (run_race(&race, &err) < 0) {
        decide(out, CONTEST_BROKEN, err.text);
        return false;
    }
    const struct gate_question asked = {
        .pairs = {.count = race.count, .parent_ns = race.parent_ns, .candidate_ns = race.variant_ns}};
    gate_judge(&asked, &out->gate);
    decide(out, out->gate.promoted ? CONTEST_WON : CONTEST_SLOWER, out->gate.reason);
    return out->gate.promoted;
}

void contest_run(const struct contest_question *question, struct contest *out)
{
    char text[160];
    *out = (struct contest){.fidelity = NAN};
    if (is_faithful(question, out) && is_faster(question, out)) {
        snprintf(text, sizeof text, "%.1f x as fast (p50 %.2f ms, the model's %.2f ms), fidelity %.3f",
                 out->gate.speedup, out->gate.candidate_p50_ms, out->gate.parent_p50_ms, out->fidelity);
        decide(out, CONTEST_WON, text);
    }
    pipeline_reset_state(question->parent);
    pipeline_reset_state(question->variant);
}

/* ---- smaller? ---- */

uint64_t contest_memory(void)
{
    cleanup_buf struct buf text = BUF_INIT(64 << 10);
    struct err ignored = {0};
    uint64_t kib = 0;
    malloc_trim(0);
    if (file_read("/proc/self/status", &text, &ignored) < 0)
        return 0;
    const char *at = strstr(buf_text(&text), "RssAnon:");
    return at && sscanf(at, "RssAnon: %" SCNu64, &kib) == 1 ? kib << 10 : 0;
}

void contest_weigh(uint64_t parent_bytes, uint64_t variant_bytes, struct contest *contest)
{
    char text[120];
    double most = (double)parent_bytes * GATE_MEMORY_SLACK + GATE_MEMORY_ROOM;
    if (contest->verdict != CONTEST_WON || !parent_bytes || (double)variant_bytes <= most)
        return;
    snprintf(text, sizeof text, "takes %.1f MiB, the model %.1f MiB", (double)variant_bytes / (1 << 20),
             (double)parent_bytes / (1 << 20));
    decide(contest, CONTEST_BIGGER, text);
}
