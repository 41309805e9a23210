/* Delivery drones behind links that break: what matters arrives all the same, and models change only on the pad, charged. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/demo/cast.h"
#include "cli/demo/lines.h"
#include "cli/demo/story.h"
#include "cli/demo/tool.h"
#include "cli/output.h"

#include <math.h>
#include <stdio.h>

#define NEEDED_BATTERY "0.6"

static bool first_is_everywhere(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    return story_rollout_is(view, "1.0.0", "done") && story_everybody_runs(story, view, "1.0.0");
}

static bool second_is_everywhere(const struct story *story, const struct view *view,
                                 const struct chaos *chaos)
{
    return story_rollout_is(view, "2.0.0", "done") && story_everybody_runs(story, view, "2.0.0");
}

static void agent(const struct stage *stage, int robot, struct actor_args *args)
{
    args_pair(args, "--board-root", stage_path(stage, "%s/board", stage_robot(robot)));
    args_pair(args, "--update-battery", NEEDED_BATTERY);
}

static void program(const struct stage *stage, int robot, struct actor_args *args)
{
    args_pair(args, "--world", "drone");
    args_pair(args, "--board", stage_path(stage, "%s/board", stage_robot(robot)));
    args_number(args, "--fps", 5);
}

static void link_args(const struct stage *stage, int robot, struct actor_args *args)
{
    args_number(args, "--up-s", 12);
    args_number(args, "--down-s", 5);
    args_number(args, "--delay-ms", 60);
    args_number(args, "--jitter-ms", 120);
    args_pair(args, "--loss", "0.03");
    args_number(args, "--rate", 400000);
}

/* What the drones themselves, and their links, wrote down. */
struct account {
    char answered[72]; /* of one drone: the release that answered last */
    int switches, in_flight;
    uint64_t results; /* checked results that the programs got */
    uint64_t run_results[64];
    char runs[64][96];
    size_t run_count;
    int64_t link_since_ms, up_ms, down_ms;
    char link[8];
    int64_t cut;
    uint64_t told_results; /* and what the server knows of them */
    uint64_t reports_missing;
};

static void see_place(struct json_at root, struct account *account)
{
    char release[72] = "";
    bool flying = false;
    json_get_string(root, "release", release, sizeof release);
    json_get_bool(root, "flying", &flying);
    bool changed = account->answered[0] && !str_eq(account->answered, release);
    account->switches += changed;
    account->in_flight += changed && flying;
    str_copy(account->answered, sizeof account->answered, release);
}

/* Totals only grow within a run of the program: the last line of each (run, release) counts. */
static void see_totals(struct json_at root, struct account *account)
{
    char run[24] = "", release[72] = "", key[96];
    int64_t ok = 0, fallback = 0;
    size_t at = 0;
    json_get_string(root, "run", run, sizeof run);
    json_get_string(root, "release", release, sizeof release);
    json_get_int(root, "ok", 0, INT64_MAX, &ok);
    json_get_int(root, "fallback", 0, INT64_MAX, &fallback);
    snprintf(key, sizeof key, "%s%.70s", run, release);
    while (at < account->run_count && !str_eq(account->runs[at], key))
        at++;
    if (at == ARRAY_LEN(account->runs))
        return;
    str_copy(account->runs[at], sizeof account->runs[at], key);
    account->run_count = MAX(account->run_count, at + 1);
    account->run_results[at] = (uint64_t)(ok + fallback);
}

static void see_robot(struct json_at root, void *arg)
{
    char kind[16] = "";
    json_get_string(root, "kind", kind, sizeof kind);
    if (str_eq(kind, "place"))
        see_place(root, arg);
    else if (str_eq(kind, "totals"))
        see_totals(root, arg);
}

static void see_link(struct json_at root, void *arg)
{
    struct account *account = arg;
    char link[8] = "";
    int64_t t = 0, cut = 0;
    json_get_int(root, "t", 0, INT64_MAX, &t);
    json_get_string(root, "link", link, sizeof link);
    json_get_int(root, "cut", 0, INT64_MAX, &cut);
    if (account->link_since_ms)
        *(str_eq(account->link, "down") ? &account->down_ms : &account->up_ms) += t - account->link_since_ms;
    account->link_since_ms = t;
    str_copy(account->link, sizeof account->link, link);
    account->cut = MAX(account->cut, cut);
}

/* Reports are numbered without holes within a stream; the list has the newest ones. */
static void check_reports(struct json_at root, struct account *account)
{
    size_t count = 0;
    int64_t after = 0;
    char stream[40] = "";
    struct json_at list = json_list(root, "reports", 1000, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at report = json_as_object(json_item(list, i));
        char its[40] = "";
        int64_t seq = 0;
        json_get_string(report, "stream", its, sizeof its);
        json_get_int(report, "seq", 0, INT64_MAX, &seq);
        if (i && str_eq(its, stream) && after > seq + 1)
            account->reports_missing += (uint64_t)(after - seq - 1);
        str_copy(stream, sizeof stream, its);
        after = seq;
    }
}

static int ask_server(const struct stage *stage, int robot, struct account *account, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(4 << 20);
    struct json_reader reader;
    size_t count = 0;
    if (tool_run(stage, false, TOOL_ARGS("robot", "show", stage_robot(robot), "--json"), &text, err) < 0 ||
        json_read(&reader, "robot show", text.data, text.len, err) < 0)
        return -1;
    struct json_at root = json_root(&reader), list = json_list(root, "telemetry", 1000, &count);
    account->told_results = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t results = 0;
        json_get_int(json_as_object(json_item(list, i)), "results", 0, INT64_MAX, &results);
        account->told_results += (uint64_t)results;
    }
    account->reports_missing = 0;
    check_reports(root, account);
    return json_finish(&reader, err);
}

