#include "cli/cli.h"

#include "base/mem.h"
#include "base/str.h"

static size_t distance(const char *a, const char *b)
{
    enum { MAX = 24 };
    size_t row[MAX + 1], la = strlen(a), lb = strlen(b);
    if (la > MAX || lb > MAX)
        return MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = MIN(change, 1 + MIN(row[j], row[j - 1]));
        }
    }
    return row[lb];
}

static const char *nearest(const struct verb *table, size_t count, const char *word)
{
    const char *best = NULL;
    size_t best_distance = 3; /* further away is no slip of the pen */
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, table[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = table[i].name;
        }
    }
    return best;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && !str_eq(argv[i], "--"); i++)
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h"))
            return true;
    return false;
}

/* A verb of a verb is called "robot show", so that its errors point to a help that exists: "muster robot show
 * --help".
 */
static int run(const struct verb *verb, const char *what, int argc, char **argv, struct err *err)
{
    char name[64], *word = argv[0];
    if (str_starts(what, "muster ")) {
        snprintf(name, sizeof name, "%s %s", what + strlen("muster "), verb->name);
        argv[0] = name;
    }
    int result = verb->run(argc, argv, err);
    argv[0] = word;
    return result;
}

int verb_dispatch(const struct verb *table, size_t count, const char *what, int argc, char **argv,
                  struct err *err)
{
    if (argc < 1)
        return err_set(err, ERR_USAGE, "what to do is missing; see %s --help", what);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(argv[0], table[i].name))
            continue;
        if (!table[i].help || !wants_help(argc, argv))
            return run(&table[i], what, argc, argv, err);
        fputs(table[i].help, stdout);
        return 0;
    }
    const char *guess = nearest(table, count, argv[0]);
    if (guess)
        return err_set(err, ERR_USAGE, "unknown command \"%.40s\"; did you mean \"%s\"?", argv[0], guess);
    return err_set(err, ERR_USAGE, "unknown command \"%.40s\"; see %s --help", argv[0], what);
}
