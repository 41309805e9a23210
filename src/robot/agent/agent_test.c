/* The real muster-agent against a fleet server that misbehaves and a guard and runners that are played. */
#include "robot/agent/agent_testing.h"

#include "release/image.h"
#include "robot/jail/device.h"

/* Tests. */

static void good_releases_are_kept_and_a_slow_one_is_thrown_out(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make("2.0.0"), three = fleet_make("3.0.0");
    script(&three, "slow");
    install(&one);
    assert_false(file_exists(token_path));
    install(&two);
    wait_for(falls_back_to(&one));
    trust_want(&three, false);
    wait_for(fleet_reports(REPORT_ROLLED_BACK, &three.digest) == 1);
    expect_text(REPORT_ROLLED_BACK, &three, "over the budget of 40 ms");
    wait_for(answers(&two));
    usleep(300000); /* several polls and looks later */
    assert_true(answers(&two));
    assert_int_equal(fleet_reports(REPORT_ACTIVATED, &three.digest), 1);
    assert_int_equal(fleet_reports(REPORT_COMMITTED, &three.digest), 0);
    trust_want(&two, true); /* the server comes to the same conclusion */
    wait_for(fleet_reports(REPORT_COMMITTED, &two.digest) == 2);
    wait_for(fleet_frames(&two.digest) > 100 && fleet_frames(&three.digest) > 0);
    trust_want(&one, false); /* going back needs to be said */
    wait_for(fleet_reports(REPORT_FAILED, &one.digest) == 1);
    expect_text(REPORT_FAILED, &one, "older than 2.0.0");
    assert_true(answers(&two));
    trust_want(&one, true);
    wait_for(answers(&one));
    wait_for(fleet_reports(REPORT_COMMITTED, &one.digest) == 2);
}

static void a_release_on_which_the_guard_steps_in_is_thrown_out(void **state)
{
    struct made one = fleet_make("1.0.0"), odd = fleet_make("1.1.0");
    script(&odd, "weird");
    install(&one);
    trust_want(&odd, false);
    wait_for(fleet_reports(REPORT_ROLLED_BACK, &odd.digest) == 1);
    expect_text(REPORT_ROLLED_BACK, &odd, "guard had to step in");
    wait_for(answers(&one));
}

/* Downloads that fail for a while go on where they were; nothing is fetched twice. */
static void broken_downloads_are_resumed(void **state)
{
    struct made one = fleet_make("1.0.1"), two = fleet_make("1.0.2");
    fleet_fault(&one.extra, FAULT_TRUNCATE, 3);
    fleet_fault(&one.weights, FAULT_ERROR, 2);
    install(&one);
    assert_int_equal(fleet_requests(&one.extra), 4);
    assert_int_equal(fleet_last_range(&one.extra), EXTRA_BYTES - EXTRA_BYTES / 8 - (EXTRA_BYTES % 8 != 0));
    unsigned weights = fleet_requests(&one.weights);
    fleet_fault(&two.extra, FAULT_STALL, 1);
    install(&two);
    assert_int_equal(fleet_requests(&two.extra), 2);
    assert_int_equal(fleet_last_range(&two.extra), EXTRA_BYTES / 2);
    assert_int_equal(fleet_requests(&two.weights), weights); /* the same blob: it is in the store */
}

/* A proxy before the server that knows no such path, or nobody like this robot: no window is given up for it. */
static void what_another_refuses_is_no_refusal(void **state)
{
    static const int strays[] = {404, 403, 422, 502};
    struct made one = fleet_make("1.0.3");
    install(&one);
    for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
        fleet_lead_astray(strays[i], 2);
        wait_for(!fleet_astray());
    }
    uint64_t told = fleet_frames(&one.digest);
    wait_for(fleet_frames(&one.digest) > told);
    assert_int_equal(fleet_reports(REPORT_GAP, NULL), 0);
}

static void has_all_variants(struct release *release)
{
    release->variant_count = RELEASE_MAX_VARIANTS;
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++) {
        release->variants[i] = (struct release_variant){.precision = PRECISION_INT8, .fidelity = 0.9};
        str_copy(release->variants[i].name, sizeof release->variants[i].name, variant_names[i]);
    }
}

