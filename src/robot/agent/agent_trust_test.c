/* The real muster-agent against a server that holds every online key and means no good: what both keys want is installed, and
 * nothing else; each refusal names its rule, once; what runs goes on. */
#include "robot/agent/agent_testing.h"
#include "robot/store/state.h"
#include "trust/rule.h"

static struct made running; /* what every test begins with: 1.0.0 */
static unsigned numbers;    /* of versions, so that no two tests make the same release */

enum { ALICE, BOB, MALLORY, PEOPLE };
static const char *const names[PEOPLE] = {"alice", "bob", "mallory"};
static struct signing_key *people[PEOPLE];

static struct made make(void)
{
    char version[32];
    snprintf(version, sizeof version, "2.%u.0", ++numbers);
    return fleet_make(version);
}

/* A robot from the box that runs `running`, by both keys. */
static int unbox_running(void **state)
{
    unbox(state);
    running = fleet_make("1.0.0");
    install(&running);
    return 0;
}

static void installed(const struct made *made)
{
    wait_for(fleet_reports(REPORT_COMMITTED, &made->digest) > 0);
    wait_for(answers(made));
}

/* How many reports of refusals name this rule. */
static unsigned refusals(enum trust_rule rule)
{
    char name[48];
    snprintf(name, sizeof name, "[%s]", trust_rule_name(rule));
    return fleet_reports_with(REPORT_FAILED, name);
}

static struct tuf_mock *edit(void)
{
    return trust_enter();
}

static void end_edit(void)
{
    trust_leave();
}

/* ---- what is right ---- */

static void what_both_keys_want_is_installed_and_renewals_are_no_news(void **state)
{
    struct made two = make();
    (void)state;
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
    for (int i = 0; i < 3; i++) {
        trust_renew();
        unsigned before = trust_requests("director");
        wait_for(trust_requests("director") > before + 1);
    }
    assert_int_equal(fleet_reports(REPORT_COMMITTED, &two.digest), 1);
    assert_int_equal(fleet_reports(REPORT_ASSIGNED, &two.digest), 1);
    trust_assign(NULL, NULL); /* nothing is to run: what runs goes on */
    unsigned before = trust_requests("director");
    wait_for(trust_requests("director") > before + 2);
    assert_true(answers(&two));
}

static void rollback(struct assignment *assignment)
{
    assignment->rollback = true;
}

static void going_back_takes_the_directors_word_for_it(void **state)
{
    struct made two = make();
    unsigned before = refusals(TRUST_RELEASE_OLDER);
    (void)state;
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
    trust_assign(&running, NULL);
    wait_for(refusals(TRUST_RELEASE_OLDER) == before + 1);
    unsigned committed = fleet_reports(REPORT_COMMITTED, &running.digest);
    trust_assign(&running, rollback);
    wait_for(fleet_reports(REPORT_COMMITTED, &running.digest) > committed);
    wait_for(answers(&running));
}

/* ---- attacks: each on a release of its own, refused by its rule ---- */

static struct made target; /* of the attack at hand */

static void of_another_robot(struct assignment *assignment)
{
    str_copy(assignment->robot, sizeof assignment->robot, "r2");
}

static void of_another_fleet(struct assignment *assignment)
{
    str_copy(assignment->fleet, sizeof assignment->fleet, "elsewhere");
}

static void over(struct assignment *assignment)
{
    assignment->issued_s -= 30 * TRUST_DAY_S;
    assignment->expires_s = assignment->issued_s + 29 * TRUST_DAY_S;
}

static void of_other_bytes(struct assignment *assignment)
{
    assignment->release.bytes[0] ^= 1;
}

static void of_another_length(struct assignment *assignment)
{
    assignment->length++;
}

static void forge(void)
{
    trust_release(&target, NULL);
    trust_assign_forged(&target);
}

static void replay_another_robots(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, of_another_robot);
}

static void replay_another_fleets(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, of_another_fleet);
}

static void replay_an_old_one(void)
{
    trust_release(&target, NULL);
    cleanup_free char *old = trust_answer();
    trust_renew(); /* accepted by the robot */
    unsigned before = trust_requests("director");
    wait_for(trust_requests("director") > before + 1);
    trust_say(old);
}

