#include "robot/agent/command_memory.h"

#include "base/str.h"
#include "base/testing.h"
#include "sys/file.h"

#include <signal.h>
#include <sys/resource.h>

struct place {
    char dir[64], path[96];
    struct command_memory *memory;
};

static void open_memory(struct place *place, int64_t now_ms)
{
    struct err err = {0};
    command_memory_free(TAKE_PTR(place->memory));
    assert_ok(command_memory_open(place->path, now_ms, &place->memory, &err), err);
}

static int setup(void **state)
{
    struct place *place = mem_zalloc(1, sizeof *place);
    str_copy(place->dir, sizeof place->dir, "/tmp/muster-seen-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof place->path, "%s/commands.json", place->dir);
    open_memory(place, 0);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    command_memory_free(place->memory);
    assert_ok(file_remove_tree(place->dir, &err), err);
    free(place);
    return 0;
}

static struct command command_of(unsigned number, int64_t expires_ms)
{
    struct command command = {.verb = COMMAND_HOLD, .issued_ms = expires_ms - 1000, .expires_ms = expires_ms};
    snprintf(command.nonce, sizeof command.nonce, "%032x", number);
    return command;
}

static bool fresh(const struct place *place, const struct command *command)
{
    struct err err = {0};
    int rc = command_memory_check(place->memory, command, &err);
    assert_int_equal(err.code, rc < 0 ? ERR_REFUSED : ERR_NONE);
    return rc == 0;
}

static void add(struct place *place, const struct command *command, int64_t now_ms)
{
    struct err err = {0};
    assert_ok(command_memory_add(place->memory, command, now_ms, &err), err);
}

static void what_was_seen_is_seen_for_ever(void **state)
{
    struct place *place = *state;
    struct command first = command_of(1, 5000), second = command_of(2, 6000);
    assert_true(fresh(place, &first));
    add(place, &first, 4000);
    assert_false(fresh(place, &first));
    assert_true(fresh(place, &second));
    open_memory(place, 4000); /* the agent was killed */
    assert_false(fresh(place, &first));
    assert_true(fresh(place, &second));
    add(place, &second, 5500); /* the first is dropped: its time is over */
    open_memory(place, 5500);
    assert_false(fresh(place, &first)); /* whatever the clock says now */
    assert_false(fresh(place, &second));
}

/* The clock was ahead, everything was dropped, and it is put right again. */
static void a_stepped_clock_opens_no_door(void **state)
{
    struct place *place = *state;
    struct command old = command_of(1, 5000), later = command_of(2, 400000), now = command_of(3, 6000);
    add(place, &old, 4000);
    add(place, &later, 399000);
    assert_false(fresh(place, &old));
    assert_true(
        fresh(place, &now)); /* the clock's own step raised no floor: only what operators signed does */
}

static void stop_does_not_care_for_the_floor(void **state)
{
    struct place *place = *state;
    struct command old = command_of(1, 9000), next = command_of(2, 20000), stop = command_of(3, 8000);
    add(place, &old, 4000);
    add(place, &next, 10000); /* drops the first: floor 9000 */
    stop.verb = COMMAND_STOP;
    assert_true(fresh(place, &stop));
    add(place, &stop, 7000);
    assert_false(fresh(place, &stop)); /* but is not obeyed twice */
    stop.verb = COMMAND_HOLD;
    stop.nonce[0] = 'f';
    assert_false(fresh(place, &stop));
}

static void a_full_memory_forgets_what_expires_first_and_trusts_it_never(void **state)
{
    struct place *place = *state;
    for (unsigned i = 0; i < COMMAND_MEMORY_MAX + 50; i++) {
        struct command command = command_of(i, 100000 + i);
        assert_true(fresh(place, &command));
        struct err err = {0};
        (void)!command_memory_add(place->memory, &command, 1000, &err);
    }
    for (unsigned i = 0; i < COMMAND_MEMORY_MAX + 50; i++) {
        struct command command = command_of(i, 100000 + i);
        assert_false(fresh(place, &command));
    }
}

static void a_damaged_file_trusts_nothing_from_before(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct command seen = command_of(1, 5000);
    add(place, &seen, 4000);
    assert_ok(file_replace(place->path, "{\"schema\"", 9, 0600, &err), err);
    open_memory(place, 4500);
    assert_false(fresh(place, &seen));
    struct command longest = command_of(2, 4500 + COMMAND_SKEW_MS + COMMAND_MAX_LIFE_MS);
    assert_false(fresh(place, &longest));
    longest.expires_ms++;
    assert_true(fresh(place, &longest));
    open_memory(place, 4500);
    assert_false(fresh(place, &seen));
}

static void what_cannot_be_kept_is_said_and_known_until_the_end(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct command command = command_of(1, 5000);
    struct rlimit none = {0, RLIM_INFINITY}, old;
    getrlimit(RLIMIT_FSIZE, &old);
    none.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    int rc = command_memory_add(place->memory, &command, 4000, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(rc, -1);
    assert_false(fresh(place, &command));
}

static void a_rollback_under_way_is_remembered(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    assert_string_equal(command_memory_rolling(place->memory), "");
    assert_ok(command_memory_set_rolling(place->memory, "alice", &err), err);
    open_memory(place, 0);
    assert_string_equal(command_memory_rolling(place->memory), "alice");
    assert_ok(command_memory_set_rolling(place->memory, "", &err), err);
    open_memory(place, 0);
    assert_string_equal(command_memory_rolling(place->memory), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_seen_is_seen_for_ever),
        TEST(a_stepped_clock_opens_no_door),
        TEST(stop_does_not_care_for_the_floor),
        TEST(a_full_memory_forgets_what_expires_first_and_trusts_it_never),
        TEST(a_damaged_file_trusts_nothing_from_before),
        TEST(what_cannot_be_kept_is_said_and_known_until_the_end),
        TEST(a_rollback_under_way_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