/* What is made for other machines stays on the server; what is made for this one is checked like everything. */
static void only_what_this_machine_uses_is_fetched(void **state)
{
    struct made one = fleet_make_changed("1.3.0", has_all_variants),
                two = fleet_make_changed("1.4.0", has_all_variants);
    const char *own = variant_of_machine(image_this_machine());
    unsigned asked[RELEASE_MAX_VARIANTS];
    bool gpu = device_has_gpu();
    install(&one);
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++) {
        bool used = str_eq(variant_names[i], VARIANT_TRT) ? gpu : own && str_eq(variant_names[i], own);
        asked[i] = fleet_requests(&one.variants[i]);
        assert_int_equal(asked[i], used ? 1 : 0);
    }
    install(&two); /* nothing is missing and nothing is asked for again */
    for (size_t i = 0; i < RELEASE_MAX_VARIANTS; i++)
        assert_int_equal(fleet_requests(&two.variants[i]), asked[i]);
}

struct refusal {
    const char *what, *text; /* part of the report */
    enum fault fault;
    const char *script, *machine;
    uint64_t claims; /* bytes of a blob */
};

static void one_refusal(const struct refusal *refusal, const struct made *running, unsigned number)
{
    char version[16];
    snprintf(version, sizeof version, "2.%u.1", number);
    struct made bad = fleet_make_claiming(version, refusal->claims);
    if (refusal->script)
        script(&bad, refusal->script);
    if (refusal->fault != FAULT_NONE)
        fleet_fault(&bad.extra, refusal->fault, 1000);
    if (refusal->machine) {
        machine = refusal->machine;
        end_agent(SIGTERM);
        start_agent();
    }
    trust_want(&bad, false);
    wait_for(fleet_reports(REPORT_FAILED, &bad.digest) > 0);
    expect_text(REPORT_FAILED, &bad, refusal->text);
    unsigned requests = fleet_requests(&bad.extra);
    end_agent(SIGKILL); /* remembered across restarts as well */
    machine = NULL;
    unsigned starts = fleet_reports(REPORT_STARTED, NULL);
    start_agent();
    wait_for(fleet_reports(REPORT_STARTED, NULL) > starts);
    wait_for(answers(running));
    assert_int_equal(fleet_reports(REPORT_FAILED, &bad.digest), 1);
    assert_int_equal(fleet_reports(REPORT_ACTIVATED, &bad.digest), 0);
    assert_int_equal(fleet_requests(&bad.extra), requests);
}

static void what_is_wrong_is_refused_with_one_line_and_not_tried_again(void **state)
{
    const struct refusal refusals[] = {
        {.what = "flipped bit", .text = "do not fit its digest", .fault = FAULT_FLIP},
        {.what = "endless body", .text = "more than", .fault = FAULT_ENDLESS},
        {.what = "another machine", .text = "riscv64", .machine = "riscv64"},
        {.what = "self-test", .text = "golden is 0.9", .script = "fails-test"},
        {.what = "full disk", .text = "disk full", .claims = (uint64_t)1 << 50},
        {.what = "runner", .text = "the model cannot be loaded", .script = "dies"},
    };
    struct made one = fleet_make("1.0.0");
    install(&one);
    for (unsigned i = 0; i < ARRAY_LEN(refusals); i++)
        one_refusal(&refusals[i], &one, i);
    struct made two = fleet_make("3.0.0");
    install(&two);
}

/* Switches. */

static void wants_shadow(struct release *release)
{
    release->switching.shadow_frames = 200;
    release->switching.min_agreement = 0.9;
}

static void wants_all_memory(struct release *release)
{
    release->switching.policy = SWITCH_MEMORY;
}

static void wants_a_short_hold(struct release *release)
{
    release->switching.hold_s = 1;
}

static bool loaded(const struct made *release)
{
    struct ctl_status status;
    bool found = false;
    for (size_t i = 0; guard_status(&status) && i < CTL_MAX_RUNNERS && !found; i++)
        found = status.runners[i].generation && digest_equal(&status.runners[i].release, &release->digest);
    return found;
}

