/* From what moved to why: the first row that holds. What moved is a signal with some evidence and a shift that matters (in sd of single frames); that a
 * signal moved by a hair, surely, says little about the cause.
 *
 *     sharpness down, clipping up or contrast down, luma nearly as before      sensor        a dirty or blind lens takes detail, not light
 *     luma, contrast, saturation or change moved                               environment   light, weather, another place
 *     novelty moved, the picture as a whole did not                            novelty       new things in the usual picture
 *     results moved, neither picture nor novelty                               model
 *     the machine alone                                                        machine
 *
 * Evidence allows for all that a site may be (tolerance), so that nothing is alarmed for it. Once there is an alarm, a signal also counts as moved if the mean
 * of recent blocks is surely not what is usual at this very place: a picture's evidence may be slower than that of results that sink because of it, and a
 * dirty lens would be told as the model's fault.
 *
 * Light and dirt move results and novelty too: that is their consequence (results_moved), not the cause. */
#include "stats/drift/state.h"

#include <math.h>

static const double SOME_EVIDENCE = 1; /* log10: with an alarm raised, ten to one is enough to belong to it */
static const double SOME_SHIFT = 0.5;
static const double SURELY = 4; /* standard errors of the mean of recent blocks */
enum { SOME_BLOCKS = 3 };
static const double DARKER = 1.0 / 3; /* luma moved so much of what sharpness did: it is the light */

struct row {
    enum drift_cause cause;
    enum signal signal;
    int direction;   /* 0: either */
    bool light_held; /* only if luma did not move with it */
};
static const struct row rows[] = {
    {DRIFT_SENSOR, SIGNAL_SHARPNESS, -1, true},      {DRIFT_SENSOR, SIGNAL_CLIPPED, 1, true},
    {DRIFT_SENSOR, SIGNAL_CONTRAST, -1, true},       {DRIFT_ENVIRONMENT, SIGNAL_LUMA, 0, false},
    {DRIFT_ENVIRONMENT, SIGNAL_CONTRAST, 0, false},  {DRIFT_ENVIRONMENT, SIGNAL_SATURATION, 0, false},
    {DRIFT_ENVIRONMENT, SIGNAL_SHARPNESS, 0, false}, {DRIFT_ENVIRONMENT, SIGNAL_CLIPPED, 0, false},
    {DRIFT_ENVIRONMENT, SIGNAL_CHANGE, 0, false},
};

static const struct {
    const char *name, *remedy;
} causes[DRIFT_CAUSES] = {
    [DRIFT_NONE] = {"none", "nothing to do"},
    [DRIFT_SENSOR] = {"sensor", "clean the lens and look at the camera"},
    [DRIFT_ENVIRONMENT] =
        {"environment",
         "look at light and surroundings; if they stay so, add such frames to the calibration data"},
    [DRIFT_MODEL] =
        {"model", "judge the waiting frames (muster review); go back to the former version if it is worse"},
    [DRIFT_NOVELTY] =
        {"novelty",
         "look at the novel frames (muster review): something is there that the model has not seen"},
    [DRIFT_MACHINE] = {"machine", "look at temperature, clock and other load of the computer"},
};

const char *drift_cause_name(enum drift_cause cause)
{
    return (unsigned)cause < DRIFT_CAUSES ? causes[cause].name : "unknown";
}

const char *drift_remedy(enum drift_cause cause)
{
    return (unsigned)cause < DRIFT_CAUSES ? causes[cause].remedy : "";
}

static const double LEAST_SD = 1.0 / 8; /* of the reference's */

/* The sd of single frames here, where it is known and smaller than that of all places that the reference was made from: what is a large loss of sharpness
 * for this dark aisle may be a small one between a dark and a bright site. */
static double local_sd(const struct drift *drift, const struct channel *channel)
{
    const struct null *null = &channel->null[drift->last_context];
    double independent = fmax(drift->options.block_frames / fmax(channel->reference.memory, 1), 1);
    double here = null->known ? null->sd * sqrt(independent) : channel->reference.sd;
    return fmin(fmax(here, LEAST_SD * channel->reference.sd), channel->reference.sd);
}

/* Of the mean of the last `blocks`, in sd of single frames here; 0: chance may have done it. */
static double recent_shift(const struct drift *drift, const struct channel *channel, uint32_t blocks)
{
    double sum;
    const uint32_t count = evidence_recent(drift, channel, blocks, &sum);
    if (count < SOME_BLOCKS || fabs(sum) < SURELY * sqrt(count))
        return 0;
    return sum / count * channel->null[drift->last_context].sd / local_sd(drift, channel);
}

/* The size of the shift of a signal that moved, in its direction and in sd of single frames here; 0: it did not, or not by much. `blocks`: since when
 * something has moved. */
static double moved(const struct drift *drift, enum signal signal, uint32_t blocks)
{
    const struct channel *channel = &drift->channels[signal];
    struct drift_signal_report report;
    uint32_t since;
    evidence_report(drift, signal, &report, &since);
    bool evident = report.log10_e >= SOME_EVIDENCE;
    double shift = evident ? report.shift * channel->reference.sd / local_sd(drift, channel)
                           : recent_shift(drift, channel, blocks);
    return fabs(shift) >= SOME_SHIFT || (evident && report.direction == 0) ? shift : 0;
}

static bool row_holds(const struct row *row, const double shift[SIGNALS])
{
    double size = shift[row->signal];
    if (fabs(size) < SOME_SHIFT || row->direction * size < 0)
        return false;
    return !row->light_held || fabs(shift[SIGNAL_LUMA]) < DARKER * fabs(size);
}

static bool family_moved(const struct drift *drift, const double shift[SIGNALS], enum signal_family family)
{
    for (int i = 0; i < SIGNALS; i++)
        if (signal_infos[i].family == family && shift[i] != 0)
            return true;
    return false;
}

/* Nothing moved by much: the family with the most evidence. */
static enum drift_cause likeliest(const struct drift *drift)
{
    static const enum drift_cause by_family[FAMILIES] = {[FAMILY_SENSOR] = DRIFT_ENVIRONMENT,
                                                         [FAMILY_RESULT] = DRIFT_MODEL,
                                                         [FAMILY_NOVELTY] = DRIFT_NOVELTY,
                                                         [FAMILY_MACHINE] = DRIFT_MACHINE};
    enum signal_family best = FAMILY_SENSOR;
    for (int i = 1; i < FAMILIES; i++)
        if (evidence_family(drift, (enum signal_family)i) > evidence_family(drift, best))
            best = (enum signal_family)i;
    return evidence_log10(evidence_family(drift, best)) >= SOME_EVIDENCE ? by_family[best] : DRIFT_NONE;
}

enum drift_cause triage(const struct drift *drift, bool *out_results_moved)
{
    double shift[SIGNALS];
    uint32_t since;
    evidence_worst(drift, &since);
    for (int i = 0; i < SIGNALS; i++)
        shift[i] =
            drift->channels[i].watched ? moved(drift, (enum signal)i, (uint32_t)drift->blocks - since) : 0;
    *out_results_moved = family_moved(drift, shift, FAMILY_RESULT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (row_holds(&rows[i], shift))
            return rows[i].cause;
    if (family_moved(drift, shift, FAMILY_NOVELTY))
        return DRIFT_NOVELTY;
    if (*out_results_moved)
        return DRIFT_MODEL;
    if (family_moved(drift, shift, FAMILY_MACHINE))
        return DRIFT_MACHINE;
    return likeliest(drift);
}
