#include "cli/passphrase.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"

#include <fcntl.h>
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

static int read_line(int tty, char out[PASSPHRASE_MAX], struct err *err)
{
    size_t len = 0;
    for (;;) {
        ssize_t got = read(tty, out + len, 1);
        if (got <= 0)
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

static int from_terminal(const char *question, char **out, struct err *err)
{
    char line[PASSPHRASE_MAX] = "";
    struct termios before, silent;
    cleanup_close int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0 || tcgetattr(tty, &before) < 0)
        return err_set(err, ERR_DENIED,
                       "%s: there is no terminal to ask at; name a file with it in MUSTER_PASSPHRASE_FILE",
                       question);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    dprintf(tty, "%s: ", question);
    tcsetattr(tty, TCSAFLUSH, &silent);
    int result = read_line(tty, line, err);
    tcsetattr(tty, TCSAFLUSH, &before);
    dprintf(tty, "\n");
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
