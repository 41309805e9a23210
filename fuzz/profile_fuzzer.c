/* deps: wire stats base */
/* Any bytes as a profile, with the sum at its end made right: never a read outside of them; what is taken is written, and read again the same. */
#include "base/mem.h"
#include "wire/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_sum_right(uint8_t *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i + 8 < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3U;
    if (size >= 8)
        memcpy(data + size - 8, &hash, sizeof hash);
}

static void round_trip(const uint8_t *data, size_t size)
{
    struct err err = {0};
    cleanup_profile struct profile first = {0}, second = {0};
    cleanup_buf struct buf once = BUF_INIT(2 << 20), again = BUF_INIT(2 << 20);
    if (profile_parse(data, size, &first, &err) < 0)
        return;
    if (profile_format(&first, &once, &err) < 0 || profile_parse(once.data, once.len, &second, &err) < 0 ||
        profile_format(&second, &again, &err) < 0 || once.len != again.len ||
        memcmp(once.data, again.data, once.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free uint8_t *copy = mem_dup(data, size);
    if (!copy)
        return 0;
    round_trip(copy, size);
    make_sum_right(copy, size);
    round_trip(copy, size);
    return 0;
}
