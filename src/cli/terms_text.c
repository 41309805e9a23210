#include "cli/terms_text.h"

#include "base/mem.h"
#include "base/str.h"

static int find_operator(const struct keyring *ring, const char *name, struct err *err)
{
    for (size_t i = 0; i < ring->count; i++)
        if (str_eq(ring->entries[i].name, name))
            return ring->entries[i].revoked
                       ? err_set(err, ERR_REFUSED, "the key of operator %.47s is revoked", name)
                       : 0;
    return err_set(err, ERR_REFUSED,
                   "no operator %.47s in the fleet's keyring; make his key with muster keys operator %.47s",
                   name, name);
}

static int add_operator(const char *name, const struct keyring *ring, struct terms *out, struct err *err)
{
    if (!str_is_name(name, sizeof out->operators[0] - 1))
        return err_set(err, ERR_USAGE, "--approvals: '%.60s' is no operator's name", name);
    if (out->operator_count == TERMS_MAX_OPERATORS)
        return err_set(err, ERR_USAGE, "--approvals: more than %d operators", TERMS_MAX_OPERATORS);
    for (size_t i = 0; i < out->operator_count; i++)
        if (str_eq(out->operators[i], name))
            return err_set(err, ERR_USAGE, "--approvals: %s is there twice", name);
    str_copy(out->operators[out->operator_count++], sizeof out->operators[0], name);
    return find_operator(ring, name, err);
}

static int read_operators(char *names, const struct keyring *ring, struct terms *out, struct err *err)
{
    char *rest = names;
    for (char *name; (name = strsep(&rest, ","));)
        if (add_operator(name, ring, out, err) < 0)
            return -1;
    return 0;
}

int terms_read_approvals(const char *text, const struct keyring *operators, struct terms *out,
                         struct err *err)
{
    cleanup_free char *copy = mem_strdup(text);
    uint64_t threshold = 0;
    char *rest = copy;
    if (!copy)
        return err_no_memory(err);
    const char *number = strsep(&rest, ":");
    char *names = strsep(&rest, ":");
    if (!names || !str_to_u64(number, &threshold) || threshold == 0 ||
        (rest && !str_eq(rest, "plan") && !str_eq(rest, "release")))
        return err_set(
            err, ERR_USAGE,
            "--approvals %.60s: how many, and of whom, as in 2:alice,bob,carol or 2:alice,bob,carol:plan",
            text);
    out->operator_count = 0;
    if (read_operators(names, operators, out, err) < 0)
        return -1;
    if (threshold > out->operator_count)
        return err_set(err, ERR_USAGE, "--approvals: %d of %zu operators cannot approve",
                       (int)MIN(threshold, 1000), out->operator_count);
    out->threshold = (int)threshold;
    out->scope = str_eq(rest, "plan") ? TERMS_OF_PLAN : TERMS_OF_RELEASE;
    return 0;
}

void terms_print(const struct terms *terms)
{
    printf("fleet       %s\n", terms->fleet);
    if (terms->threshold > 0) {
        printf("approvals   %d of", terms->threshold);
        for (size_t i = 0; i < terms->operator_count; i++)
            printf("%s %s", i ? "," : "", terms->operators[i]);
        puts(terms->scope == TERMS_OF_PLAN ? ", for each rollout's plan" : "");
    }
    if (terms->floor[0])
        printf("floor       %s: nothing older once this is accepted\n", terms->floor);
}

void terms_write(struct json_writer *w, const char *key, const struct terms *terms)
{
    jsonw_object(w, key);
    jsonw_text(w, "fleet", terms->fleet);
    jsonw_i64(w, "approvals", terms->threshold);
    jsonw_array(w, "operators");
    for (size_t i = 0; i < terms->operator_count; i++)
        jsonw_text(w, NULL, terms->operators[i]);
    jsonw_close(w);
    jsonw_text(w, "of", terms->scope == TERMS_OF_PLAN ? "plan" : "release");
    jsonw_text(w, "floor", terms->floor);
    jsonw_close(w);
}
