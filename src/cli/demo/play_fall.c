/* Humanoids that fall now and then, and do what is only like falling. Their models raise alarms; people judge them; rollouts are decided by what people say. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/cast.h"
#include "cli/demo/lines.h"
#include "cli/demo/screen.h"
#include "cli/demo/story.h"
#include "cli/demo/tool.h"
#include "cli/output.h"

#include <math.h>
#include <stdio.h>

enum {
    MAX_ACTS = 4096,
    JUDGE_EVERY_MS = 1000,
    WAIT_FOR_TRUTH_MS = 4000,
    AROUND_MS = 700,
    MAX_AT_ONCE = 12,
    SPEED = 8
};
enum { ENOUGH_FALSE_ALARMS = 20 };

/* What really happened, from the simulator's own record (sim/robot/LOG.md): what somebody who stands beside the robot sees. */
struct act {
    int64_t from_ms, until_ms;
    bool fall;
};

struct witness {
    long offset;
    size_t count;
    struct act acts[MAX_ACTS];
    size_t missed_count;
    struct {
        int64_t from_ms;
        char release[72];
    } missed[16]; /* not reported yet */
};

struct people {
    struct witness robots[STAGE_MAX_ROBOTS];
    int64_t next_ms;
    int judged_true, judged_false, reported; /* all releases */
    int falls[3], found[3], false_alarms[3]; /* by the simulator's record, per release; for the last words */
    char digests[3][80];
};

static struct people people;

static int release_index(const char *digest)
{
    for (int i = 0; i < 3; i++)
        if (people.digests[i][0] && str_eq(people.digests[i], digest))
            return i;
    return -1;
}

static void see_act(struct json_at root, void *arg)
{
    struct witness *witness = arg;
    struct act act = {0};
    char kind[16] = "", release[72] = "";
    bool alarmed = false, answered = false;
    json_get_string(root, "kind", kind, sizeof kind);
    if (!str_eq(kind, "act"))
        return;
    json_get_bool(root, "fall", &act.fall);
    json_get_bool(root, "alarmed", &alarmed);
    json_get_bool(root, "answered", &answered);
    json_get_int(root, "from_ms", 0, INT64_MAX, &act.from_ms);
    json_get_int(root, "until_ms", 0, INT64_MAX, &act.until_ms);
    json_get_string(root, "release", release, sizeof release);
    witness->acts[witness->count++ % MAX_ACTS] = act;
    int at = release_index(release);
    if (at >= 0 && answered) {
        people.falls[at] += act.fall;
        people.found[at] += act.fall && alarmed;
        people.false_alarms[at] += !act.fall && alarmed;
    }
    if (act.fall && !alarmed && answered && witness->missed_count < ARRAY_LEN(witness->missed)) {
        witness->missed[witness->missed_count].from_ms = act.from_ms;
        str_copy(witness->missed[witness->missed_count++].release, sizeof witness->missed[0].release,
                 release);
    }
}

static bool was_a_fall(const struct witness *witness, int64_t from_ms, int64_t until_ms)
{
    size_t known = MIN(witness->count, (size_t)MAX_ACTS);
    for (size_t i = 0; i < known; i++) {
        const struct act *act = &witness->acts[i];
        if (act->fall && from_ms <= act->until_ms + AROUND_MS && until_ms + AROUND_MS >= act->from_ms)
            return true;
    }
    return false;
}

static int look_around(const struct stage *stage, const struct view *view, struct err *err)
{
    for (size_t i = 0; i < view->release_count; i++)
        for (size_t k = 0; k < stage->play->release_count; k++)
            if (str_eq(view->releases[i].version, stage->play->versions[k]))
                str_copy(people.digests[k], sizeof people.digests[k], view->releases[i].digest);
    for (int robot = 0; robot < stage->robots; robot++)
        if (lines_read(stage_path(stage, "%s/frames.jsonl", stage_robot(robot)), &people.robots[robot].offset,
                       see_act, &people.robots[robot], err) < 0)
            return -1;
    return 0;
}

