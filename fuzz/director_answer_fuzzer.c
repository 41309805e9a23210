/* deps: wire base */
#include "base/mem.h"
#include "wire/director.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a director's answer, and each assignment in it: never a crash; what is taken is written and taken again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_director_answer struct director_answer first = {0}, second = {0};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    if (director_answer_parse(data, size, &first, &err) < 0)
        return 0;
    cleanup_free char *text =
        director_answer_format(first.assignment, (const char *const *)first.approvals, first.approval_count);
    if (text && (director_answer_parse(text, strlen(text), &second, &err) < 0 ||
                 strcmp(first.assignment, second.assignment) != 0))
        abort();
    if (assignment_parse(first.assignment, strlen(first.assignment), &envelope, &err) < 0)
        return 0;
    return 0;
}
