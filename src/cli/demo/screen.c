#include "cli/demo/screen.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <unistd.h>

enum { DRAW_EVERY_MS = 250 };

static struct {
    bool quiet, terminal, colour;
    int drawn; /* lines of the fleet picture that stand at the bottom */
    int64_t last_ms;
} screen;

void screen_init(bool quiet)
{
    screen.quiet = quiet;
    screen.terminal = !quiet && isatty(STDERR_FILENO);
    screen.colour = screen.terminal && !getenv("NO_COLOR");
    screen.drawn = 0;
    screen.last_ms = -DRAW_EVERY_MS;
}

static const char *paint(const char *code)
{
    return screen.colour ? code : "";
}

static void wipe(void)
{
    if (screen.drawn)
        fprintf(stderr, "\033[%dA\033[J", screen.drawn);
    screen.drawn = 0;
    screen.last_ms = -DRAW_EVERY_MS;
}

static void scroll_line(const char *before, const char *after, const char *fmt, va_list args)
{
    if (screen.quiet)
        return;
    wipe();
    fputs(before, stderr);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "%s\n", after);
}

void screen_chapter(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    scroll_line(screen.colour ? "\n\033[1m" : "\n== ", paint("\033[0m"), fmt, args);
    va_end(args);
}

void screen_note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    scroll_line("   ", "", fmt, args);
    va_end(args);
}

static void dim_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void dim_line(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    scroll_line(paint("\033[2m"), paint("\033[0m"), fmt, args);
    va_end(args);
}

void screen_command(const char *line)
{
    dim_line("   $ %s", line);
}

static const char *number(double value, const char *fmt, char *out, size_t size)
{
    if (value < 0)
        return "-";
    char bare[24];
    if (str_eq(fmt, "%"))
        snprintf(bare, sizeof bare, "%.1f %%", 100 * value);
    else
        snprintf(bare, sizeof bare, "%.*f", str_eq(fmt, "2") ? 2 : 1, value);
    str_copy(out, size, bare);
    return out;
}

static const char *colour_of(const struct view_robot *robot)
{
    if (str_eq(robot->phase, "rolled_back") || str_eq(robot->phase, "failed"))
        return paint("\033[31m");
    if (!str_eq(robot->presence, "live"))
        return paint("\033[2m");
    if (str_eq(robot->phase, "probation"))
        return paint("\033[33m");
    return str_eq(robot->running, robot->target) && robot->running[0] ? paint("\033[32m") : paint("\033[36m");
}

static void draw_robot(const struct view_robot *robot)
{
    char p50[24], p99[24], share[24], f1[24];
    fprintf(stderr, "   %s%-5s %-6s %-8s %-12s%s %8llu %8s %8s %9s %6s\033[K\n", colour_of(robot), robot->id,
            robot->site, robot->running[0] ? robot->running : "-", robot->phase, paint("\033[0m"),
            (unsigned long long)robot->frames, number(robot->latency_p50_ms, "1", p50, sizeof p50),
            number(robot->latency_p99_ms, "1", p99, sizeof p99),
            number(robot->intervention_share, "%", share, sizeof share),
            number(robot->accuracy_f1, "2", f1, sizeof f1));
}

void screen_fleet(const struct view *view, const struct chaos *chaos, int64_t elapsed_ms)
{
    if (!screen.terminal || elapsed_ms - screen.last_ms < DRAW_EVERY_MS)
        return;
    if (screen.drawn)
        fprintf(stderr, "\033[%dA", screen.drawn);
    screen.last_ms = elapsed_ms;
    const struct view_rollout *rollout = &view->rollout;
    fprintf(stderr, "\033[K\n   %s%3lld s   rollout %s  %s  wave %s%s%s\033[K\n", paint("\033[1m"),
            (long long)elapsed_ms / 1000, rollout->id ? rollout->version : "-",
            rollout->id ? rollout->state : "", rollout->id ? rollout->wave : "-", paint("\033[0m"), "");
    fprintf(stderr, "   %s%-5s %-6s %-8s %-12s %8s %8s %8s %9s %6s%s\033[K\n", paint("\033[4m"), "robot",
            "site", "release", "phase", "frames", "p50 ms", "p99 ms", "stepped", "F1", paint("\033[0m"));
    for (size_t i = 0; i < view->robot_count; i++)
        draw_robot(&view->robots[i]);
    screen.drawn = 3 + (int)view->robot_count;
    if (chaos->on) {
        fprintf(stderr, "   chaos: %d kills, last %s\033[K\n", chaos->kills,
                chaos->last[0] ? chaos->last : "none yet");
        screen.drawn++;
    }
    fflush(stderr);
}

void screen_done(void)
{
    screen.drawn = 0;
}