static int robot_number(const struct stage *stage, const char *id)
{
    for (int robot = 0; robot < stage->robots; robot++)
        if (str_eq(stage_robot(robot), id))
            return robot;
    return -1;
}

/* What somebody at a screen does, who can ask somebody beside the robot. */
static int judge_one(const struct stage *stage, struct json_at item, struct err *err)
{
    char robot[64] = "", id_text[24];
    int64_t id = 0, from_ms = 0, until_ms = 0, time_ms = 0;
    json_get_int(item, "id", 1, INT64_MAX, &id);
    json_get_string(item, "robot", robot, sizeof robot);
    json_get_int(item, "time_ms", 0, INT64_MAX, &time_ms);
    json_get_int(item, "from_ms", 0, INT64_MAX, &from_ms);
    json_get_int(item, "until_ms", 0, INT64_MAX, &until_ms);
    int number = robot_number(stage, robot);
    if (number < 0)
        return 0;
    from_ms = from_ms ? from_ms : time_ms;
    bool fall = was_a_fall(&people.robots[number], from_ms, MAX(until_ms, from_ms));
    snprintf(id_text, sizeof id_text, "%lld", (long long)id);
    bool show = people.judged_true + people.judged_false < 3;
    people.judged_true += fall;
    people.judged_false += !fall;
    return tool_run(stage, show,
                    TOOL_ARGS("review", "label", id_text, fall ? "true" : "false", "--note",
                              fall ? "it lay there" : "it did not fall"),
                    NULL, err);
}

static int judge(const struct stage *stage, int64_t wall_ms, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    size_t count = 0;
    int done = 0;
    if (tool_run(stage, false, TOOL_ARGS("review", "list", "--reason", "alarm", "--limit", "200", "--json"),
                 &text, err) < 0 ||
        json_read(&reader, "review list", text.data, text.len, err) < 0)
        return -1;
    struct json_at list = json_list(json_root(&reader), "reviews", 1000, &count);
    for (size_t i = count; i-- > 0 && done < MAX_AT_ONCE;) { /* the oldest first */
        struct json_at item = json_as_object(json_item(list, i));
        int64_t time_ms = 0;
        json_get_int(item, "time_ms", 0, INT64_MAX, &time_ms);
        if (wall_ms - time_ms < WAIT_FOR_TRUTH_MS)
            continue;
        if (judge_one(stage, item, err) < 0) {
            struct err ignored = {0};
            int finished = json_finish(&reader, &ignored);
            (void)finished;
            return -1;
        }
        done++;
    }
    return json_finish(&reader, err);
}

static int report_missed(const struct stage *stage, struct err *err)
{
    for (int robot = 0; robot < stage->robots; robot++) {
        struct witness *witness = &people.robots[robot];
        for (; witness->missed_count > 0; witness->missed_count--) {
            char from[24];
            const char *release = witness->missed[witness->missed_count - 1].release;
            snprintf(from, sizeof from, "%lld",
                     (long long)witness->missed[witness->missed_count - 1].from_ms);
            if (tool_run(stage, people.reported++ == 0,
                         TOOL_ARGS("review", "missed", stage_robot(robot), "--label", "fall", "--from", from,
                                   "--release", release),
                         NULL, err) < 0)
                return -1;
        }
    }
    return 0;
}

static int judge_and_report(const struct stage *stage, const struct view *view, int64_t now_ms,
                            struct err *err)
{
    if (now_ms < people.next_ms)
        return 0;
    people.next_ms = now_ms + JUDGE_EVERY_MS;
    if (look_around(stage, view, err) < 0 || judge(stage, clock_wall_ms(), err) < 0)
        return -1;
    return report_missed(stage, err);
}

static bool first_is_judged(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_rollout_is(view, "1.0.0", "done") && story_everybody_runs(story, view, "1.0.0") &&
           people.judged_false >= ENOUGH_FALSE_ALARMS;
}

static bool second_is_everywhere(const struct story *story, const struct view *view,
                                 const struct chaos *chaos)
{
    return story_rollout_is(view, "2.0.0", "done") && story_everybody_runs(story, view, "2.0.0");
}