static void expect_refusal(const struct made *bad, const struct made *running, const char *part)
{
    trust_want(bad, false);
    wait_for(fleet_reports(REPORT_FAILED, &bad->digest) > 0);
    expect_text(REPORT_FAILED, bad, part);
    assert_int_equal(fleet_reports(REPORT_ACTIVATED, &bad->digest), 0);
    wait_for(answers(running) && !loaded(bad));
}

static void a_shadow_on_live_frames_decides(void **state)
{
    struct made one = fleet_make("1.0.0"), odd = fleet_make_changed("1.1.4", wants_shadow),
                sick = fleet_make_changed("1.2.4", wants_shadow),
                two = fleet_make_changed("2.0.4", wants_shadow),
                three = fleet_make_changed("3.0.4", wants_shadow);
    script(&odd, "disagrees");
    script(&sick, "unsound");
    install(&one);
    expect_refusal(&odd, &one, "agreed with the release that answers on");
    expect_refusal(&sick, &one, "unsound");
    install(&two);
    expect_text(REPORT_SHADOWED, &two, "200 live frames, agreed on 200");
    expect_text(REPORT_ACTIVATED, &two, "[played 1.0 cpu]");
    script(&two, "idle"); /* no frames come any more */
    install(&three);
    expect_text(REPORT_SHADOWED, &three, "not shadowed: 0 of 200 live frames");
}

static void without_room_what_runs_leaves_first_and_comes_back(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make_changed("2.0.5", wants_all_memory),
                bad = fleet_make_changed("3.0.5", wants_all_memory);
    install(&one);
    install(&two);
    expect_text(REPORT_GUARD, &two, "1.0.0 leaves before 2.0.5 is loaded: its release asks for it; the safe");
    assert_false(loaded(&one));
    script(&bad, "fails-test");
    expect_refusal(&bad, &two, "golden is 0.9");
    struct made slow = fleet_make_changed("4.0.5", wants_all_memory);
    script(&slow, "slow");
    trust_want(&slow, false);
    wait_for(fleet_reports(REPORT_ROLLED_BACK, &slow.digest) == 1);
    wait_for(answers(&two) && !loaded(&slow));
}

static void a_limit_for_all_models_is_kept(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make("2.0.6"), three = fleet_make("3.0.6"),
                four = fleet_make("4.0.6"); /* of 128 MiB each */
    end_agent(SIGTERM);
    model_memory = "300";
    start_agent();
    install(&one);
    install(&two);
    wait_for(falls_back_to(&one));
    install(&three);
    expect_text(REPORT_GUARD, &three, "1.0.0 leaves before 3.0.6 is loaded: it needs 128 MiB");
    assert_false(loaded(&one));
    wait_for(falls_back_to(&two));
    end_agent(SIGTERM);
    model_memory = "200";
    start_agent();
    install(&four);
    expect_text(REPORT_GUARD, &four, "the safe state answers meanwhile");
    assert_false(loaded(&three));
}

static void after_the_hold_time_the_previous_release_is_not_loaded_any_more(void **state)
{
    struct made one = fleet_make("1.0.7"), two = fleet_make_changed("2.0.7", wants_a_short_hold);
    install(&one);
    install(&two);
    wait_for(!loaded(&one));
    trust_want(&one, true);
    wait_for(answers(&one));
    wait_for(fleet_reports(REPORT_COMMITTED, &one.digest) == 2);
    assert_int_equal(fleet_reports(REPORT_DOWNLOADED, &one.digest), 1); /* it was still in the store */
}

static void command(enum ctl_verb verb)
{
    struct err err = {0};
    cleanup_close int fd = -1;
    struct ctl_message message;
    ctl_message_init(&message, CTL_COMMAND);
    message.command.verb = verb;
    assert_ok(ctl_connect(run_dir, CTL_ROLE_AGENT, &fd, &err), err);
    assert_ok(ctl_call(fd, &message, 1000, &err), err);
}

