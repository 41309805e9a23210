#include "fleet/core/absence.h"

#include "base/str.h"
#include "base/testing.h"

#include <string.h>

enum { T = PRESENCE_PERIOD_MS, ROBOTS = 20 };

struct story {
    struct roster *roster;
    struct absence absence;
    int64_t now_ms;
    bool silent[ROBOTS];
    char told[4096];
};

static int note(const char *kind, const char *robot, const char *text, void *arg, struct err *err)
{
    struct story *story = arg;
    size_t len = strlen(story->told);
    snprintf(story->told + len, sizeof story->told - len, "%s %s;", kind, robot ? robot : text);
    return 0;
}

static struct roster_entry *robot(struct story *story, int number)
{
    char id[16];
    snprintf(id, sizeof id, "r%02d", number);
    return roster_get(story->roster, id);
}

static void begin(struct story *story)
{
    *story = (struct story){.roster = roster_new(), .now_ms = 1000000};
    for (int i = 0; i < ROBOTS; i++)
        str_copy(robot(story, i)->site, sizeof robot(story, i)->site, i < 10 ? "north" : "south");
    absence_init(&story->absence, story->now_ms);
}

static void end(struct story *story)
{
    absence_fini(&story->absence);
    roster_free(story->roster);
}

static void pass(struct story *story, int seconds)
{
    for (int i = 0; i < seconds; i += 5) {
        struct err err = {0};
        story->now_ms += 5000;
        for (int r = 0; r < ROBOTS; r++)
            if (!story->silent[r])
                roster_touch(robot(story, r), 1700000000000 + story->now_ms, story->now_ms);
        assert_ok(absence_look(&story->absence, story->roster, story->now_ms, note, story, &err), err);
    }
}

static void silence(struct story *story, int from, int to, bool silent)
{
    for (int i = from; i < to; i++)
        story->silent[i] = silent;
}

static void one_that_falls_silent_is_told_and_comes_back(void **state)
{
    struct story story;
    begin(&story);
    pass(&story, 120);
    assert_string_equal(story.told, "");
    silence(&story, 3, 4, true);
    pass(&story, 60);
    assert_string_equal(story.told, "");
    pass(&story, 60);
    assert_string_equal(story.told, "robot.offline r03;");
    pass(&story, 600);
    silence(&story, 3, 4, false);
    pass(&story, 30);
    assert_string_equal(story.told, "robot.offline r03;robot.back r03;");
    end(&story);
}

static void a_site_that_is_lost_is_one_event(void **state)
{
    struct story story;
    begin(&story);
    pass(&story, 120);
    silence(&story, 0, 9, true);
    pass(&story, 200);
    assert_string_equal(story.told, "site.lost link of north lost: 9 of 10 robots fell silent within 60 s;");
    silence(&story, 0, 5, false);
    pass(&story, 100);
    assert_null(strstr(story.told, "back"));
    silence(&story, 5, 9, false);
    pass(&story, 100);
    assert_string_equal(story.told, "site.lost link of north lost: 9 of 10 robots fell silent within 60 s;"
                                    "site.back link of north is back: 10 robots are heard;");
    silence(&story, 0, 9, true); /* and it can be lost again */
    pass(&story, 200);
    assert_int_equal(strlen(strrchr(story.told, ':')), strlen(": 9 of 10 robots fell silent within 60 s;"));
    end(&story);
}

static void those_who_fall_silent_one_by_one_are_told_one_by_one(void **state)
{
    struct story story;
    begin(&story);
    pass(&story, 120);
    for (int i = 10; i < 14; i++) {
        silence(&story, i, i + 1, true);
        pass(&story, 120);
    }
    pass(&story, 120);
    assert_null(strstr(story.told, "site"));
    assert_non_null(strstr(story.told, "robot.offline r13"));
    end(&story);
}

static void who_is_expected_to_be_away_is_not_missed(void **state)
{
    struct story story;
    begin(&story);
    pass(&story, 120);
    for (int i = 0; i < 10; i++)
        robot(&story, i)->expected = true;
    silence(&story, 0, 10, true);
    pass(&story, 300);
    assert_string_equal(story.told, "");
    end(&story);
}

static void a_server_that_starts_gives_everybody_time(void **state)
{
    struct story story;
    struct err err = {0};
    begin(&story);
    for (int i = 0; i < ROBOTS; i++) /* 29 s silent when the server went; r05 for an hour */
        roster_restore(robot(&story, i), 1700000000000, 1700000000000 + (i == 5 ? 3600000 : 29000),
                       story.now_ms);
    assert_ok(absence_look(&story.absence, story.roster, story.now_ms, note, &story, &err), err);
    silence(&story, 0, ROBOTS, true);
    pass(&story, 25);
    silence(&story, 0, ROBOTS, false);
    silence(&story, 5, 6, true);
    pass(&story, 300);
    assert_string_equal(story.told, "");
    end(&story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_falls_silent_is_told_and_comes_back),
        cmocka_unit_test(a_site_that_is_lost_is_one_event),
        cmocka_unit_test(those_who_fall_silent_one_by_one_are_told_one_by_one),
        cmocka_unit_test(who_is_expected_to_be_away_is_not_missed),
        cmocka_unit_test(a_server_that_starts_gives_everybody_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
