#include "trust/rule.h"
#include "base/mem.h"

#include <stdarg.h>

static const struct {
    const char *name, *source, *what;
} rules[TRUST_RULE_COUNT] = {
    [TRUST_RULE_NONE] = {"none", "", "nothing"},
#define TRUST_RULE(id, rule_name, rule_source, rule_what) [TRUST_##id] = {rule_name, rule_source, rule_what},
#include "trust/rules.def"
#undef TRUST_RULE
};

int trust_refuse(struct err *err, enum trust_rule rule, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(err, ERR_UNTRUSTED, "[%s] %s", trust_rule_name(rule), text);
}

enum trust_rule trust_rule_of(const char *text)
{
    for (const char *open = strchr(text, '['); open; open = strchr(open + 1, '[')) {
        size_t len = strcspn(open + 1, "]");
        for (int rule = TRUST_RULE_NONE + 1; open[1 + len] && rule < TRUST_RULE_COUNT; rule++)
            if (strlen(rules[rule].name) == len && memcmp(rules[rule].name, open + 1, len) == 0)
                return rule;
    }
    return TRUST_RULE_NONE;
}

const char *trust_rule_name(enum trust_rule rule)
{
    return rules[rule].name;
}

const char *trust_rule_source(enum trust_rule rule)
{
    return rules[rule].source;
}

const char *trust_rule_what(enum trust_rule rule)
{
    return rules[rule].what;
}