static int read_account(const struct stage *stage, int robot, struct account *out, struct err *err)
{
    long from = 0, link_from = 0;
    *out = (struct account){0};
    if (lines_read(stage_path(stage, "%s/frames.jsonl", stage_robot(robot)), &from, see_robot, out, err) <
            0 ||
        lines_read(stage_path(stage, "%s/link.jsonl", stage_robot(robot)), &link_from, see_link, out, err) <
            0)
        return -1;
    for (size_t i = 0; i < out->run_count; i++)
        out->results += out->run_results[i];
    return ask_server(stage, robot, out, err);
}

/* Looked at while the programs are off, every two seconds. */
static bool told_all, told_wanted;

static int look_whether_told(const struct stage *stage, const struct view *view, int64_t now_ms,
                             struct err *err)
{
    static int64_t next_ms;
    if (now_ms < next_ms || !told_wanted)
        return 0;
    next_ms = now_ms + 2000;
    bool all = true;
    for (int robot = 0; robot < stage->robots; robot++) {
        struct account account;
        if (read_account(stage, robot, &account, err) < 0)
            return -1;
        all = all && account.told_results >= account.results;
    }
    told_all = all;
    return 0;
}

static bool everything_is_told(const struct story *story, const struct view *view, const struct chaos *chaos)
{
    told_wanted = true; /* asked only now: the programs have ended */
    return told_all;
}

static const struct chapter chapters[] = {
    {"Release 1.0.0 goes to every drone, over links that break", "rollout-1.yaml", "1.0.0", "rolled_back",
     first_is_everywhere, false},
    {"Release 2.0.0 sees people; each drone takes it on its pad, charged", "rollout-2.yaml", "2.0.0",
     "rolled_back", second_is_everywhere, false},
    {"The drones are switched off; what they have not told yet arrives", NULL, "2.0.0", "rolled_back",
     everything_is_told, true},
};

struct total {
    int robots, on_final, switches, in_flight;
    uint64_t results, told, reports_missing;
    double down_share;
    int64_t cut;
};

static void add(struct total *total, const struct account *one)
{
    total->switches += one->switches;
    total->in_flight += one->in_flight;
    total->results += one->results;
    total->told += one->told_results;
    total->reports_missing += one->reports_missing;
    total->cut += one->cut;
    int64_t known = one->up_ms + one->down_ms;
    total->down_share += known ? (double)one->down_ms / (double)known : 0;
}

static int print_json(const struct ending *ending, const struct total *total, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init(&w);
    jsonw_object(&w, NULL);
    jsonw_i64(&w, "robots", total->robots);
    jsonw_text(&w, "final_release", "2.0.0");
    jsonw_i64(&w, "robots_on_final", total->on_final);
    jsonw_i64(&w, "switches", total->switches);
    jsonw_i64(&w, "switches_in_flight", total->in_flight);
    jsonw_real(&w, "link_down_share", round(total->down_share * 1000) / 1000);
    jsonw_i64(&w, "connections_cut", total->cut);
    jsonw_u64(&w, "results", total->results);
    jsonw_u64(&w, "results_told", total->told);
    jsonw_u64(&w, "reports_missing", total->reports_missing);
    jsonw_real(&w, "story_seconds", round(ending->story_seconds * 10) / 10);
    jsonw_close(&w);
    return output_print(&w, err);
}

static void print_words(const struct ending *ending, const struct total *total)
{
    printf("\n%d of %d drones ended on 2.0.0; %d changes of model, %d of them in the air.\n", total->on_final,
           total->robots, total->switches, total->in_flight);
    printf("Their links were down %.0f %% of the time and cut %lld connections; the fleet knows of %llu of "
           "%llu checked results,\n"
           "and %llu reports are missing. %.0f s of story.\n",
           100 * total->down_share, (long long)total->cut, (unsigned long long)total->told,
           (unsigned long long)total->results, (unsigned long long)total->reports_missing,
           ending->story_seconds);
    fflush(stdout);
}

static int finish(const struct ending *ending, bool *out_good, struct err *err)
{
    struct total total = {.robots = ending->stage->robots};
    for (int robot = 0; robot < total.robots; robot++) {
        struct account account;
        if (read_account(ending->stage, robot, &account, err) < 0)
            return -1;
        add(&total, &account);
        total.on_final += str_eq(ending->view->robots[robot].running, "2.0.0");
    }
    total.down_share /= total.robots;
    *out_good = total.on_final == total.robots && total.in_flight == 0 && total.reports_missing == 0 &&
                total.told >= total.results;
    if (ending->json)
        return print_json(ending, &total, err);
    print_words(ending, &total);
    return 0;
}

const struct play play_drone = {
    .name = "drone",
    .model = "drone",
    .summary = "delivery drones behind links that break",
    .robots = 4,
    .release_count = 2,
    .versions = {"1.0.0", "2.0.0"},
    .chapters = chapters,
    .chapter_count = ARRAY_LEN(chapters),
    .bad_link = true,
    .agent = agent,
    .program = program,
    .link = link_args,
    .meanwhile = look_whether_told,
    .finish = finish,
};