static void assign_what_is_over(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, over);
}

static void say_nonsense(void)
{
    trust_say("{\"assignment\":{\"signed\":{},\"signatures\":[]},\"approvals\":[]}");
}

static void assign_what_nobody_released(void)
{
    trust_assign(&target, NULL);
}

static void assign_other_bytes(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, of_other_bytes);
}

static void assign_another_length(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, of_another_length);
}

static void assign_without_terms(void)
{
    trust_release_custom(&target, NULL);
    trust_assign(&target, NULL);
}

static void belongs_elsewhere(struct terms *terms)
{
    str_copy(terms->fleet, sizeof terms->fleet, "elsewhere");
}

static void assign_another_fleets_release(void)
{
    trust_release(&target, belongs_elsewhere);
    trust_assign(&target, NULL);
}

static void sets_a_floor_above_itself(struct terms *terms)
{
    str_copy(terms->floor, sizeof terms->floor, "3.0.0");
}

static void assign_below_the_floor(void)
{
    trust_release(&target, sets_a_floor_above_itself);
    trust_assign(&target, NULL);
}

static void wants_alice_and_bob(struct terms *terms)
{
    terms->threshold = 2;
    terms->operator_count = 2;
    str_copy(terms->operators[0], sizeof terms->operators[0], "alice");
    str_copy(terms->operators[1], sizeof terms->operators[1], "bob");
}

static void assign_with_one_approval_of_two(void)
{
    trust_operators(names, people, 2);
    trust_release(&target, wants_alice_and_bob);
    trust_assign(&target, NULL);
    trust_approve(&target, "alice", people[ALICE], NULL);
}

static void assign_with_a_forged_approval(void)
{
    assign_with_one_approval_of_two();
    trust_approve(&target, "bob", people[MALLORY], NULL);
}

static void wants_the_plan_approved(struct terms *terms)
{
    wants_alice_and_bob(terms);
    terms->scope = TERMS_OF_PLAN;
}

static struct digest plan;

static void follows_the_plan(struct assignment *assignment)
{
    assignment->plan = plan;
}

static void assign_in_a_plan_without_this_robot(void)
{
    plan = trust_plan(&target, "r2");
    trust_operators(names, people, 2);
    trust_release(&target, wants_the_plan_approved);
    trust_assign(&target, follows_the_plan);
    trust_approve(&target, "alice", people[ALICE], NULL);
    trust_approve(&target, "bob", people[BOB], NULL);
}

/* The chain. Each one assigns the release, so that the robot looks. */

static void assign_released(void)
{
    trust_release(&target, NULL);
    trust_assign(&target, NULL);
}

static void freeze(void)
{
    tuf_mock_expire(edit(), "timestamp", clock_wall_ms() / 1000 - 10);
    trust_leave();
    trust_release(&target, NULL);
    trust_assign(&target, NULL);
}

static void roll_the_timestamp_back(void)
{
    trust_release(&target, NULL);
    struct tuf_mock *mock = edit();
    tuf_mock_set(mock, "timestamp", "/version", "1");
    tuf_mock_republish(mock, "timestamp");
    end_edit();
    trust_assign(&target, NULL);
}

static void mix_and_match(void)
{
    trust_release(&target, NULL);
    struct tuf_mock *mock = edit();
    char name[48];
    snprintf(name, sizeof name, "%d.snapshot.json", (int)tuf_mock_version(mock, "snapshot"));
    tuf_mock_set(mock, "snapshot", "/version", "1");
    const struct buf *old = tuf_mock_past(mock, "snapshot", 1);
    assert_non_null(old);
    cleanup_free void *bytes = mem_dup(old->data, old->len);
    tuf_mock_serve(mock, name, bytes, old->len);
    end_edit();
    trust_assign(&target, NULL);
}

static void tamper_with_targets(void)
{
    trust_release(&target, NULL);
    struct tuf_mock *mock = edit();
    char name[48];
    snprintf(name, sizeof name, "%d.targets.json", (int)tuf_mock_version(mock, "targets"));
    tuf_mock_patch(mock, name, "/signed/x", "\"changed\"");
    end_edit();
    trust_assign(&target, NULL);
}

