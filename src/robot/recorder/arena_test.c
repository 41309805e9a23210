/* Random entries against a plain list: what is there is the newest part of what was put, whole and in order. */
#include "base/testing.h"

#include "robot/recorder/arena.h"

#include <string.h>

enum { SIZE = 4096 };
static uint64_t memory[SIZE / 8 + 2];

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t length_of(size_t number, size_t most)
{
    uint32_t state = (uint32_t)number * 77u + 5u;
    return next_random(&state) % (most + 1);
}

/* The numbers that are there have to be `newest`, `newest` - 1, …; each payload is full of its number. */
static size_t check(const struct arena *arena, size_t newest, size_t most)
{
    size_t count = 0, number = newest + 1 - arena->count;
    for (const struct arena_entry *entry = arena_first(arena); entry; entry = arena_next(arena, entry)) {
        assert_true((const uint8_t *)entry >= arena->memory);
        assert_true(entry->payload + entry->len <= arena->memory + arena->size);
        assert_int_equal(entry->time_ns, number);
        assert_int_equal(entry->len, length_of(number, most));
        for (size_t i = 0; i < entry->len; i++)
            assert_int_equal(entry->payload[i], number & 255);
        number++;
        count++;
    }
    assert_int_equal(count, arena->count);
    assert_int_equal(number, newest + 1);
    return count;
}

static void fill(size_t most, size_t rounds)
{
    struct arena arena;
    memory[SIZE / 8] = memory[SIZE / 8 + 1] = 0x1122334455667788;
    arena_init(&arena, memory, SIZE);
    assert_null(arena_first(&arena));
    size_t smallest = SIZE;
    for (size_t i = 1; i <= rounds; i++) {
        size_t len = length_of(i, most);
        uint8_t *payload = arena_put(&arena, 1, (int64_t)i, len);
        assert_non_null(payload);
        memset(payload, (int)(i & 255), len);
        size_t there = check(&arena, i, most);
        if (i > 2000)
            smallest = there < smallest ? there : smallest;
    }
    assert_true(smallest >= 1);
    if (most < 100)
        assert_true(smallest * (most + 24) * 2 > SIZE); /* it is made use of */
    assert_int_equal(memory[SIZE / 8], 0x1122334455667788);
}

static void test_against_a_list(void **state)
{
    fill(0, 5000);
    fill(8, 5000);
    fill(64, 5000);
    fill(333, 5000);
    fill(SIZE / 2 - 16, 5000);
}

static void test_too_long(void **state)
{
    struct arena arena;
    arena_init(&arena, memory, SIZE);
    assert_null(arena_put(&arena, 1, 1, SIZE / 2));
    assert_null(arena_put(&arena, 1, 1, SIZE));
    assert_null(arena_put(&arena, 1, 1, SIZE_MAX - 64));
    assert_non_null(arena_put(&arena, 1, 1, SIZE / 2 - 16));
    assert_int_equal(arena.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_list),
                                       cmocka_unit_test(test_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
