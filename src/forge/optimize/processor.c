#include "forge/optimize/processor.h"

#include "base/buf.h"
#include "base/str.h"
#include "sys/file.h"

#include <string.h>
#include <sys/utsname.h>

enum { CPUINFO_MAX = 4 << 20 };

/* The value of the first line "key   : value"; its length in *out_len. */
static const char *value_of(const char *text, const char *key, size_t *out_len)
{
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        const char *colon = memchr(line, ':', (size_t)(end - line));
        size_t len = strlen(key);
        if (colon && str_starts(line, key) && (line[len] == '\t' || line[len] == ' ' || line[len] == ':')) {
            const char *value = colon + 1 + strspn(colon + 1, " \t");
            *out_len = value < end ? (size_t)(end - value) : 0;
            return value;
        }
        line = *end ? end + 1 : end;
    }
    *out_len = 0;
    return "";
}

static bool has_word(const char *list, size_t len, const char *word)
{
    size_t want = strlen(word);
    for (size_t at = 0; at < len;) {
        size_t size = strcspn(list + at, " \n");
        if (size == want && strncmp(list + at, word, want) == 0)
            return true;
        at += size + 1;
    }
    return false;
}

void processor_parse(const char *machine, const char *cpuinfo, struct processor *out)
{
    size_t len;
    *out = (struct processor){0};
    str_copy(out->machine, sizeof out->machine, machine);
    const char *name = value_of(cpuinfo, "model name", &len);
    snprintf(out->name, sizeof out->name, "%.*s", (int)len, name);
    if (!out->name[0])
        str_copy(out->name, sizeof out->name, machine);
    const char *flags = value_of(cpuinfo, "flags", &len);
    out->vnni = has_word(flags, len, "avx512_vnni") || has_word(flags, len, "avx_vnni");
    const char *features = value_of(cpuinfo, "Features", &len);
    out->dot = has_word(features, len, "asimddp");
}

void processor_look(struct processor *out)
{
    struct utsname system = {0};
    cleanup_buf struct buf text = BUF_INIT(CPUINFO_MAX);
    struct err ignored = {0};
    uname(&system);
    (void)!file_read("/proc/cpuinfo", &text, &ignored); /* what it does not say is not there */
    processor_parse(system.machine, buf_text(&text), out);
}

bool processor_fits(const struct processor *processor, enum quant_profile profile)
{
    switch (profile) {
    case PROFILE_CPU_X86:
        return str_eq(processor->machine, "x86_64");
    case PROFILE_CPU_ARM:
        return str_eq(processor->machine, "aarch64");
    case PROFILE_TRT:
    case PROFILE_COUNT:
        break;
    }
    return false; /* engines are measured where they are built */
}

int processor_weight_bits(const struct processor *processor, enum quant_profile profile)
{
    bool overflows = profile == PROFILE_CPU_X86 && processor_fits(processor, profile) && !processor->vnni;
    return overflows ? 7 : 8;
}
