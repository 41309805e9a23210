#include "cli/passphrase.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>

enum { PASSPHRASE_MAX = 1024 };

void passphrase_free(char *passphrase)
{
    if (passphrase)
        explicit_bzero(passphrase, strlen(passphrase));
    free(passphrase);
}

static int from_file(const char *path, char **out, struct err *err)
{
    struct buf text = BUF_INIT(PASSPHRASE_MAX);
    int result = file_read(path, &text, err);
    size_t len = strcspn(buf_text(&text), "\r\n");
    if (result == 0 && len == 0)
        result = err_set(err, ERR_INVALID, "%s holds no passphrase", path);
    if (result == 0 && !(*out = mem_strndup(buf_text(&text), len)))
        result = err_no_memory(err);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_fini(&text);
    return result;
}

struct quiet { /* a terminal that shows nothing */
    int tty;
    struct termios before;
    struct sigaction interrupt, terminate;
    sigset_t mask;
};

/* Signals are let in only while it waits, so that none is lost between two steps. */
static int read_line(const struct quiet *quiet, char out[PASSPHRASE_MAX], struct err *err)
{
    size_t len = 0;
    for (;;) {
        struct pollfd ready = {.fd = quiet->tty, .events = POLLIN};
        if (ppoll(&ready, 1, NULL, &quiet->mask) < 0 || read(quiet->tty, out + len, 1) <= 0)
            return err_set(err, ERR_DENIED, "no passphrase was given");
        if (out[len] == '\n')
            break;
        if (++len == PASSPHRASE_MAX - 1)
            return err_set(err, ERR_TOO_BIG, "the passphrase has more than %d characters",
                           PASSPHRASE_MAX - 2);
    }
    out[len] = 0;
    return len > 0 ? 0 : err_set(err, ERR_INVALID, "the passphrase is empty");
}

/* ^C ends the question, not the process: the terminal would stay without an echo. */
static void on_signal(int number)
{
    (void)number; /* ppoll(2) returns, that is all */
}

static int quiet_begin(struct quiet *quiet)
{
    const struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    if (tcgetattr(quiet->tty, &quiet->before) < 0)
        return -1;
    struct termios silent = quiet->before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, &quiet->mask);
    sigaction(SIGINT, &action, &quiet->interrupt);
    sigaction(SIGTERM, &action, &quiet->terminate);
    (void)tcsetattr(quiet->tty, TCSAFLUSH, &silent); /* where tcgetattr works it does, too */
    return 0;
}

static void quiet_end(const struct quiet *quiet)
{
    tcsetattr(quiet->tty, TCSAFLUSH, &quiet->before);
    sigaction(SIGINT, &quiet->interrupt, NULL);
    sigaction(SIGTERM, &quiet->terminate, NULL);
    sigprocmask(SIG_SETMASK, &quiet->mask, NULL);
    dprintf(quiet->tty, "\n");
}

static int from_terminal(const char *question, char **out, struct err *err)
{
    char line[PASSPHRASE_MAX] = "";
    cleanup_close int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct quiet quiet = {.tty = tty};
    if (tty < 0 || quiet_begin(&quiet) < 0)
        return err_set(err, ERR_DENIED,
                       "%s: there is no terminal to ask at; name a file with it in MUSTER_PASSPHRASE_FILE",
                       question);
    dprintf(tty, "%s: ", question);
    int result = read_line(&quiet, line, err);
    quiet_end(&quiet);
    if (result == 0 && !(*out = mem_strdup(line)))
        result = err_no_memory(err);
    explicit_bzero(line, sizeof line);
    return result;
}

int passphrase_ask(const char *what, char **out, struct err *err)
{
    const char *path = getenv("MUSTER_PASSPHRASE_FILE");
    cleanup_free char *question = mem_printf("passphrase of %s", what);
    if (path && path[0])
        return from_file(path, out, err);
    return question ? from_terminal(question, out, err) : err_no_memory(err);
}

int passphrase_choose(char **out, struct err *err)
{
    cleanup_passphrase char *first = NULL, *second = NULL;
    const char *path = getenv("MUSTER_PASSPHRASE_FILE");
    bool file = path && path[0];
    if (file ? from_file(path, &first, err) < 0
             : from_terminal("passphrase for the new keys", &first, err) < 0)
        return file || err->code != ERR_DENIED
                   ? -1
                   : err_prefix(err, "keys are kept encrypted (--no-passphrase: they are not)");
    if (strlen(first) < PASSPHRASE_MIN)
        return err_set(err, ERR_INVALID, "the passphrase has fewer than %d characters", PASSPHRASE_MIN);
    if (!file && from_terminal("the same again", &second, err) < 0)
        return -1;
    if (!file && !str_eq(first, second))
        return err_set(err, ERR_INVALID, "the two passphrases differ");
    *out = TAKE_PTR(first);
    return 0;
}
