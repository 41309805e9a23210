#include "base/log.h"
#include "base/clock.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *program_name = "muster";
static enum log_level threshold = LOG_INFO;
static bool never_wait;

void log_init(const char *program)
{
    program_name = program;
    const char *wanted = getenv("MUSTER_LOG");
    for (int level = LOG_DEBUG; wanted && level <= LOG_ERROR; level++)
        if (strcmp(level_names[level], wanted) == 0)
            threshold = (enum log_level)level;
}

void log_never_wait(void)
{
    signal(SIGPIPE, SIG_IGN);
    tzset(); /* libc reads the time zone once, into memory of its own */
    never_wait = true;
}

static bool has_room(void)
{
    struct pollfd look = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&look, 1, 0) > 0 && (look.revents & POLLOUT);
}

/* A line is one line whatever foreign bytes it quotes. */
static void tame(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (level < threshold)
        return;
    char when[CLOCK_RFC3339_SIZE], line[1024];
    clock_rfc3339(clock_wall_ms(), when);
    int used = snprintf(line, sizeof line, "%s %s %s: ", when, level_names[level], program_name);
    va_list args;
    va_start(args, fmt);
    used += vsnprintf(line + used, sizeof line - (size_t)used - 1, fmt, args);
    va_end(args);
    if ((size_t)used > sizeof line - 2)
        used = (int)sizeof line - 2;
    tame(line, (size_t)used);
    line[used++] = '\n';
    if (never_wait && !has_room())
        return;
    /* One write per line, so that lines of several processes on one pipe do not mix. */
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)used);
    (void)ignored;
}
