#include "wire/director.h"
#include "base/buf.h"
#include "base/mem.h"
#include "wire/json.h"

void director_answer_fini(struct director_answer *answer)
{
    free(answer->assignment);
    for (size_t i = 0; i < answer->approval_count; i++)
        free(answer->approvals[i]);
    *answer = (struct director_answer){0};
}

static void read_answer(struct json_at root, struct director_answer *out)
{
    size_t count = 0;
    JSON_ONLY(root, "assignment", "approvals");
    out->assignment = json_canonical(json_child(root, "assignment"));
    struct json_at list = json_list(root, "approvals", ASSIGNMENT_MAX_APPROVALS, &count);
    for (size_t i = 0; i < count; i++)
        out->approvals[out->approval_count++] = json_canonical(json_as_object(json_item(list, i)));
}

int director_answer_parse(const void *text, size_t len, struct director_answer *out, struct err *err)
{
    struct json_reader reader;
    *out = (struct director_answer){0};
    if (len > DIRECTOR_MAX_BYTES)
        return err_set(err, ERR_TOO_BIG, "director's answer: %zu bytes, the limit is %d", len,
                       DIRECTOR_MAX_BYTES);
    if (json_read(&reader, "director's answer", text, len, err) < 0)
        return -1;
    read_answer(json_root(&reader), out);
    if (json_finish(&reader, err) == 0)
        return 0;
    director_answer_fini(out);
    return -1;
}

char *director_answer_format(const char *assignment, const char *const *approvals, size_t count)
{
    struct err err = {0};
    cleanup_buf struct buf out = BUF_INIT(DIRECTOR_MAX_BYTES);
    int rc = buf_printf(&out, &err, "{\"approvals\":[");
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = buf_printf(&out, &err, "%s%s", i ? "," : "", approvals[i]);
    if (rc < 0 || buf_printf(&out, &err, "],\"assignment\":%s}", assignment) < 0)
        return NULL;
    return buf_take(&out);
}