static void send_without_end(void)
{
    trust_fault("timestamp.json", FLEET_ENDLESS, 1000);
    assign_released();
}

static void send_nonsense(void)
{
    struct tuf_mock *mock = edit();
    tuf_mock_serve(mock, "timestamp.json", "{]", 2);
    end_edit();
    trust_assign(&target, NULL);
}

static void hold_back(void)
{
    trust_fault("timestamp.json", 404, 1000);
    assign_released();
}

static void flip_a_bit_of_the_release(void)
{
    fleet_fault(&target.digest, FAULT_FLIP, 1000);
    assign_released();
}

static void append_to_the_release(void)
{
    fleet_fault(&target.digest, FAULT_ENDLESS, 1000);
    assign_released();
}

static void flip_a_bit_of_a_blob(void)
{
    fleet_fault(&target.extra, FAULT_FLIP, 1000);
    assign_released();
}

static const struct attack {
    void (*play)(void);
    enum trust_rule rule;
} attacks[] = {
    {forge, TRUST_ASSIGNMENT_SIGNATURES},
    {replay_another_robots, TRUST_ASSIGNMENT_ROBOT},
    {replay_another_fleets, TRUST_ASSIGNMENT_FLEET},
    {replay_an_old_one, TRUST_ASSIGNMENT_ROLLBACK},
    {assign_what_is_over, TRUST_ASSIGNMENT_EXPIRED},
    {say_nonsense, TRUST_ASSIGNMENT_FORM},
    {assign_what_nobody_released, TRUST_TARGETS_UNKNOWN},
    {assign_other_bytes, TRUST_ASSIGNMENT_TARGET},
    {assign_another_length, TRUST_ASSIGNMENT_TARGET},
    {assign_without_terms, TRUST_RELEASE_TERMS},
    {assign_another_fleets_release, TRUST_RELEASE_FLEET},
    {assign_below_the_floor, TRUST_RELEASE_FLOOR},
    {assign_with_one_approval_of_two, TRUST_APPROVALS_MISSING},
    {assign_with_a_forged_approval, TRUST_APPROVALS_FORGED},
    {assign_in_a_plan_without_this_robot, TRUST_PLAN_OTHER},
    {freeze, TRUST_TIMESTAMP_EXPIRED},
    {roll_the_timestamp_back, TRUST_TIMESTAMP_ROLLBACK},
    {mix_and_match, TRUST_SNAPSHOT_VERSION},
    {tamper_with_targets, TRUST_TARGETS_SIGNATURES},
    {send_without_end, TRUST_METADATA_SIZE},
    {send_nonsense, TRUST_METADATA_FORM},
    {hold_back, TRUST_METADATA_MISSING},
    {flip_a_bit_of_the_release, TRUST_TARGET_HASH},
    {append_to_the_release, TRUST_TARGET_HASH},
    {flip_a_bit_of_a_blob, TRUST_TARGET_HASH},
};

/* The server comes to its senses: the repository as it should be, in newer versions than ever. */
static void amend(void)
{
    struct tuf_mock *mock = edit();
    static const char *const roles[] = {"snapshot", "timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        tuf_mock_set(mock, roles[i], "/version", "%d", (int)(1000 + ++numbers));
        tuf_mock_expire(mock, roles[i], clock_wall_ms() / 1000 + TRUST_DAY_S);
    }
    tuf_mock_publish(mock, "targets");
    tuf_mock_sync(mock, "snapshot");
    tuf_mock_republish(mock, "snapshot");
    tuf_mock_sync(mock, "timestamp");
    tuf_mock_republish(mock, "timestamp");
    end_edit();
    trust_fault("timestamp.json", 200, 0);
    trust_say(NULL);
    trust_no_approvals();
    trust_assign(&running, NULL);
}

static void play(const struct attack *attack)
{
    unsigned before = refusals(attack->rule), all = fleet_reports(REPORT_FAILED, NULL);
    target = make();
    attack->play();
    wait_for(refusals(attack->rule) > before);
    unsigned polls = trust_requests("director");
    wait_for(trust_requests("director") > polls + 1); /* it is asked again, and not said again */
    assert_int_equal(fleet_reports(REPORT_FAILED, NULL), all + 1);
    assert_true(answers(&running));
    assert_int_equal(fleet_reports(REPORT_VERIFIED, &target.digest), 0);
    assert_int_equal(fleet_reports(REPORT_ACTIVATED, &target.digest), 0);
}

