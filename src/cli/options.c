#include "cli/cli.h"

#include "base/mem.h"
#include "base/str.h"

#include <getopt.h>

enum { MAX_OPTIONS = 32, LONG_BASE = 1000 };

/* The tables that getopt_long wants. A long option's value is LONG_BASE + its place, so that letters need no
 * second look. */
static void build_tables(const struct option_def *defs, size_t count, struct option *longs, char *letters)
{
    size_t used = 0;
    letters[used++] = ':'; /* "argument missing" is told apart */
    for (size_t i = 0; i < count; i++) {
        bool has_argument = defs[i].kind != OPTION_FLAG;
        longs[i] = (struct option){.name = defs[i].name,
                                   .has_arg = has_argument ? required_argument : no_argument,
                                   .val = LONG_BASE + (int)i};
        if (defs[i].letter) {
            letters[used++] = defs[i].letter;
            if (has_argument)
                letters[used++] = ':';
        }
    }
    letters[used] = '\0';
    longs[count] = (struct option){0};
}

static int take_int(const struct option_def *def, const char *text, struct err *err)
{
    int64_t value = 0;
    if (!str_to_i64(text, &value) || value < def->min || value > def->max)
        return err_set(err, ERR_USAGE, "--%s %s: must be a whole number from %lld to %lld", def->name, text,
                       (long long)def->min, (long long)def->max);
    *(int64_t *)def->out = value;
    return 0;
}

static int take_double(const struct option_def *def, const char *text, struct err *err)
{
    if (!str_to_double(text, def->out))
        return err_set(err, ERR_USAGE, "--%s %s: must be a number", def->name, text);
    return 0;
}

static int take_item(const struct option_def *def, const char *text, struct err *err)
{
    struct option_list *list = def->out;
    if (list->count == ARRAY_LEN(list->items))
        return err_set(err, ERR_USAGE, "--%s: more than %zu times", def->name, ARRAY_LEN(list->items));
    list->items[list->count++] = text;
    return 0;
}

static int take(const struct option_def *def, const char *text, struct err *err)
{
    switch (def->kind) {
    case OPTION_FLAG:
        *(bool *)def->out = true;
        return 0;
    case OPTION_TEXT:
        *(const char **)def->out = text;
        return 0;
    case OPTION_INT:
        return take_int(def, text, err);
    case OPTION_DOUBLE:
        return take_double(def, text, err);
    case OPTION_LIST:
        return take_item(def, text, err);
    }
    return err_set(err, ERR_INTERNAL, "option --%s", def->name);
}

static const struct option_def *find(const struct option_def *defs, size_t count, int code)
{
    if (code >= LONG_BASE)
        return &defs[code - LONG_BASE];
    for (size_t i = 0; i < count; i++)
        if (defs[i].letter == code)
            return &defs[i];
    return NULL;
}

static int parse_options(int argc, char **argv, const struct option_def *defs, size_t count, struct err *err)
{
    struct option longs[MAX_OPTIONS + 1];
    char letters[2 * MAX_OPTIONS + 2];
    build_tables(defs, count, longs, letters);
    optind = 0; /* glibc: start anew */
    opterr = 0;
    for (;;) {
        int before = optind ? optind : 1;
        int code = getopt_long(argc, argv, letters, longs, NULL);
        if (code == -1)
            return 0;
        const struct option_def *def = code == '?' || code == ':' ? NULL : find(defs, count, code);
        const char *word = argv[optind > before ? optind - 1 : before];
        if (code == ':')
            return err_set(err, ERR_USAGE, "%s needs a value; see muster %s --help", word, argv[0]);
        if (!def)
            return err_set(err, ERR_USAGE, "unknown option %s; see muster %s --help", word, argv[0]);
        if (take(def, optarg, err) < 0)
            return -1;
    }
}

int options_parse(int argc, char **argv, const struct option_def *defs, size_t count,
                  struct operands *operands, struct err *err)
{
    if (count > MAX_OPTIONS)
        return err_set(err, ERR_INTERNAL, "too many options");
    if (parse_options(argc, argv, defs, count, err) < 0)
        return -1;
    operands->count = 0;
    for (int i = optind; i < argc; i++) { /* getopt has moved them behind the options */
        if (operands->count == operands->max)
            return err_set(err, ERR_USAGE, "unexpected \"%s\"; see muster %s --help", argv[i], argv[0]);
        operands->items[operands->count++] = argv[i];
    }
    if (operands->count < operands->min)
        return err_set(err, ERR_USAGE, "%s is missing; see muster %s --help", operands->usage, argv[0]);
    return 0;
}
