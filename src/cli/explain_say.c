#include "cli/explain_say.h"

#include "base/clock.h"
#include "base/mem.h"
#include "cli/output.h"

#include <math.h>

static const char *const fill_names[FILLS] = {"mean", "opposite"};

/* ---- JSON ---- */

static void json_area(struct json_writer *out, const char *key, const struct area *area)
{
    jsonw_array(out, key);
    jsonw_i64(out, NULL, area->x0);
    jsonw_i64(out, NULL, area->y0);
    jsonw_i64(out, NULL, area->x1);
    jsonw_i64(out, NULL, area->y1);
    jsonw_close(out);
}

static void json_incident(struct json_writer *out, const struct incident_frame *frame)
{
    jsonw_object(out, "incident");
    jsonw_u64(out, "seq", frame->seq);
    jsonw_real(out, "at_s", frame->at_s);
    jsonw_text(out, "answer", frame->answer);
    jsonw_text(out, "reason", frame->reason);
    jsonw_text(out, "state", frame->state);
    jsonw_close(out);
}

static void json_result(struct json_writer *out, const struct explanation *explanation)
{
    const struct detection *box = &explanation->box;
    jsonw_object(out, "result");
    jsonw_u64(out, "target", explanation->target);
    jsonw_text(out, "label", explanation->label);
    if (box->x1 > box->x0) {
        jsonw_array(out, "box");
        jsonw_real(out, NULL, (double)box->x0);
        jsonw_real(out, NULL, (double)box->y0);
        jsonw_real(out, NULL, (double)box->x1);
        jsonw_real(out, NULL, (double)box->y1);
        jsonw_close(out);
    }
    jsonw_real(out, "score", explanation->score);
    jsonw_real(out, "limit", explanation->limit);
    jsonw_real(out, "margin", explanation->margin);
    jsonw_close(out);
}

static void json_map(struct json_writer *out, const struct saliency *saliency)
{
    jsonw_object(out, "map");
    jsonw_i64(out, "width", saliency->width);
    jsonw_i64(out, "height", saliency->height);
    jsonw_array(out, "values");
    for (size_t i = 0; i < (size_t)saliency->width * (size_t)saliency->height; i++)
        jsonw_real(out, NULL, (double)saliency->map[i]);
    jsonw_close(out);
    jsonw_close(out);
}

static void json_saliency(struct json_writer *out, const struct explanation *explanation)
{
    const struct saliency *saliency = &explanation->saliency;
    const struct saliency_tile *context = saliency_context(saliency);
    jsonw_object(out, "saliency");
    jsonw_i64(out, "passes", saliency->passes);
    jsonw_real(out, "score_without_focus", saliency->without_focus);
    jsonw_real(out, "score_without_context", saliency->without_context);
    if (!area_empty(&explanation->focus))
        json_area(out, "focus", &explanation->focus);
    if (context) {
        jsonw_object(out, "context");
        json_area(out, "area", &context->area);
        jsonw_real(out, "effect", context->effect);
        jsonw_close(out);
    }
    json_map(out, saliency);
    jsonw_close(out);
}

static void json_faith(struct json_writer *out, const struct faith *faith)
{
    jsonw_object(out, "faithfulness");
    jsonw_real(out, "worth", faith->worth);
    jsonw_boolean(out, "low", faith->worth < FAITH_LOW);
    jsonw_real(out, "deletion_auc", faith->deletion);
    jsonw_real(out, "insertion_auc", faith->insertion);
    jsonw_real(out, "random_deletion_auc", faith->random_deletion);
    jsonw_real(out, "random_insertion_auc", faith->random_insertion);
    jsonw_i64(out, "passes", faith->passes);
    jsonw_close(out);
}

static void json_flip(struct json_writer *out, const struct flip *flip)
{
    if (!flip->found) {
        jsonw_nothing(out, "counterfactual");
        return;
    }
    jsonw_object(out, "counterfactual");
    jsonw_array(out, "cells");
    for (size_t i = 0; i < flip->count; i++)
        json_area(out, NULL, &flip->cells[i].area);
    jsonw_close(out);
    jsonw_text(out, "fill", fill_names[flip->fill]);
    jsonw_real(out, "frame_share", flip->share);
    jsonw_real(out, "score_before", flip->before);
    jsonw_real(out, "score_after", flip->after);
    jsonw_i64(out, "passes", flip->passes);
    jsonw_close(out);
}

static const char *label_of(const struct subject *subject, uint32_t label)
{
    const struct release *release = subject_release(subject);
    return label < release->label_count ? release->labels[label] : "background";
}

static void json_near(struct json_writer *out, const struct subject *subject, const struct near *near)
{
    if (!near->count) {
        jsonw_nothing(out, "known_cases");
        return;
    }
    jsonw_object(out, "known_cases");
    jsonw_real(out, "distance", near->distance);
    jsonw_real(out, "p", near->p);
    jsonw_array(out, "nearest");
    for (size_t i = 0; i < near->count; i++) {
        jsonw_object(out, NULL);
        jsonw_text(out, "label", label_of(subject, near->cases[i].label));
        jsonw_real(out, "distance", near->cases[i].distance);
        jsonw_close(out);
    }
    jsonw_close(out);
    jsonw_close(out);
}

