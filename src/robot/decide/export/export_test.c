/* The suite is complete, the tour misses nothing, the diagram in the docs is the table's. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/decide/export/export.h"
#include "robot/decide/guard_fsm.h"

#include <stdlib.h>
#include <string.h>

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

/* The suite as others read it: text. */
enum { MAX_CASES = 8000, MAX_TOKENS = 16 };
struct test_case {
    int count;
    unsigned char event[MAX_TOKENS], state[MAX_TOKENS];
    bool accepted[MAX_TOKENS];
};
static struct test_case cases[MAX_CASES];
static int case_count;

static int named(const char *name, size_t len, bool event)
{
    for (int i = 0; i < (event ? GUARD_EVENT_COUNT : GUARD_STATE_COUNT); i++) {
        const char *known =
            event ? guard_event_name((enum guard_event)i) : guard_state_name((enum guard_state)i);
        if (strlen(known) == len && strncmp(known, name, len) == 0)
            return i;
    }
    fail_msg("no such name: %.*s", (int)len, name);
    return -1;
}

static void read_case(char *line)
{
    assert_true(case_count < MAX_CASES);
    struct test_case *it = &cases[case_count++];
    *it = (struct test_case){0};
    for (char *rest, *token = strtok_r(line, " ", &rest); token; token = strtok_r(NULL, " ", &rest)) {
        char *is = strchr(token, '=');
        assert_non_null(is);
        assert_true(it->count < MAX_TOKENS);
        it->event[it->count] = (unsigned char)named(token, (size_t)(is - token), true);
        it->accepted[it->count] = is[1] != '-';
        is += it->accepted[it->count] ? 1 : 2;
        it->state[it->count++] = (unsigned char)named(is, strlen(is), false);
    }
}

static int read_suite(void **state)
{
    char *text = printed(export_suite);
    for (char *rest, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        read_case(line);
    free(text);
    return 0;
}

static void the_table_passes(void **state)
{
    assert_true(case_count > GUARD_STATE_COUNT * GUARD_EVENT_COUNT);
    for (int c = 0; c < case_count; c++) {
        enum guard_state at = GUARD_INIT;
        for (int i = 0; i < cases[c].count; i++) {
            struct guard_step step = guard_fsm_step(at, (enum guard_event)cases[c].event[i]);
            assert_int_equal(step.accepted, cases[c].accepted[i]);
            assert_int_equal(step.next, cases[c].state[i]);
            at = step.next;
        }
    }
}

/* A machine that differs from the table; only what can be seen from outside is compared. */
struct machine {
    unsigned char next[GUARD_STATE_COUNT][GUARD_EVENT_COUNT];
    bool accepted[GUARD_STATE_COUNT][GUARD_EVENT_COUNT];
};

static void load(struct machine *machine)
{
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        for (int e = 0; e < GUARD_EVENT_COUNT; e++) {
            struct guard_step step = guard_fsm_step((enum guard_state)s, (enum guard_event)e);
            machine->next[s][e] = (unsigned char)step.next;
            machine->accepted[s][e] = step.accepted;
        }
}

static int seen(unsigned char state)
{
    return state == GUARD_DEGRADED ? -1 : (int)guard_fsm_answer((enum guard_state)state);
}

static bool passes(const struct machine *machine)
{
    for (int c = 0; c < case_count; c++) {
        unsigned char at = GUARD_INIT;
        for (int i = 0; i < cases[c].count; i++) {
            unsigned char to = machine->next[at][cases[c].event[i]];
            if (machine->accepted[at][cases[c].event[i]] != cases[c].accepted[i] ||
                seen(to) != seen(cases[c].state[i]))
                return false;
            at = to;
        }
    }
    return true;
}

static void no_wrong_machine_passes(void **state)
{
    struct machine machine;
    load(&machine);
    assert_true(passes(&machine));
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        for (int e = 0; e < GUARD_EVENT_COUNT; e++) {
            unsigned char right = machine.next[s][e];
            for (unsigned char wrong = 0; wrong < GUARD_STATE_COUNT; wrong++) {
                machine.next[s][e] = wrong;
                assert_int_equal(passes(&machine), wrong == right);
            }
            machine.next[s][e] = right;
            machine.accepted[s][e] ^= 1;
            assert_false(passes(&machine));
            machine.accepted[s][e] ^= 1;
        }
}

/* Faults that might hide each other: two states exchanged, two moves wrong at once. */
static void no_two_faults_hide_each_other(void **state)
{
    struct machine machine;
    unsigned seed = 7;
    for (int run = 0; run < 20000; run++) {
        load(&machine);
        unsigned draw[6];
        for (size_t i = 0; i < ARRAY_LEN(draw); i++) {
            seed = seed * 1103515245u + 12345u;
            draw[i] = seed >> 16;
        }
        unsigned char *one = &machine.next[draw[0] % GUARD_STATE_COUNT][draw[1] % GUARD_EVENT_COUNT],
                      *two = &machine.next[draw[2] % GUARD_STATE_COUNT][draw[3] % GUARD_EVENT_COUNT],
                      first = *one, second = *two;
        *one = (unsigned char)(draw[4] % GUARD_STATE_COUNT);
        *two = (unsigned char)(draw[5] % GUARD_STATE_COUNT);
        if (one != two)
            assert_int_equal(passes(&machine), *one == first && *two == second);
    }
}

static void print_tour(FILE *out)
{
    const char *const nothing[] = {NULL};
    assert_true(export_tour(out, nothing));
}

static void the_tour_sees_every_state_and_act(void **state)
{
    static const char *const acts[] = {"primary_ready",  "primary_degraded",
                                       "primary_lost",   "fallback_ready",
                                       "fallback_lost",  "estop_pressed",
                                       "estop_released", "fault",
                                       "lease_lost",     "reboot",
                                       "hold",           "release",
                                       "override",       "renew",
                                       "fallback",       "stop",
                                       "reset",          "restart",
                                       "service"};
    char *text = printed(print_tour);
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        char line[64];
        snprintf(line, sizeof line, "\n%s ", acts[i]);
        assert_true(strstr(text, line) || strncmp(text, line + 1, strlen(line + 1)) == 0);
    }
    for (int s = GUARD_STANDBY; s < GUARD_STATE_COUNT; s++) {
        char line[64];
        snprintf(line, sizeof line, " %s\n", guard_state_name((enum guard_state)s));
        assert_non_null(strstr(text, line));
    }
    free(text);
    const char *const some[] = {"reboot", "fault", NULL}, *const none[] = {"reboot", "dance", NULL};
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_true(export_tour(out, some));
    fclose(out);
    assert_null(strstr(text, "reboot"));
    assert_null(strstr(text, "fault "));
    assert_non_null(strstr(text, "lease_lost"));
    free(text);
    assert_false(export_tour(stdout, none));
}