static void while_a_human_stands_above_nothing_is_judged_or_exchanged(void **state)
{
    struct made one = fleet_make("1.0.8"), two = fleet_make("2.0.8"), three = fleet_make("3.0.8");
    install(&one);
    end_agent(SIGTERM);
    probation = "1500";
    start_agent();
    trust_want(&two, false);
    wait_for(fleet_reports(REPORT_ACTIVATED, &two.digest) == 1);
    command(CTL_VERB_HOLD);
    usleep(2000000);
    assert_int_equal(fleet_reports(REPORT_COMMITTED, &two.digest), 0);
    assert_int_equal(fleet_reports(REPORT_ROLLED_BACK, &two.digest), 0);
    command(CTL_VERB_RELEASE);
    wait_for(fleet_reports(REPORT_COMMITTED, &two.digest) == 1);
    wait_for(falls_back_to(&one));
    command(CTL_VERB_FALLBACK);
    trust_want(&three, false);
    wait_for(fleet_reports(REPORT_GUARD, &three.digest) == 1);
    expect_text(REPORT_GUARD, &three, "ready, but waits: a human has the fallback release answer");
    usleep(300000);
    assert_true(answers(&two) && falls_back_to(&one));
    command(CTL_VERB_RELEASE);
    wait_for(answers(&three));
}

static void show_battery(const char *percent)
{
    struct err err = {0};
    char dir[96], path[128];
    snprintf(dir, sizeof dir, "%s/sys/class/power_supply/BAT0", base);
    assert_ok(file_make_dirs(dir, 0755, &err), err);
    snprintf(path, sizeof path, "%s/type", dir);
    assert_ok(file_replace(path, "Battery\n", 8, 0644, &err), err);
    snprintf(path, sizeof path, "%s/capacity", dir);
    assert_ok(file_replace(path, percent, strlen(percent), 0644, &err), err);
}

static bool runs(const struct made *release)
{
    struct ctl_status status;
    bool found = false;
    for (size_t i = 0; guard_status(&status) && i < CTL_MAX_RUNNERS && !found; i++)
        found = status.runners[i].connected && digest_equal(&status.runners[i].release, &release->digest);
    return found;
}

/* A new release waits for its moment, fetched and verified; what is ordered back does not. */
static void it_waits_for_the_battery_and_for_who_is_busy(void **state)
{
    struct err err = {0};
    struct made one = fleet_make("1.0.9"), two = fleet_make("2.0.9"), three = fleet_make("3.0.9");
    end_agent(SIGTERM);
    update_battery = "0.6";
    show_battery("31\n");
    start_agent();
    install(&one); /* nothing ran before: nothing is disturbed */
    trust_want(&two, false);
    wait_for(fleet_reports_with(REPORT_GUARD, "ready, but waits: battery at 31 %, 60 % are asked for") == 1);
    usleep(300000);
    assert_true(answers(&one) && !runs(&two));
    assert_int_equal(fleet_reports(REPORT_VERIFIED, &two.digest), 1);
    cleanup_close int busy = busy_open(run_dir, false, &err);
    assert_int_equal(busy_take(busy, false), 0);
    show_battery("80\n");
    usleep(1500000);
    assert_false(runs(&two)); /* charged, but now the program is busy */
    busy_leave(busy);
    wait_for(answers(&two) && fleet_reports(REPORT_COMMITTED, &two.digest) == 1);
    show_battery("5\n");
    trust_want(&three, false);
    wait_for(fleet_reports_with(REPORT_GUARD, "waits: battery at 5 %") == 1);
    trust_want(&one, true); /* the way back waits for nothing */
    wait_for(answers(&one));
}

/* ---- engines for accelerators ---- */

static bool answers_with(const struct made *release, const char *backend)
{
    struct ctl_status status;
    if (!guard_status(&status))
        return false;
    const struct ctl_runner_status *active = runner(&status, status.active_generation);
    return active && active->connected && digest_equal(&active->release, &release->digest) &&
           str_eq(active->backend, backend);
}

static void an_engine_is_built_beside_and_taken_by_a_switch(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make("2.0.7");
    script(&two, "wants-engine");
    install(&one);
    install(&two);
    wait_for(answers_with(&two, "played 1.0 tensorrt (cache hit)"));
    wait_for(fleet_reports(REPORT_RESTARTED, &two.digest) == 1);
    expect_text(REPORT_RESTARTED, &two, "an engine for its accelerator is ready");
    wait_for(falls_back_to(&one));
    end_agent(SIGKILL); /* the next agent leaves it as it is */
    start_agent();
    usleep(500000);
    assert_true(answers_with(&two, "played 1.0 tensorrt (cache hit)"));
}