int explain_say_json(const struct explain_said *said, struct err *err)
{
    const struct release *release = subject_release(said->subject);
    cleanup_json_writer struct json_writer out;
    jsonw_init(&out);
    jsonw_object(&out, NULL);
    jsonw_text(&out, "name", release->name);
    jsonw_text(&out, "version", release->version);
    jsonw_digest(&out, "release", &said->release);
    jsonw_digest(&out, "model", &said->model);
    jsonw_text(&out, "engine", pipeline_backend(subject_pipeline(said->subject)));
    jsonw_text(&out, "frame", said->frame);
    if (said->incident)
        json_incident(&out, said->incident);
    jsonw_u64(&out, "seed", said->seed);
    jsonw_i64(&out, "passes", said->passes);
    jsonw_i64(&out, "passes_of_all", said->explanation->passes);
    json_result(&out, said->explanation);
    json_saliency(&out, said->explanation);
    json_faith(&out, &said->explanation->faith);
    json_flip(&out, &said->explanation->flip);
    json_near(&out, said->subject, &said->explanation->near);
    if (said->overlay)
        jsonw_text(&out, "overlay", said->overlay);
    jsonw_close(&out);
    return output_print(&out, err);
}

/* ---- text ---- */

static void say_incident(const struct incident_frame *frame)
{
    printf("frame %llu, %.3f s %s the trigger", (unsigned long long)frame->seq, fabs(frame->at_s),
           frame->at_s <= 0 ? "before" : "after");
    if (frame->answer[0])
        printf(": was answered %s%s%s%s, state %s\n", frame->answer, frame->reason[0] ? " (" : "",
               frame->reason, frame->reason[0] ? ")" : "", frame->state);
    else
        puts("; its verdict is not in the recording");
}

static void say_result(const struct explanation *explanation)
{
    const struct detection *box = &explanation->box;
    const char *label = explanation->label[0] ? explanation->label : "value";
    printf("%s %.3f", label, explanation->score);
    if (box->x1 > box->x0)
        printf(" at (%.0f, %.0f) to (%.0f, %.0f)", (double)box->x0, (double)box->y0, (double)box->x1,
               (double)box->y1);
    if (isnan(explanation->limit))
        printf(": %.3f over the next\n", explanation->margin);
    else
        printf(": %.3f %s the threshold of %.3g; it would be otherwise with a score %s\n",
               fabs(explanation->margin), explanation->stands ? "over" : "under", explanation->limit,
               explanation->stands ? "below it" : "from there on");
}

static void say_context(const struct saliency *saliency, bool focused)
{
    const struct saliency_tile *context = saliency_context(saliency);
    if (context)
        printf("hangs on the surroundings: without (%d, %d) to (%d, %d) the score is %.3f lower\n",
               context->area.x0, context->area.y0, context->area.x1, context->area.y1, context->effect);
    else if (focused)
        printf("hangs on no place far from it: with its surroundings covered the score is %.3f\n",
               saliency->without_context);
}

static void say_flip(const struct flip *flip)
{
    if (!flip->found) {
        puts("no covering was found that changes the decision");
        return;
    }
    printf("changes when %zu %s (%.1f %% of the frame) %s covered: score %.3f instead of %.3f, run again\n",
           flip->count, flip->count == 1 ? "cell" : "cells", 100 * flip->share,
           flip->count == 1 ? "is" : "are", flip->after, flip->before);
}

static void say_near(const struct subject *subject, const struct near *near)
{
    if (!near->count)
        return;
    fputs("looks like", stdout);
    for (size_t i = 0; i < near->count; i++)
        printf("%s %s (%.2f)", i ? "," : "", label_of(subject, near->cases[i].label),
               near->cases[i].distance);
    printf("; p %.3g that something known is so far off\n", near->p);
}

void explain_say_text(const struct explain_said *said)
{
    const struct release *release = subject_release(said->subject);
    const struct explanation *explanation = said->explanation;
    const struct faith *faith = &explanation->faith;
    printf("%s %s, %s\n", release->name, release->version, pipeline_backend(subject_pipeline(said->subject)));
    if (said->incident)
        say_incident(said->incident);
    say_result(explanation);
    say_context(&explanation->saliency, !area_empty(&explanation->focus));
    say_flip(&explanation->flip);
    say_near(said->subject, &explanation->near);
    printf("map of %d passes, seed %llu: faithfulness %.2f (deletion %.3f, random %.3f; insertion %.3f, "
           "random %.3f)%s\n",
           explanation->saliency.passes, (unsigned long long)said->seed, faith->worth, faith->deletion,
           faith->random_deletion, faith->insertion, faith->random_insertion,
           faith->worth < FAITH_LOW ? "\nlow faithfulness: do not trust the map; more --passes may help"
                                    : "");
    if (said->overlay)
        printf("picture: %s\n", said->overlay);
}

/* ---- decisions ---- */

static void say_signals(const struct frame_signals *signals)
{
    for (int i = 0; signals->valid && i < SIGNALS; i++)
        if (isfinite(signals->values[i]))
            printf("  %-14s %.4g %s\n", signal_infos[i].name, (double)signals->values[i],
                   signal_infos[i].unit);
}

void explain_say_decision(const struct decision *decision)
{
    char when[CLOCK_RFC3339_SIZE];
    clock_rfc3339(decision->time_ms, when);
    printf("%s  %s%s%s: %s", when, decider_name(decision->who), decision->robot[0] ? " of " : "",
           decision->robot, decision->rule);
    if (decision->count > 1)
        printf(", %llu times", (unsigned long long)decision->count);
    printf("\nbecause   %s\n", decision->because);
    if (decision->otherwise[0])
        printf("otherwise %s\n", decision->otherwise);
    if (decision->subject[0])
        printf("about     %s\n", decision->subject);
    if (isfinite(decision->value) && isfinite(decision->limit))
        printf("value     %.6g %s, limit %.6g, margin %.6g\n", decision->value, decision->unit,
               decision->limit, decision->margin);
    if (!digest_is_zero(&decision->release))
        printf("release   %s %s\n", decision->version, digest_format(&decision->release).text);
    if (decision->engine[0])
        printf("engine    %s\n", decision->engine);
    say_signals(&decision->signals);
}
