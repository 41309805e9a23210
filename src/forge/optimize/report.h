/* The report as files: report.json for programs (and the release), report.html for people. What is not measured is null.
 *
 *     {"schema": 1, "muster", "model", "model_digest", "parameters", "runtime", "machine", "processor",
 *      "samples", "fitting", "held_out", "fidelity_kind", "max_drop", "confidence", "seconds", "peak_rss_bytes",
 *      "pruning": null | {"done", "reason", "ratio", "groups", "channels", "removed", "parameters", "parameters_left"},
 *      "profiles": [{"profile", "precision", "promoted", "measured_here", "reason",
 *                    "unfused", "weighted", "integer", "excluded": [{"node", "op", "reason"}],
 *                    "size_bytes", "parent_size_bytes", "latency_p50_ms", "parent_latency_p50_ms", "latency_p99_ms", "parent_latency_p99_ms",
 *                    "speedup", "faster_share", "faster_share_lower", "peak_memory_bytes", "parent_peak_memory_bytes",
 *                    "fidelity", "fidelity_lower", "fitting_fidelity", "bias_tried", "bias_kept", "half_nodes", "casts",
 *                    "path": "cpu-x86.onnx" | null (the model that was given), "candidate": "refused/…" | null,
 *                    "sensitivity": [{"node", "sqnr_db"}], "attempts": [{"precision", "promoted", "reason", "path"}]}]}
 */
#ifndef MUSTER_FORGE_OPTIMIZE_REPORT_H
#define MUSTER_FORGE_OPTIMIZE_REPORT_H

#include "forge/optimize/optimize.h"
#include "wire/json_stream.h"

/* report.json: nothing in it is of this machine's folders. */
void report_write_json(struct json_writer *w, const struct optimize_report *report);
/* The same for who goes on from here: every path is absolute, and a profile's path is never null, but the model that was given. */
void report_write_json_here(struct json_writer *w, const struct optimize_report *report);
/* The page, for itself alone: nothing is loaded from anywhere. */
int report_write_html(const struct optimize_report *report, struct buf *out, struct err *err) must_check;

/* One profile by itself: how a step in a process of its own hands it back, and how an interrupted run finds it again. */
void report_write_profile(struct json_writer *w, const struct optimize_profile *profile);
int report_read_profile(const char *name, const void *text, size_t len, struct optimize_profile *out,
                        struct err *err) must_check;
int report_save_profile(const struct optimize_profile *profile, const char *path, struct err *err) must_check;
int report_load_profile(const char *path, struct optimize_profile *out, struct err *err) must_check;

int report_save_pruning(const struct optimize_pruning *pruning, const char *path, struct err *err) must_check;
int report_load_pruning(const char *path, struct optimize_pruning *out, struct err *err) must_check;

void optimize_profile_init(struct optimize_profile *profile, const char *name); /* nothing measured */
void optimize_profile_fini(struct optimize_profile *profile);

#endif
