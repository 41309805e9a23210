#include "forge/optimize/report.h"
#include "forge/optimize/report_page.h"

#include "base/mem.h"
#include "base/str.h"
#include "forge/trt/placement.h"
#include "infer/tensorrt_args.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The console's colours (web/src/app.css); no script, no font, nothing from elsewhere. */
static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n"
    "<title>muster optimize</title><style>\n"
    ":root{color-scheme:light dark;--ground:#f4f6f8;--card:#fff;--line:#dfe4ea;--ink:#1a2330;--soft:#556170;"
    "--accent:#22577a;--ok:#1c6541;--ok-ground:#e3f3e9;--bad:#a3211d;--bad-ground:#fce7e5;--parent:#a9b4c0}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#11151a;--card:#191f26;--line:#2b343e;--ink:#e7ecf2;"
    "--soft:#9ba8b6;--accent:#82bde2;--ok:#82d6a8;--ok-ground:#16302a;--bad:#ffa49b;--bad-ground:#40201f;"
    "--parent:#56626f}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,"
    "-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif}\n"
    "main{max-width:72rem;margin:0 auto;padding:1.5rem}h1{font-size:1.5rem;margin:.2rem "
    "0}h2{font-size:1.1rem;"
    "margin:2rem 0 .6rem}.soft,small{color:var(--soft)}\n"
    ".card,figure{background:var(--card);border:1px solid "
    "var(--line);border-radius:10px;padding:1rem;margin:0}\n"
    ".charts{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr))}\n"
    "figcaption{font-weight:600;margin-bottom:.5rem}svg{width:100%;height:auto;display:block}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem "
    ".7rem;"
    "border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--soft);font-weight:500;"
    "white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "tr:last-child td{border-bottom:0}td:first-child{white-space:nowrap}code{font:13px "
    "ui-monospace,Menlo,'DejaVu Sans Mono',monospace;"
    "overflow-wrap:anywhere}\n"
    ".tag{display:inline-block;border-radius:1rem;padding:0 .6rem;font-weight:600}.yes{color:var(--ok);"
    "background:var(--ok-ground)}.no{color:var(--bad);background:var(--bad-ground)}\n"
    "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .name,svg .tick{fill:var(--soft)}"
    "svg .name{text-anchor:end}svg .tick{text-anchor:middle}svg .soft{fill:var(--soft);font-style:italic}"
    "svg .value{font-variant-numeric:tabular-nums}\n"
    "svg .parent{fill:var(--parent)}svg .candidate{fill:var(--accent)}svg .refused{fill:var(--bad)}"
    "svg .whisker{stroke:var(--soft);stroke-width:1.5;fill:none}svg .axis{stroke:var(--line);fill:none}"
    "svg .wanted{stroke:var(--bad);stroke-dasharray:4 3;fill:none}\n"
    ".key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin:0 .3rem 0 1rem}\n"
    "details{margin-top:1rem}summary{cursor:pointer}\n"
    "</style></head><body><main>\n";

/* Long markup of ours, as it is. */
static void put_raw(struct page *page, const char *markup)
{
    if (page->err.code == ERR_NONE)
        (void)!buf_puts(page->out, markup, &page->err);
}

/* ---- numbers ---- */

static void put_number(struct page *page, double value, const char *fmt_unit)
{
    if (isnan(value))
        page_put(page, "<td class=\"n soft\">–</td>");
    else
        page_put(page, "<td class=\"n\">%.*f%s</td>",
                 value >= 100  ? 0
                 : value >= 10 ? 1
                               : 2,
                 value, fmt_unit);
}

static double megabytes(uint64_t bytes)
{
    return bytes ? (double)bytes / 1e6 : NAN;
}

/* ---- parts ---- */

static void put_facts(struct page *page, const struct optimize_report *report)
{
    page_put(page, "<h1>");
    page_text(page, report->model);
    page_put(page, "</h1><p class=\"soft\"><code>");
    page_text(page, report->model_digest);
    page_put(page,
             "</code><br>%.2f million parameters · %zu samples, %zu to fit and %zu held out · fidelity is "
             "agreement of ",
             (double)report->parameters / 1e6, report->samples, report->fitting, report->held_out);
    page_text(page, report->fidelity_kind);
    page_put(page, " with the model that was given, exact lower bound at %.0f %% · allowed drop %g<br>",
             100 * (1 - GATE_ALPHA), report->max_drop);
    page_text(page, report->processor);
    page_put(page, ", one thread · ");
    page_text(page, report->runtime);
    page_put(page, " · muster ");
    page_text(page, report->version);
    page_put(page, "</p>\n");
}

static void put_verdict(struct page *page, const struct optimize_profile *profile)
{
    const struct gate_answer *gate = &profile->gate;
    page_put(page, "<tr><td><b>");
    page_text(page, profile->profile);
    page_put(page, "</b></td><td>");
    page_text(page, profile->attempt_count ? profile->attempts[profile->attempt_count - 1].precision
                                           : profile->precision);
    page_put(page, "</td>");
    put_number(page, megabytes(profile->size_bytes), " MB");
    put_number(page, gate->candidate_p50_ms, " ms");
    put_number(page, gate->speedup, " ×");
    if (isnan(gate->fidelity))
        page_put(page, "<td class=\"n soft\">–</td>");
    else
        page_put(page, "<td class=\"n\">%.4f ≥ %.4f</td>", gate->fidelity, gate->fidelity_lower);
    page_put(page, "<td><span class=\"tag %s\">%s</span><br><small>", profile->promoted ? "yes" : "no",
             profile->promoted ? "promoted" : "refused");
    page_text(page, profile->reason);
    page_put(page, "</small></td></tr>\n");
}

static void put_verdicts(struct page *page, const struct optimize_report *report)
{
    page_put(page,
             "<h2>Verdicts</h2><div class=\"card scroll\"><table><tr><th>profile<th>precision<th>size<th>p50"
             "<th>speed-up<th>fidelity<th>verdict</tr>\n");
    for (size_t i = 0; i < report->profile_count; i++)
        put_verdict(page, &report->profiles[i]);
    page_put(page, "</table></div>\n");
    if (report->pruning.asked) {
        page_put(
            page,
            "<p>Pruning %.0f %% of the channels: %zu of %zu went, %.2f of %.2f million parameters stay. ",
            100 * report->pruning.ratio, report->pruning.removed, report->pruning.channels,
            (double)report->pruning.parameters_left / 1e6, (double)report->pruning.parameters / 1e6);
        page_text(page, report->pruning.reason);
        page_put(page, "</p>\n");
    }
}

static void put_charts(struct page *page, const struct optimize_report *report)
{
    struct bar_row size[OPTIMIZE_MAX_PROFILES], latency[OPTIMIZE_MAX_PROFILES], memory[OPTIMIZE_MAX_PROFILES];
    struct bound_row fidelity[OPTIMIZE_MAX_PROFILES];
    size_t count = report->profile_count;
    for (size_t i = 0; i < count; i++) {
        const struct optimize_profile *p = &report->profiles[i];
        const struct bar_row row = {
            .label = p->profile, .parent_far = NAN, .candidate_far = NAN, .refused = !p->promoted};
        size[i] = latency[i] = memory[i] = row;
        size[i].parent = megabytes(p->parent_size_bytes);
        size[i].candidate = megabytes(p->size_bytes);
        latency[i].parent = p->gate.parent_p50_ms;
        latency[i].candidate = p->gate.candidate_p50_ms;
        latency[i].parent_far = p->gate.parent_p99_ms;
        latency[i].candidate_far = p->gate.candidate_p99_ms;
        memory[i].parent = megabytes(p->parent_peak_memory_bytes);
        memory[i].candidate = megabytes(p->peak_memory_bytes);
        fidelity[i] = (struct bound_row){.label = p->profile,
                                         .mean = p->gate.fidelity,
                                         .lower = p->gate.fidelity_lower,
                                         .refused = !p->promoted};
    }
    page_put(
        page,
        "<h2>Measured <small class=\"key\"><i style=\"background:var(--parent)\"></i>the model that was given"
        "<i style=\"background:var(--accent)\"></i>promoted<i style=\"background:var(--bad)\"></i>refused"
        "</small></h2><div class=\"charts\">\n");
    chart_bars(page, "Size of the file", "MB", size, count);
    chart_bars(page, "Latency: p50, thin line to p99", "ms", latency, count);
    chart_bounds(page, "Fidelity on held-out samples: mean, and its exact lower bound", 1 - report->max_drop,
                 fidelity, count);
    chart_bars(page, "Peak memory", "MB", memory, count);
    page_put(page, "</div>\n");
}

static void put_sensitivities(struct page *page, const struct optimize_report *report)
{
    bool any = false;
    for (size_t i = 0; i < report->profile_count; i++)
        any = any || report->profiles[i].sensitivity_count;
    page_put(page, "<h2>Sensitivity</h2>\n");
    if (!any)
        page_put(
            page,
            "<p class=\"soft\">Nobody had to look: fidelity was reached before anything was taken back to "
            "float.</p>\n");
    page_put(page, "<div class=\"charts\">\n");
    for (size_t i = 0; i < report->profile_count; i++)
        if (report->profiles[i].sensitivity_count)
            chart_sensitivity(page, &report->profiles[i]);
    page_put(page, "</div>\n");
}

static void put_excluded(struct page *page, const struct optimize_profile *profile)
{
    page_put(page, "<details><summary>");
    page_text(page, profile->profile);
    page_put(
        page,
        ": %zu of %zu weighted operators are integers, %zu operators stay float, %zu do not fuse</summary>",
        profile->integer, profile->weighted, profile->excluded_count, profile->unfused);
    page_put(page, "<div class=\"card scroll\"><table><tr><th>operator<th>node<th>why it stays float</tr>\n");
    for (size_t i = 0; i < profile->excluded_count; i++) {
        page_put(page, "<tr><td>");
        page_text(page, profile->excluded[i].op);
        page_put(page, "</td><td><code>");
        page_text(page, profile->excluded[i].node);
        page_put(page, "</code></td><td>");
        page_text(page, profile->excluded[i].why);
        page_put(page, "</td></tr>\n");
    }
    page_put(page, "</table></div></details>\n");
}

/* For whoever builds an engine by hand; robots do it by themselves. */
static void put_command(struct page *page, const struct optimize_profile *profile)
{
    const struct trt_build build = {.model = profile->path,
                                    .engine = "model.plan",
                                    .timing_cache = "timing.cache",
                                    .level = TENSORRT_LEVEL,
                                    .workspace_mib = TENSORRT_WORKSPACE_MIB};
    cleanup_buf struct buf line = BUF_INIT(4096);
    if (!profile->promoted || !str_eq(profile->profile, quant_profile_name(PROFILE_TRT)))
        return;
    if (trt_command(&build, &line, &page->err) < 0)
        return;
    page_put(page,
             "<h2>Engine</h2><p class=\"soft\">Robots build it by themselves. By hand, with TensorRT 9 or "
             "10 (11 wants no <code>--stronglyTyped</code>):</p><p><code>");
    page_text(page, buf_text(&line));
    page_put(page, "</code></p>\n");
}

static void put_attempts(struct page *page, const struct optimize_report *report)
{
    page_put(
        page,
        "<h2>Candidates</h2><div class=\"card scroll\"><table><tr><th>profile<th>precision<th>verdict<th>why"
        "</tr>\n");
    for (size_t i = 0; i < report->profile_count; i++) {
        const struct optimize_profile *profile = &report->profiles[i];
        for (size_t k = 0; k < profile->attempt_count; k++) {
            page_put(page, "<tr><td>");
            page_text(page, profile->profile);
            page_put(page, "</td><td>");
            page_text(page, profile->attempts[k].precision);
            page_put(page, "</td><td><span class=\"tag %s\">%s</span></td><td>",
                     profile->attempts[k].promoted ? "yes" : "no",
                     profile->attempts[k].promoted ? "promoted" : "refused");
            page_text(page, profile->attempts[k].reason);
            page_put(page, "</td></tr>\n");
        }
    }
    page_put(page, "</table></div>\n");
}

int report_write_html(const struct optimize_report *report, struct buf *out, struct err *err)
{
    struct page page = {.out = out};
    put_raw(&page, head);
    put_facts(&page, report);
    put_verdicts(&page, report);
    put_charts(&page, report);
    put_attempts(&page, report);
    page_put(&page, "<h2>Excluded operators</h2>\n");
    for (size_t i = 0; i < report->profile_count; i++)
        if (report->profiles[i].weighted || report->profiles[i].excluded_count)
            put_excluded(&page, &report->profiles[i]);
    put_sensitivities(&page, report);
    for (size_t i = 0; i < report->profile_count; i++)
        put_command(&page, &report->profiles[i]);
    page_put(
        &page,
        "<p class=\"soft\">%.0f s, at most %.0f MB of memory. Verdicts marked as not measured here are made "
        "by the robot, with the same gate, before it activates a variant.</p>\n</main></body></html>\n",
        report->seconds, (double)report->peak_rss_bytes / 1e6);
    if (page.err.code != ERR_NONE)
        *err = page.err;
    return page.err.code == ERR_NONE ? 0 : -1;
}