static void an_engine_that_fails_is_said_once_and_changes_nothing(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make("2.0.8");
    script(&two, "wants-engine fails-engine");
    install(&one);
    install(&two);
    wait_for(fleet_reports(REPORT_GUARD, &two.digest) == 1);
    expect_text(REPORT_GUARD, &two, "no engine for its accelerator: tensorrt-trtexec: out of memory");
    usleep(1000000);
    assert_int_equal(fleet_reports(REPORT_GUARD, &two.digest), 1);
    assert_true(answers_with(&two, "played 1.0 cpu"));
}

/* The new runner dies with its engine: the old one answers meanwhile, at last one without. */
static void an_engine_that_takes_its_runner_down_is_left_alone(void **state)
{
    struct made one = fleet_make("1.0.0"), two = fleet_make("2.0.9");
    script(&two, "wants-engine deadly-engine");
    install(&one);
    install(&two);
    wait_for(fleet_reports(REPORT_RESTARTED, &two.digest) >= 3);
    wait_for(answers_with(&two, "played 1.0 cpu") && falls_back_to(&one));
    uint64_t restarts = fleet_reports(REPORT_RESTARTED, &two.digest);
    usleep(1500000);
    assert_true(answers_with(&two, "played 1.0 cpu"));
    assert_int_equal(fleet_reports(REPORT_RESTARTED, &two.digest), restarts); /* no loop */
}

/* Whatever is killed, and whenever: the robot ends where it should, and no report or count is lost or made
 * up. */
static void killed_anywhere_it_converges(void **state)
{
    uint32_t random = 12345;
    struct made one = fleet_make("1.0.0");
    install(&one);
    for (unsigned round = 0; round < 8; round++) {
        char version[16];
        snprintf(version, sizeof version, "1.%u.0", round + 1);
        struct made next = fleet_make(version);
        fleet_fault(&next.extra, FAULT_TRUNCATE, 1);
        trust_want(&next, false);
        for (int i = 0; i < 4; i++) {
            random = random * 1664525u + 1013904223u;
            usleep((random >> 8) % 150000);
            if (i % 2 == 0) {
                end_agent(SIGKILL);
                start_agent();
            } else {
                kill_one((random >> 4) % 2);
            }
        }
        wait_for(fleet_reports(REPORT_COMMITTED, &next.digest) > 0);
        wait_for(answers(&next));
    }
}

static void without_an_agent_the_robot_goes_on(void **state)
{
    struct made one = fleet_make("1.0.0");
    install(&one);
    end_agent(SIGTERM);
    assert_true(answers(&one));
    start_agent();
    end_agent(SIGKILL);
    assert_true(answers(&one));
    struct ctl_status before, after;
    assert_true(guard_status(&before));
    unsigned starts = fleet_reports(REPORT_STARTED, NULL);
    start_agent();
    wait_for(fleet_reports(REPORT_STARTED, NULL) > starts);
    usleep(300000);
    assert_true(guard_status(&after));
    assert_int_equal(before.active_generation, after.active_generation);
    assert_int_equal(runner(&before, before.active_generation)->pid,
                     runner(&after, after.active_generation)->pid);
}

static bool guard_word(const char *word)
{
    static const struct digest none;
    char text[API_MAX_SUMMARY] = "";
    fleet_report_text(REPORT_GUARD, &none, text);
    return strstr(text, word) != NULL;
}

/* The fleet is not shown for ever what a guard said that is there no more. */
static void a_guard_that_stays_away_is_told(void **state)
{
    struct err err = {0};
    struct made one = fleet_make("1.0.0");
    install(&one);
    wait_for(guard_word("-> auto"));
    cleanup_free char *path = file_join(run_dir, "guard.lock");
    cleanup_close int lock = -1;
    do /* no new one can start */
        kill_one(true);
    while (file_lock(path, &lock, &err) < 0);
    wait_for(guard_word("-> gone")); /* from auto, or from what a short-lived one in between began with */
    mem_cleanup_close(&lock);
    lock = -1;
    wait_for(guard_word("-> auto"));
}