static void a_hostile_server_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        print_message("%zu %s\n", i, trust_rule_name(attacks[i].rule));
        play(&attacks[i]);
        amend();
    }
    struct made two = fleet_make("3.0.0");
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
}

/* ---- people ---- */

static void approvals_that_come_later_are_enough(void **state)
{
    (void)state;
    target = make();
    assign_with_one_approval_of_two();
    wait_for(refusals(TRUST_APPROVALS_MISSING) > 0);
    trust_approve(&target, "bob", people[BOB], NULL); /* no new version says so */
    installed(&target);
}

static void an_approved_plan_is_followed(void **state)
{
    (void)state;
    target = make();
    plan = trust_plan(&target, "r1");
    trust_operators(names, people, 2);
    trust_release(&target, wants_the_plan_approved);
    trust_assign(&target, follows_the_plan);
    trust_approve(&target, "alice", people[ALICE], NULL);
    trust_approve(&target, "bob", people[BOB], NULL);
    installed(&target);
}

static void sets_a_floor(struct terms *terms)
{
    str_copy(terms->floor, sizeof terms->floor, "1.5.0");
}

static void a_floor_outlives_what_set_it(void **state)
{
    unsigned before = refusals(TRUST_RELEASE_FLOOR);
    (void)state;
    target = make();
    trust_release(&target, sets_a_floor);
    trust_assign(&target, NULL);
    installed(&target);
    end_agent(SIGKILL);
    start_agent();
    trust_assign(&running, rollback); /* 1.0.0 */
    wait_for(refusals(TRUST_RELEASE_FLOOR) == before + 1);
    assert_true(answers(&target));
}

/* ---- time, keys, disks ---- */

