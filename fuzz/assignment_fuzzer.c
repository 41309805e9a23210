/* deps: wire base */
#include "base/mem.h"
#include "wire/assignment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as an assignment: never a crash; what is taken is written, taken again, and means and signs the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_assignment_envelope struct assignment_envelope first = {0}, second = {0};
    if (assignment_parse(data, size, &first, &err) < 0)
        return 0;
    cleanup_free char *text =
        assignment_envelope_format(first.signed_text, first.signatures, first.signature_count, &err);
    if (!text || assignment_parse(text, strlen(text), &second, &err) < 0)
        abort();
    if (memcmp(&first.assignment, &second.assignment, sizeof first.assignment) != 0 ||
        strcmp(first.signed_text, second.signed_text) != 0 || first.signature_count != second.signature_count)
        abort();
    return 0;
}