static bool third_is_taken_back(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_rollout_is(view, "3.0.0", "rolled_back");
}

static bool fleet_has_settled(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_everybody_runs(story, view, "2.0.0");
}

static const struct chapter chapters[] = {
    {"Release 1.0.0 watches for falls; people judge its alarms", "rollout-1.yaml", "1.0.0", "rolled_back",
     first_is_judged, false},
    {"Release 2.0.0 learned from their verdicts: is it proven?", "rollout-2.yaml", "2.0.0", "rolled_back",
     second_is_everywhere, false},
    {"Release 3.0.0 has no false alarms at all on the workbench", "rollout-3.yaml", "3.0.0", "done",
     third_is_taken_back, false},
    {"The fleet is back on 2.0.0", NULL, "2.0.0", "rolled_back", fleet_has_settled, false},
};

static void program(const struct stage *stage, int robot, struct actor_args *args)
{
    args_pair(args, "--world", "fall");
    args_number(args, "--speed", SPEED);
}

static int print_json(const struct ending *ending, bool good, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "robots", ending->stage->robots);
    jsonw_text(&w, "final_release", "2.0.0");
    jsonw_boolean(&w, "good", good);
    jsonw_text(&w, "bad_release", "3.0.0");
    jsonw_text(&w, "bad_release_reason", ending->story->bad_reason);
    jsonw_i64(&w, "judged_true", people.judged_true);
    jsonw_i64(&w, "judged_false", people.judged_false);
    jsonw_i64(&w, "reported_missed", people.reported);
    jsonw_real(&w, "story_seconds", round(ending->story_seconds * 10) / 10);
    jsonw_array(&w, "versions");
    for (size_t i = 0; i < ending->stage->play->release_count; i++) {
        jsonw_object(&w, NULL);
        jsonw_text(&w, "release", ending->stage->play->versions[i]);
        jsonw_i64(&w, "falls", people.falls[i]);
        jsonw_i64(&w, "found", people.found[i]);
        jsonw_i64(&w, "false_alarms", people.false_alarms[i]);
        jsonw_close(&w);
    }
    jsonw_close(&w);
    jsonw_close(&w);
    return output_print(&w, err);
}

static void print_words(const struct ending *ending, int on_final)
{
    printf("\n%-9s %8s %8s %14s\n", "release", "falls", "found", "false alarms");
    for (size_t i = 0; i < ending->stage->play->release_count; i++)
        printf("%-9s %8d %8d %14d\n", ending->stage->play->versions[i], people.falls[i], people.found[i],
               people.false_alarms[i]);
    printf("\nPeople judged %d alarms, %d of them false, and reported %d falls that no model noticed.\n",
           people.judged_true + people.judged_false, people.judged_false, people.reported);
    printf("%d of %d robots ended on 2.0.0.%s%s\n", on_final, ending->stage->robots,
           ending->story->bad_reason[0] ? " Why not on 3.0.0: " : "", ending->story->bad_reason);
    printf("%.0f s of story; the humanoids' world goes %d times as fast.\n", ending->story_seconds, SPEED);
    fflush(stdout);
}

static int finish(const struct ending *ending, bool *out_good, struct err *err)
{
    int on_final = 0;
    for (size_t i = 0; i < ending->view->robot_count; i++)
        on_final += str_eq(ending->view->robots[i].running, "2.0.0");
    *out_good = on_final == ending->stage->robots && ending->story->bad_reason[0] != 0;
    if (ending->json)
        return print_json(ending, *out_good, err);
    print_words(ending, on_final);
    return 0;
}

const struct play play_fall = {
    .name = "fall",
    .model = "fall",
    .summary = "humanoids whose alarms people judge",
    .robots = 6,
    .release_count = 3,
    .versions = {"1.0.0", "2.0.0", "3.0.0"},
    .bad = "3.0.0",
    .chapters = chapters,
    .chapter_count = ARRAY_LEN(chapters),
    .program = program,
    .meanwhile = judge_and_report,
    .finish = finish,
};
