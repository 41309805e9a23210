#include "cli/output.h"

#include "base/mem.h"
#include "wire/json.h"

int output_print(struct json_writer *w, struct err *err)
{
    cleanup_free char *text = jsonw_take(w, err);
    if (!text)
        return -1;
    return puts(text) < 0 ? err_errno(err, "write to standard output") : 0;
}

int output_answer(const struct buf *answer, struct err *err)
{
    struct json_reader reader;
    if (json_read(&reader, "answer of the server", buf_text(answer), answer->len, err) < 0)
        return -1;
    cleanup_free char *text = json_canonical(json_root(&reader));
    if (json_finish(&reader, err) < 0)
        return -1;
    if (!text)
        return err_no_memory(err);
    return puts(text) < 0 ? err_errno(err, "write to standard output") : 0;
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