/* Whatever happens to state.json: what runs goes on running, without a gap and without a new download. */
static void a_lost_state_stops_nothing(void **state)
{
    static const char *const texts[] = {"", "{\"schema\":1,\"phase\":\"idl", NULL};
    struct err err = {0};
    struct made one = fleet_make("1.0.0"), two = fleet_make("7.0.0");
    cleanup_free char *path = file_join(state_dir, "state.json");
    install(&one);
    struct ctl_status before, after;
    assert_true(guard_status(&before));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        unsigned requests = fleet_requests(&one.extra), starts = fleet_reports(REPORT_STARTED, NULL);
        end_agent(SIGKILL);
        if (texts[i])
            assert_ok(file_replace(path, texts[i], strlen(texts[i]), 0600, &err), err);
        else
            assert_int_equal(unlink(path), 0);
        start_agent();
        wait_for(fleet_reports(REPORT_STARTED, NULL) > starts);
        usleep(300000);
        assert_true(guard_status(&after));
        assert_int_equal(before.epoch, after.epoch);
        assert_int_equal(before.active_generation, after.active_generation);
        assert_int_equal(runner(&before, before.active_generation)->pid,
                         runner(&after, after.active_generation)->pid);
        assert_int_equal(fleet_requests(&one.extra), requests);
    }
    install(&two);
}

static void a_bad_token_is_said_and_a_good_one_taken_later(void **state)
{
    struct err err = {0};
    end_agent(SIGKILL);
    assert_ok(file_remove_tree(state_dir, &err), err);
    assert_ok(file_replace(token_path, "used-token", 10, 0600, &err), err);
    start_agent();
    usleep(500000);
    assert_true(file_exists(token_path));
    assert_ok(file_replace(token_path, "good-token", 10, 0600, &err), err);
    struct made one = fleet_make("1.0.0");
    install(&one);
    assert_false(file_exists(token_path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good_releases_are_kept_and_a_slow_one_is_thrown_out, unbox, box),
        cmocka_unit_test_setup_teardown(a_release_on_which_the_guard_steps_in_is_thrown_out, unbox, box),
        cmocka_unit_test_setup_teardown(broken_downloads_are_resumed, unbox, box),
        cmocka_unit_test_setup_teardown(only_what_this_machine_uses_is_fetched, unbox, box),
        cmocka_unit_test_setup_teardown(what_another_refuses_is_no_refusal, unbox, box),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_with_one_line_and_not_tried_again, unbox,
                                        box),
        cmocka_unit_test_setup_teardown(a_shadow_on_live_frames_decides, unbox, box),
        cmocka_unit_test_setup_teardown(without_room_what_runs_leaves_first_and_comes_back, unbox, box),
        cmocka_unit_test_setup_teardown(a_limit_for_all_models_is_kept, unbox, box),
        cmocka_unit_test_setup_teardown(after_the_hold_time_the_previous_release_is_not_loaded_any_more,
                                        unbox, box),
        cmocka_unit_test_setup_teardown(while_a_human_stands_above_nothing_is_judged_or_exchanged, unbox,
                                        box),
        cmocka_unit_test_setup_teardown(it_waits_for_the_battery_and_for_who_is_busy, unbox, box),
        cmocka_unit_test_setup_teardown(an_engine_is_built_beside_and_taken_by_a_switch, unbox, box),
        cmocka_unit_test_setup_teardown(an_engine_that_fails_is_said_once_and_changes_nothing, unbox, box),
        cmocka_unit_test_setup_teardown(an_engine_that_takes_its_runner_down_is_left_alone, unbox, box),
        cmocka_unit_test_setup_teardown(killed_anywhere_it_converges, unbox, box),
        cmocka_unit_test_setup_teardown(without_an_agent_the_robot_goes_on, unbox, box),
        cmocka_unit_test_setup_teardown(a_guard_that_stays_away_is_told, unbox, box),
        cmocka_unit_test_setup_teardown(a_lost_state_stops_nothing, unbox, box),
        cmocka_unit_test_setup_teardown(a_bad_token_is_said_and_a_good_one_taken_later, unbox, box),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