static void what_expires_stops_nothing_that_runs(void **state)
{
    unsigned before = refusals(TRUST_TIMESTAMP_EXPIRED);
    (void)state;
    struct tuf_mock *mock = edit();
    static const char *const roles[] = {"targets", "snapshot", "timestamp"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        tuf_mock_expire(mock, roles[i], clock_wall_ms() / 1000 - 10);
    tuf_mock_release(mock);
    end_edit();
    end_agent(SIGKILL);
    metadata_ms = "500";
    start_agent();
    wait_for(refusals(TRUST_TIMESTAMP_EXPIRED) == before + 1);
    wait_for(answers(&running));
    trust_assign(&running, over);
    usleep(1500000); /* several looks later */
    assert_true(answers(&running));
    assert_int_equal(refusals(TRUST_TIMESTAMP_EXPIRED), before + 1);
}

static void keys_change_while_the_robot_is_off(void **state)
{
    static const char *const roles[] = {"root",     "timestamp", "snapshot", "targets", "director",
                                        "director", "root",      "targets",  "root"};
    (void)state;
    cleanup_free char *old = trust_answer();
    end_agent(SIGKILL);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        trust_rotate(roles[i]);
    struct made two = make();
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    start_agent();
    installed(&two);
    unsigned before = refusals(TRUST_ASSIGNMENT_SIGNATURES);
    trust_say(old); /* by a director's key that is gone */
    wait_for(refusals(TRUST_ASSIGNMENT_SIGNATURES) == before + 1);
    assert_true(answers(&two));
}

/* A thief of the director's key has used up all numbers: with another key they count anew. */
static void takes_the_last_number(struct assignment *assignment)
{
    assignment->version = INT64_MAX;
}

static void begins_again(struct assignment *assignment)
{
    assignment->version = 1;
}

static void a_count_that_was_used_up_begins_anew_with_other_keys(void **state)
{
    unsigned before = refusals(TRUST_ASSIGNMENT_ROLLBACK);
    (void)state;
    struct made two = make(), three = make();
    trust_release(&two, NULL);
    trust_release(&three, NULL);
    trust_assign(&two, takes_the_last_number);
    installed(&two);
    trust_assign(&three, begins_again);
    cleanup_free char *low = trust_answer();
    trust_say(low);
    wait_for(refusals(TRUST_ASSIGNMENT_ROLLBACK) == before + 1);
    end_agent(SIGKILL);
    unsigned asked = trust_requests("director");
    start_agent();
    wait_for(trust_requests("director") > asked);
    cleanup_free char *damaged = file_join(state_dir, "state.json.damaged");
    assert_false(file_exists(damaged)); /* floors, and what runs, are known as before */
    trust_rotate("director");
    trust_say(NULL);
    installed(&three);
}

/* The same, where the thief's last word was believed and done, so that the robot waits for a number beyond it. */
static void a_robot_that_waits_behind_the_last_number_hears_again(void **state)
{
    (void)state;
    struct made two = make(), three = make();
    end_agent(SIGTERM);
    metadata_ms = "500";
    start_agent();
    trust_release(&two, NULL);
    trust_release(&three, NULL);
    trust_assign(&two, takes_the_last_number);
    installed(&two);
    unsigned before = trust_requests("director");
    wait_for(trust_requests("director") > before + 1);
    trust_rotate("director");
    trust_assign(&three, begins_again);
    installed(&three);
}

static void an_old_backup_leads_to_the_present(void **state)
{
    struct err err = {0};
    cleanup_free char *path = file_join(state_dir, "state.json");
    cleanup_buf struct buf old = BUF_INIT(1 << 16);
    (void)state;
    assert_ok(file_read(path, &old, &err), err);
    struct made two = make(), three = make();
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
    end_agent(SIGKILL);
    assert_ok(file_replace(path, old.data, old.len, 0600, &err), err);
    start_agent();
    trust_release(&three, NULL);
    trust_assign(&three, NULL);
    installed(&three);
}

static void metadata_that_cannot_be_kept_refuses_nothing(void **state)
{
    struct err err = {0};
    cleanup_free char *dir = file_join(state_dir, "trust"), *aside = file_join(state_dir, "trust.aside");
    (void)state;
    struct made two = make();
    assert_ok(file_rename(dir, aside, &err), err);
    assert_ok(file_replace(dir, "no directory", 12, 0600, &err), err);
    unsigned before = trust_requests("director"), failed = fleet_reports(REPORT_FAILED, &two.digest);
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    wait_for(trust_requests("director") > before + 1);
    assert_true(answers(&running));
    assert_int_equal(unlink(dir), 0);
    assert_ok(file_rename(aside, dir, &err), err);
    installed(&two);
    assert_int_equal(fleet_reports(REPORT_FAILED, &two.digest), failed);
}

static void a_root_that_a_disk_damaged_is_taken_anew(void **state)
{
    struct err err = {0};
    cleanup_free char *dir = file_join(state_dir, "trust"), *path = file_join(dir, "root.json");
    (void)state;
    trust_rotate("root");
    end_agent(SIGKILL);
    assert_ok(file_replace(path, "rubbish", 7, 0600, &err), err);
    start_agent();
    struct made two = make();
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
}

static void without_an_anchor_nothing_is_installed_and_what_runs_goes_on(void **state)
{
    struct err err = {0};
    cleanup_free char *dir = file_join(state_dir, "trust");
    cleanup_buf struct buf root = BUF_INIT(512000);
    (void)state;
    end_agent(SIGKILL);
    assert_ok(file_remove_tree(dir, &err), err);
    assert_ok(file_read(root_file, &root, &err), err);
    assert_int_equal(unlink(root_file), 0);
    start_agent();
    struct made two = make();
    unsigned before = trust_requests("director");
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    wait_for(trust_requests("director") > before + 1);
    wait_for(answers(&running));
    assert_int_equal(fleet_reports(REPORT_ASSIGNED, &two.digest), 0);
    assert_ok(file_replace(root_file, root.data, root.len, 0600, &err), err);
    installed(&two); /* the same agent: it looks again */
}

static void without_a_server_the_robot_goes_on(void **state)
{
    (void)state;
    trust_outage(true);
    end_agent(SIGKILL);
    start_agent();
    unsigned before = trust_requests("director");
    wait_for(answers(&running));
    wait_for(trust_requests("director") > before + 2);
    assert_true(answers(&running));
    trust_outage(false);
    struct made two = make();
    trust_release(&two, NULL);
    trust_assign(&two, NULL);
    installed(&two);
}

static void killed_anywhere_the_chain_stays_whole(void **state)
{
    (void)state;
    struct made made = {0};
    for (int i = 0; i < 12; i++) {
        static const char *const roles[] = {"timestamp", "root", "snapshot", "targets"};
        made = make();
        trust_rotate(roles[i % 4]);
        trust_release(&made, NULL);
        trust_assign(&made, NULL);
        usleep((useconds_t)(i * 7000));
        end_agent(SIGKILL);
        start_agent();
    }
    installed(&made);
    assert_int_equal(refusals(TRUST_ROOT_SIGNATURES) + refusals(TRUST_ROOT_VERSION), 0);
}

/* ---- a state that says more than was admitted ---- */

static void claim_admitted(const struct made *made)
{
    struct err err = {0};
    struct digest_text text = digest_format(&made->digest);
    cleanup_free char *path = file_join(state_dir, "state.json");
    cleanup_buf struct buf state = BUF_INIT(1 << 16);
    assert_ok(file_read(path, &state, &err), err);
    char *at = strstr(buf_text(&state), "\"admitted\"");
    at = at ? strstr(at, "sha256:") : NULL;
    assert_non_null(at);
    memcpy(at, text.text, strlen(text.text));
    assert_ok(file_replace(path, state.data, state.len, 0600, &err), err);
}

static void a_candidate_that_nobody_admitted_is_not_fetched(void **state)
{
    unsigned before = refusals(TRUST_ASSIGNMENT_SIGNATURES);
    (void)state;
    struct made two = make();
    fleet_fault(&two.extra, FAULT_STALL, 1000);
    trust_want(&two, false);
    wait_for(fleet_requests(&two.extra) > 0);
    end_agent(SIGKILL);
    fleet_fault(&two.extra, FAULT_NONE, 0);
    claim_admitted(&running);
    trust_outage(true);
    start_agent();
    wait_for(refusals(TRUST_ASSIGNMENT_SIGNATURES) == before + 1);
    assert_true(answers(&running));
    assert_int_equal(fleet_reports(REPORT_VERIFIED, &two.digest), 0);
    trust_outage(false); /* both keys still want it */
    installed(&two);
}

static int make_people(void **state)
{
    struct err err = {0};
    if (set_up(state) < 0)
        return -1;
    for (int i = 0; i < PEOPLE; i++)
        assert_ok(signing_key_generate(&people[i], &err), err);
    return 0;
}

static int end_people(void **state)
{
    for (int i = 0; i < PEOPLE; i++)
        signing_key_free(people[i]);
    return tear_down(state);
}

#define on_a_robot(test) cmocka_unit_test_setup_teardown(test, unbox_running, box)

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        on_a_robot(what_both_keys_want_is_installed_and_renewals_are_no_news),
        on_a_robot(going_back_takes_the_directors_word_for_it),
        on_a_robot(a_hostile_server_changes_nothing),
        on_a_robot(approvals_that_come_later_are_enough),
        on_a_robot(an_approved_plan_is_followed),
        on_a_robot(a_floor_outlives_what_set_it),
        on_a_robot(what_expires_stops_nothing_that_runs),
        on_a_robot(keys_change_while_the_robot_is_off),
        on_a_robot(a_count_that_was_used_up_begins_anew_with_other_keys),
        on_a_robot(a_robot_that_waits_behind_the_last_number_hears_again),
        on_a_robot(an_old_backup_leads_to_the_present),
        on_a_robot(metadata_that_cannot_be_kept_refuses_nothing),
        on_a_robot(a_root_that_a_disk_damaged_is_taken_anew),
        on_a_robot(without_an_anchor_nothing_is_installed_and_what_runs_goes_on),
        on_a_robot(without_a_server_the_robot_goes_on),
        on_a_robot(killed_anywhere_the_chain_stays_whole),
        on_a_robot(a_candidate_that_nobody_admitted_is_not_fetched),
    };
    return cmocka_run_group_tests(tests, make_people, end_people);
}
