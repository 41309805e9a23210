#include "forge/optimize/report_page.h"

#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    WIDTH = 640,
    LEFT = 110,
    RIGHT = 110,
    PLOT = WIDTH - LEFT - RIGHT,
    BAR = 11,
    ROW = 42,
    HEAD = 6,
    MOST_GROUPS = 24
};

/* ---- the page ---- */

void page_put(struct page *page, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (page->err.code == ERR_NONE && len > 0)
        (void)!buf_put(page->out, line, MIN((size_t)len, sizeof line - 1), &page->err);
}

static const char *entity(char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)c < ' ' && c != '\n' ? "&#xFFFD;" : NULL;
    }
}

void page_text(struct page *page, const char *text)
{
    for (const char *c = text; *c && page->err.code == ERR_NONE; c++) {
        const char *escaped = entity(*c);
        if (escaped)
            (void)!buf_puts(page->out, escaped, &page->err);
        else
            (void)!buf_put(page->out, c, 1, &page->err);
    }
}

static void begin(struct page *page, const char *title, size_t height)
{
    page_put(page, "<figure><figcaption>");
    page_text(page, title);
    page_put(page, "</figcaption><svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"", WIDTH, height);
    page_text(page, title);
    page_put(page, "\">\n");
}

static void end(struct page *page)
{
    page_put(page, "</svg></figure>\n");
}

static void label(struct page *page, double x, double y, const char *kind, const char *text)
{
    page_put(page, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, kind);
    page_text(page, text);
    page_put(page, "</text>");
}

/* ---- bars ---- */

static double largest(const struct bar_row *rows, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fmax(rows[i].parent, rows[i].candidate)); /* fmax leaves NaN out */
        most = fmax(most, fmax(rows[i].parent_far, rows[i].candidate_far));
    }
    return most > 0 ? most : 1;
}

static void bar(struct page *page, double y, double value, double far, double most, const char *kind,
                const char *unit)
{
    char text[48];
    if (isnan(value)) {
        label(page, LEFT + 4, y + BAR - 2, "soft", "not measured here");
        return;
    }
    double length = value / most * PLOT, reach = length;
    page_put(page, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s\"/>", LEFT, y,
             fmax(length, 1), BAR, kind);
    if (!isnan(far)) {
        reach = fmax(length, far / most * PLOT);
        page_put(page, "<path d=\"M%.1f %.1fH%.1fm0 -3v6\" class=\"whisker\"/>", LEFT + length, y + BAR / 2.0,
                 LEFT + reach);
    }
    snprintf(text, sizeof text, value >= 100 ? "%.0f %s" : value >= 10 ? "%.1f %s" : "%.3g %s", value, unit);
    label(page, LEFT + reach + 6, y + BAR - 2, "value", text);
}

void chart_bars(struct page *page, const char *title, const char *unit, const struct bar_row *rows,
                size_t count)
{
    double most = largest(rows, count);
    begin(page, title, HEAD + ROW * count);
    for (size_t i = 0; i < count; i++) {
        double y = HEAD + (double)(ROW * i);
        label(page, LEFT - 10, y + BAR + 4, "name", rows[i].label);
        bar(page, y, rows[i].parent, rows[i].parent_far, most, "parent", unit);
        bar(page, y + BAR + 3, rows[i].candidate, rows[i].candidate_far, most,
            rows[i].refused ? "refused" : "candidate", unit);
        page_put(page, "\n");
    }
    end(page);
}

/* ---- bounds ---- */

static double place(double value, double low)
{
    return LEFT + fmin(fmax((value - low) / (1 - low), 0), 1) * PLOT;
}

static void bound(struct page *page, const struct bound_row *row, double y, double low)
{
    char text[48];
    label(page, LEFT - 10, y + 4, "name", row->label);
    if (isnan(row->mean)) {
        label(page, LEFT + 4, y + 4, "soft", "not measured");
        return;
    }
    const char *kind = row->refused ? "refused" : "candidate";
    page_put(page, "<path d=\"M%.1f %.1fv10m0 -5H%.1f\" class=\"whisker\"/>", place(row->lower, low), y - 5,
             place(row->mean, low));
    page_put(page, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"%s\"/>", place(row->mean, low), y, kind);
    snprintf(text, sizeof text, "%.4f ≥ %.4f", row->mean, row->lower);
    label(page, LEFT + PLOT + 8, y + 4, "value", text);
}

void chart_bounds(struct page *page, const char *title, double wanted, const struct bound_row *rows,
                  size_t count)
{
    enum { STEP = 28 };
    double low = wanted;
    for (size_t i = 0; i < count; i++)
        low = fmin(low, rows[i].lower);
    low = fmax(0, low - (1 - low) * 0.25);
    size_t height = HEAD + STEP * count + 22;
    begin(page, title, height);
    page_put(page, "<path d=\"M%d %zuH%d\" class=\"axis\"/>", LEFT, height - 20, LEFT + PLOT);
    page_put(page, "<path d=\"M%.1f %dV%zu\" class=\"wanted\"/>", place(wanted, low), HEAD, height - 20);
    const double ticks[] = {low, wanted, 1};
    for (size_t i = 0; i < ARRAY_LEN(ticks); i++)
        page_put(page, "<text x=\"%.1f\" y=\"%zu\" class=\"tick\">%.3f%s</text>", place(ticks[i], low),
                 height - 6, ticks[i], i == 1 ? " wanted" : "");
    for (size_t i = 0; i < count; i++)
        bound(page, &rows[i], HEAD + 14 + (double)(STEP * i), low);
    end(page);
}

/* ---- sensitivity ---- */

void chart_sensitivity(struct page *page, const struct optimize_profile *profile)
{
    enum { STEP = 17, WIDE = 230 };
    char title[96];
    size_t count = MIN(profile->sensitivity_count, (size_t)MOST_GROUPS);
    double most = 1;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, profile->sensitivity[i].sqnr_db);
    snprintf(title, sizeof title, "%s: what each group alone costs (dB, less is worse)", profile->profile);
    begin(page, title, HEAD + STEP * count);
    for (size_t i = 0; i < count; i++) {
        const struct optimize_sensitivity *item = &profile->sensitivity[i];
        double y = HEAD + (double)(STEP * i), length = fmax(item->sqnr_db, 0) / most * (WIDTH - WIDE - 60);
        char name[40];
        size_t len = strlen(item->node);
        snprintf(name, sizeof name, "%s%s", len > 32 ? "…" : "", item->node + (len > 32 ? len - 32 : 0));
        label(page, WIDE - 8, y + BAR - 1, "name", name);
        if (isnan(item->sqnr_db)) {
            label(page, WIDE, y + BAR - 1, "soft", "no error");
            continue;
        }
        page_put(page,
                 "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"candidate\"/>",
                 WIDE, y, fmax(length, 1), BAR);
        page_put(page, "<text x=\"%.1f\" y=\"%.1f\" class=\"value\">%.1f</text>", WIDE + length + 5,
                 y + BAR - 1, item->sqnr_db);
    }
    end(page);
}
