/* deps: trust/merkle trust/rule wire/tuf trust sys wire base */
#include "base/mem.h"
#include "trust/merkle/answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a server may answer to a witness: parsed or refused, and never believed without a signature. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct public_key nobody = {.id = "0"};
    struct err err = {0};
    struct checkpoint known = {.origin = "muster.audit/1", .size = 3}, out = {0};
    cleanup_free struct checkpoint_answer *answer = mem_zalloc(1, sizeof *answer);
    if (!answer)
        return 0;
    if (checkpoint_answer_parse(data, size, answer, &err) < 0) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    if (checkpoint_follows(&known, answer, &nobody, 1, &out, &err) == 0 || out.size)
        abort();
    /* The proof alone, for a log of any size: true or false, within its memory. */
    for (uint64_t before = 0; before < 9; before++)
        (void)merkle_check_consistency(before, &known.root, size, &known.root, &answer->consistency);
    (void)merkle_check_inclusion(&known.root, size / 2, size, &known.root, &answer->consistency);
    return 0;
}
