#include "cli/output.h"

#include "base/mem.h"

#include <inttypes.h>
#include <math.h>

enum { OUTPUT_MAX = 64 << 20 };

static void put(struct output *out, const char *text)
{
    if (out->err.code == ERR_NONE && buf_puts(&out->buf, text, &out->err) < 0)
        return;
}

static void put_string(struct output *out, const char *text)
{
    put(out, "\"");
    for (const char *c = text; *c; c++) {
        char piece[8];
        if (*c == '"' || *c == '\\')
            snprintf(piece, sizeof piece, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            snprintf(piece, sizeof piece, "\\u%04x", (unsigned)(unsigned char)*c);
        else
            snprintf(piece, sizeof piece, "%c", *c);
        put(out, piece);
    }
    put(out, "\"");
}

static void new_line(struct output *out)
{
    put(out, "\n");
    for (int i = 0; i < out->depth; i++)
        put(out, "  ");
}

static void start(struct output *out, const char *key)
{
    if (!out->first)
        put(out, ",");
    if (out->depth > 0)
        new_line(out);
    out->first = false;
    if (key) {
        put_string(out, key);
        put(out, ": ");
    }
}

void output_init(struct output *out)
{
    *out = (struct output){.buf = BUF_INIT(OUTPUT_MAX), .first = true};
}

void output_open(struct output *out, const char *key, char bracket)
{
    start(out, key);
    put(out, bracket == '{' ? "{" : "[");
    out->depth++;
    out->first = true;
}

void output_close(struct output *out, char bracket)
{
    bool empty = out->first;
    out->depth--;
    out->first = false;
    if (!empty)
        new_line(out);
    put(out, bracket == '}' ? "}" : "]");
}

void output_text(struct output *out, const char *key, const char *text)
{
    start(out, key);
    put_string(out, text);
}

void output_int(struct output *out, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    start(out, key);
    put(out, text);
}

void output_number(struct output *out, const char *key, double value)
{
    char text[40] = "null";
    if (isfinite(value))
        snprintf(text, sizeof text, "%.9g", value);
    start(out, key);
    put(out, text);
}

void output_bool(struct output *out, const char *key, bool value)
{
    start(out, key);
    put(out, value ? "true" : "false");
}

void output_digest(struct output *out, const char *key, const struct digest *digest)
{
    struct digest_text text = digest_format(digest);
    output_text(out, key, text.text);
}

void output_raw(struct output *out, const char *key, const char *json)
{
    start(out, key);
    put(out, json);
}

int output_print(struct output *out, struct err *err)
{
    put(out, "\n");
    int result = 0;
    if (out->err.code != ERR_NONE) {
        *err = out->err;
        result = -1;
    } else if (fputs(buf_text(&out->buf), stdout) < 0 || fflush(stdout) != 0) {
        result = err_errno(err, "write to standard output");
    }
    buf_fini(&out->buf);
    return result;
}

struct byte_text format_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    struct byte_text out;
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    snprintf(out.text, sizeof out.text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}
