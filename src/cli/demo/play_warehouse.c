/* The warehouse: mobile robots that look for people, pallets, forklifts, cones and crates. */
#include "base/mem.h"
#include "cli/demo/cast.h"
#include "cli/demo/report.h"
#include "cli/demo/story.h"

#include <stdio.h>

static bool first_is_everywhere(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_rollout_is(view, "1.0.0", "done") && story_everybody_runs(story, view, "1.0.0");
}

static bool second_is_everywhere(const struct story *story, const struct view *view,
                                 const struct chaos *chaos)
{
    return story_rollout_is(view, "2.0.0", "done") && story_everybody_runs(story, view, "2.0.0");
}

static bool third_is_thrown_out(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_rollout_is(view, "3.0.0", "rolled_back");
}

static bool fleet_has_settled(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_everybody_runs(story, view, "2.0.0") && chaos_satisfied(chaos);
}

static const struct chapter chapters[] = {
    {"Release 1.0.0 goes to the whole fleet", "rollout-1.yaml", "1.0.0", "rolled_back", first_is_everywhere,
     false},
    {"Release 2.0.0 knows crates; two robots try it first", "rollout-2.yaml", "2.0.0", "rolled_back",
     second_is_everywhere, false},
    {"Release 3.0.0 looked fine on the workbench", "rollout-3.yaml", "3.0.0", "done", third_is_thrown_out,
     false},
    {"The fleet is back on 2.0.0", NULL, "2.0.0", "rolled_back", fleet_has_settled, false},
};

static void program(const struct stage *stage, int robot, struct actor_args *args)
{
    args_number(args, "--site", stage_site_number(robot));
    args_number(args, "--fps", 5);
    args_number(args, "--dock-period-ms", 12000);
    args_number(args, "--dock-ms", 8000); /* long: the story is short, and labels exist only there */
}

static int finish(const struct ending *ending, bool *out_good, struct err *err)
{
    struct tally tally;
    struct report report;
    if (tally_read(ending->stage, ending->view, &tally, err) < 0)
        return -1;
    report_make(ending->stage, ending->story, ending->view, ending->chaos, &tally, ending->story_seconds,
                &report);
    tally_fini(&tally);
    *out_good = report_good(&report);
    if (ending->json)
        return report_print_json(&report, err);
    report_print_table(&report, ending->story);
    fflush(stdout);
    return 0;
}

const struct play play_warehouse = {
    .name = "warehouse",
    .model = "detector",
    .summary = "mobile robots in a warehouse",
    .robots = 10,
    .release_count = 3,
    .versions = {"1.0.0", "2.0.0", "3.0.0"},
    .bad = "3.0.0",
    .chapters = chapters,
    .chapter_count = ARRAY_LEN(chapters),
    .program = program,
    .finish = finish,
};
