/* Log lines of the daemons: one line each to stderr, which the service manager keeps.
 *
 *     2026-01-02T03:04:05.678Z info agent: installed detector 2.0.0
 *
 * Not for the CLI's answers (stdout) and not for pure rooms. MUSTER_LOG=debug|info|warn|error sets the level.
 */
#ifndef MUSTER_BASE_LOG_H
#define MUSTER_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_init(const char *program); /* name in each line, kept by reference; reads MUSTER_LOG */
/* From now on a line that nobody makes room for is dropped, and a reader that went away is no signal: whoever
 * keeps the log can neither stop nor end this program. Nor does logging allocate anything after this call. */
void log_never_wait(void);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
