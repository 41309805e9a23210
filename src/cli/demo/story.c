#include "cli/demo/story.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/screen.h"
#include "cli/demo/tool.h"

enum { CHAPTER_LIMIT_MS = 6 * 60 * 1000 };

static bool at_rest(const struct view_robot *robot, const char *version)
{
    return str_eq(robot->running, version) && str_eq(robot->target, version) &&
           str_eq(robot->presence, "live");
}

bool story_everybody_runs(const struct story *story, const struct view *view, const char *version)
{
    size_t there = 0;
    for (size_t i = 0; i < view->robot_count; i++)
        there += at_rest(&view->robots[i], version);
    return there == (size_t)story->stage->robots;
}

bool story_rollout_is(const struct view *view, const char *version, const char *state)
{
    return view->rollout.id && str_eq(view->rollout.version, version) && str_eq(view->rollout.state, state);
}

void story_init(struct story *story, const struct stage *stage)
{
    *story = (struct story){.stage = stage};
}

static int begin(struct story *story, int64_t now_ms, struct err *err)
{
    const struct chapter *chapter = &story->stage->play->chapters[story->chapter];
    screen_chapter("%zu. %s", story->chapter + 1, chapter->title);
    story->begun = true;
    story->chapter_began_ms = now_ms;
    if (!chapter->rollout)
        return 0;
    char path[2 * STAGE_PATH];
    snprintf(path, sizeof path, "%s/%s", story->stage->rollouts, chapter->rollout);
    return tool_run(story->stage, true, TOOL_ARGS("rollout", "start", path), NULL, err);
}

/* "committed [onnxruntime 1.22.0 cpu, cpu-x86 int8 2.1x]": what is in the brackets; "" if there are none. */
static void take_backend(const char *text, char *out, size_t size)
{
    const char *from = strrchr(text, '['), *to = from ? strchr(from, ']') : NULL;
    out[0] = '\0';
    if (to)
        snprintf(out, size, "%.*s", (int)(to - from - 1), from + 1);
}

static void note_running(struct story *story, const struct view_robot *robot)
{
    char backend[sizeof story->backends[0]];
    take_backend(robot->phase_text, backend, sizeof backend);
    screen_note("%s runs %s%s%s", robot->id, robot->running, backend[0] ? " on " : "", backend);
    for (size_t i = 0; i < story->stage->play->release_count && backend[0]; i++)
        if (str_eq(story->stage->play->versions[i], robot->running))
            str_copy(story->backends[i], sizeof story->backends[i], backend);
}

static bool is_bad(const struct story *story, const char *version)
{
    const char *bad = story->stage->play->bad;
    return bad && str_eq(version, bad);
}

static void note_robots(struct story *story, const struct view *view)
{
    for (size_t i = 0; i < view->robot_count && i < STAGE_MAX_ROBOTS; i++) {
        const struct view_robot *robot = &view->robots[i];
        char said[sizeof story->said[0]];
        snprintf(said, sizeof said, "%s %s", robot->phase, robot->running);
        if (str_eq(said, story->said[i]))
            continue;
        str_copy(story->said[i], sizeof story->said[i], said);
        if (str_eq(robot->phase, "committed"))
            note_running(story, robot);
        if (!str_eq(robot->phase, "rolled_back") && !str_eq(robot->phase, "failed"))
            continue;
        if (!story->robot_said && is_bad(story, view->rollout.version)) {
            str_copy(story->bad_reason, sizeof story->bad_reason, robot->phase_text);
            story->robot_said = true;
        }
        screen_note("%s went back to %s: %s", robot->id, robot->running, robot->phase_text);
    }
}

static void note_rollout(struct story *story, const struct view *view)
{
    const struct view_rollout *rollout = &view->rollout;
    char said[sizeof story->said_rollout];
    if (!rollout->id)
        return;
    snprintf(said, sizeof said, "rollout of %s: %s, wave %s (%zu robots)%s%s", rollout->version,
             rollout->state, rollout->wave, rollout->members, rollout->reason[0] ? ": " : "",
             rollout->reason);
    if (str_eq(said, story->said_rollout))
        return;
    str_copy(story->said_rollout, sizeof story->said_rollout, said);
    screen_note("%s", said);
}

static void watch_bad_release(struct story *story, const struct view *view)
{
    const struct view_rollout *rollout = &view->rollout;
    if (!rollout->id || !is_bad(story, rollout->version))
        return;
    story->bad_wave = MAX(story->bad_wave, rollout->wave_number);
    if (rollout->reason[0] && !story->bad_reason[0])
        str_copy(story->bad_reason, sizeof story->bad_reason, rollout->reason);
}

static const char *first_not_at_rest(const struct view *view)
{
    for (size_t i = 0; i < view->robot_count; i++)
        if (!str_eq(view->robots[i].running, view->robots[i].target) ||
            !str_eq(view->robots[i].presence, "live"))
            return view->robots[i].id;
    return "none";
}

bool story_is_quiet(const struct story *story)
{
    const struct play *play = story->stage->play;
    return story->begun && story->chapter < play->chapter_count && play->chapters[story->chapter].quiet;
}

/* A rollout takes in whoever is enrolled when it starts. Who does not come is noticed by the chapter's limit. */
static bool everybody_is_there(struct story *story, const struct view *view, int64_t now_ms)
{
    if (!story->chapter_began_ms)
        story->chapter_began_ms = now_ms;
    return view->robot_count >= (size_t)story->stage->robots ||
           now_ms - story->chapter_began_ms > CHAPTER_LIMIT_MS;
}

int story_step(struct story *story, const struct view *view, const struct chaos *chaos, int64_t now_ms,
               bool *out_more, struct err *err)
{
    *out_more = story->chapter < story->stage->play->chapter_count;
    if (!*out_more)
        return 0;
    if (!story->begun && !everybody_is_there(story, view, now_ms))
        return 0;
    if (!story->begun)
        return begin(story, now_ms, err);
    note_robots(story, view);
    note_rollout(story, view);
    watch_bad_release(story, view);
    const struct chapter *chapter = &story->stage->play->chapters[story->chapter];
    if (story_rollout_is(view, chapter->version, chapter->wrong))
        return err_set(err, ERR_REFUSED, "the rollout of %s ended as %s: %.100s; logs are in %s/log",
                       chapter->version, chapter->wrong, view->rollout.reason, story->stage->dir);
    if (chapter->over(story, view, chaos)) {
        story->chapter++;
        story->begun = false;
    } else if (now_ms - story->chapter_began_ms > CHAPTER_LIMIT_MS) {
        return err_set(err, ERR_TIMEOUT,
                       "the story got stuck at \"%s\" (rollout %s %s; waiting for %s); logs are in %s/log",
                       chapter->title, view->rollout.version, view->rollout.state, first_not_at_rest(view),
                       story->stage->dir);
    }
    return 0;
}