static char *slurp(const char *path)
{
    static char text[200000];
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    size_t len = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[len] = '\0';
    return text;
}

/* build/bin/guard-export --diagram gives what belongs between the markers. */
static void the_diagram_in_the_docs_is_the_tables(void **state)
{
    char *docs = slurp(MUSTER_SOURCE_DIR "/docs/guard.md"), *diagram = printed(export_diagram);
    char *from = strstr(docs, "```mermaid\n");
    assert_non_null(from);
    from += strlen("```mermaid\n");
    assert_int_equal(strncmp(from, diagram, strlen(diagram)), 0);
    assert_int_equal(strncmp(from + strlen(diagram), "```", 3), 0);
    free(diagram);
}

/* Each property that Spin checks is explained, by its name. */
static void the_docs_name_every_property(void **state)
{
    static char claims[200000];
    snprintf(claims, sizeof claims, "%s", slurp(MUSTER_SOURCE_DIR "/src/robot/decide/guard_claims.pml"));
    char *docs = slurp(MUSTER_SOURCE_DIR "/docs/guard.md");
    int count = 0;
    for (char *at = strstr(claims, "\nltl "); at; at = strstr(at, "\nltl "), count++) {
        at += 5;
        char name[80];
        snprintf(name, sizeof name, "`%.*s`", (int)strcspn(at, " "), at);
        if (!strstr(docs, name))
            fail_msg("docs/guard.md does not name %s", name);
    }
    assert_true(count >= 20);
}

static void the_promela_table_is_the_table(void **state)
{
    char *text = printed(export_promela);
    int lines = 0, moves = 0;
    for (char *at = text; (at = strstr(at, "    moves[S_")); at++)
        lines++;
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        for (int e = 0; e < GUARD_EVENT_COUNT; e++)
            moves += (int)guard_fsm_step((enum guard_state)s, (enum guard_event)e).next != s;
    assert_int_equal(lines, moves);
    assert_non_null(strstr(text, "    moves[S_OVERRIDE * EVENTS + E_LEASE_LOST] = S_SAFE_STOP + 1;\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_passes),
        cmocka_unit_test(no_wrong_machine_passes),
        cmocka_unit_test(no_two_faults_hide_each_other),
        cmocka_unit_test(the_tour_sees_every_state_and_act),
        cmocka_unit_test(the_diagram_in_the_docs_is_the_tables),
        cmocka_unit_test(the_docs_name_every_property),
        cmocka_unit_test(the_promela_table_is_the_table),
    };
    return cmocka_run_group_tests(tests, read_suite, NULL);
}
