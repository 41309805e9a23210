/* Every cut of the power, every kill and every full disk, at every change of the file system, in a robot's
 * life: install B and keep it, install C and roll it back, collecting in between. See powercut.h. */
#include "robot/store/store.h"

#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/image.h"
#include "robot/store/powercut.h"
#include "robot/store/reports.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "wire/oci.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { LAYERS = 2, LAYER_BYTES = 700, RELEASES = 3 };

struct sample {
    char version[16];
    uint8_t layers[LAYERS + 1][LAYER_BYTES]; /* the last is the config */
    struct oci_manifest manifest;
    char *text;
    struct digest digest;
};

static struct sample samples[RELEASES];
static char base[40];
static char work[64], graveyard[64];

/* Shared with the process that is cut: how many states it had saved, and which. */
struct witness {
    int saved;
    struct install states[64];
    uint64_t reported;
};
static struct witness *witness;

static void describe(struct oci_descriptor *out, const uint8_t *data, const char *type)
{
    *out = (struct oci_descriptor){.digest = hash_bytes(data, LAYER_BYTES), .size = LAYER_BYTES};
    str_copy(out->media_type, sizeof out->media_type, type);
}

static void make_sample(struct sample *sample, uint32_t number)
{
    snprintf(sample->version, sizeof sample->version, "%u.0.0", number + 1);
    for (size_t i = 0; i <= LAYERS; i++)
        for (size_t j = 0; j < LAYER_BYTES; j++)
            sample->layers[i][j] = (uint8_t)(i == 0 ? j : j * 7 + number * 31 + i); /* layer 0 is shared */
    str_copy(sample->manifest.artifact_type, sizeof sample->manifest.artifact_type, MODELPACK_ARTIFACT_TYPE);
    describe(&sample->manifest.config, sample->layers[LAYERS], MODELPACK_CONFIG_TYPE);
    for (size_t i = 0; i < LAYERS; i++)
        describe(&sample->manifest.layers[i], sample->layers[i], MODELPACK_WEIGHT_TYPE);
    sample->manifest.layer_count = LAYERS;
    sample->text = oci_manifest_format(&sample->manifest);
    sample->digest = hash_bytes(sample->text, strlen(sample->text));
}

static const struct sample *sample_of(const struct digest *digest)
{
    for (size_t i = 0; i < RELEASES; i++)
        if (digest_equal(&samples[i].digest, digest))
            return &samples[i];
    return NULL;
}

/* The steps of an agent, without its network. */

static int put_blob(struct store *store, const struct digest *digest, const void *data, size_t len,
                    struct err *err)
{
    if (store_has_blob(store, digest, len))
        return 0;
    cleanup_partial struct partial *partial = NULL;
    uint64_t have = 0;
    if (partial_open(store, digest, len, &partial, &have, err) < 0)
        return -1;
    while (have < len) {
        size_t piece = MIN(len - (size_t)have, (size_t)400);
        if (partial_write(partial, (const uint8_t *)data + have, piece, err) < 0)
            return -1;
        have += piece;
    }
    return partial_finish(partial, err);
}

static int fetch(struct store *store, const struct sample *sample, struct err *err)
{
    size_t size = strlen(sample->text);
    if (put_blob(store, &sample->digest, sample->text, size, err) < 0 ||
        store_add_release(store, &sample->digest, size, err) < 0)
        return -1;
    for (size_t i = 0; i <= LAYERS; i++) {
        const struct oci_descriptor *blob =
            i == LAYERS ? &sample->manifest.config : &sample->manifest.layers[i];
        if (put_blob(store, &blob->digest, sample->layers[i], LAYER_BYTES, err) < 0)
            return -1;
    }
    return 0;
}

static int report(struct report_log *log, struct err *err)
{
    struct api_report entry = {.kind = REPORT_ACTIVATED};
    if (report_log_append(log, &entry, err) < 0)
        return -1;
    witness->reported = report_log_last_seq(log);
    return 0;
}

static int advance(struct store *store, const struct install_event *event, enum install_action *out_action,
                   struct err *err)
{
    struct robot_state state = *store_state(store);
    if (!install_step(&state.install, event, out_action))
        return 0;
    assert_true(witness->saved < 63);
    witness->states[witness->saved + 1] = state.install; /* announced before it is on the disk */
    if (store_save(store, &state, err) < 0)
        return -1;
    witness->saved++;
    return 0;
}

static int assign(struct store *store, enum install_action *out_action, struct err *err)
{
    uint64_t counter = store_state(store)->install.assignment_counter + 1;
    struct install_event event = {.kind = INSTALL_EV_ASSIGNED, .counter = counter};
    const struct sample *sample = &samples[counter - 1];
    event.slot.release = sample->digest;
    event.slot.manifest_size = strlen(sample->text);
    str_copy(event.slot.name, sizeof event.slot.name, "model");
    str_copy(event.slot.version, sizeof event.slot.version, sample->version);
    return advance(store, &event, out_action, err);
}

/* One step of the life; *out_event is what it ended with. */
static int act(struct store *store, enum install_action action, struct install_event *out_event,
               struct err *err)
{
    const struct install *install = &store_state(store)->install;
    const struct sample *sample = sample_of(&install->candidate.release);
    *out_event = (struct install_event){.now_ms = 1000};
    switch (action) {
    case INSTALL_DO_FETCH:
        out_event->kind = INSTALL_EV_FETCHED;
        return fetch(store, sample, err);
    case INSTALL_DO_VERIFY:
        out_event->kind = INSTALL_EV_VERIFIED;
        out_event->slot = install->candidate;
        return 0;
    case INSTALL_DO_SELF_TEST:
        out_event->kind = INSTALL_EV_SELF_TESTED;
        return 0;
    case INSTALL_DO_SHADOW:
        out_event->kind = INSTALL_EV_SHADOWED;
        return 0;
    case INSTALL_DO_ACTIVATE:
        out_event->kind = INSTALL_EV_ACTIVATED;
        return 0;
    case INSTALL_DO_WATCH: {
        bool bad = digest_equal(&install->current.release, &samples[2].digest);
        out_event->kind = bad ? INSTALL_EV_PROBATION_FAILED : INSTALL_EV_PROBATION_PASSED;
        return 0;
    }
    case INSTALL_DO_NOTHING:
    case INSTALL_DO_REFUSE_OLDER:
        break;
    }
    fail_msg("unexpected action %d", (int)action);
    return -1;
}

static int collect(struct store *store, struct err *err)
{
    uint64_t freed;
    return store_collect(store, &freed, err);
}

static int live(struct err *err)
{
    cleanup_store struct store *store = NULL;
    cleanup_forward struct forward *forward = NULL;
    cleanup_report_log struct report_log *log = NULL;
    bool recovered;
    if (store_open(work, &store, &recovered, err) < 0)
        return -1;
    cleanup_free char *path = store_path(store, "forward");
    const struct forward_options options = {.dir = path, .quota_bytes = 1 << 20, .boot = "1"};
    if (forward_open(&options, 0, &forward, err) < 0 || report_log_open(forward, NULL, &log, err) < 0)
        return -1;
    enum install_action action;
    struct install_event event = {.kind = INSTALL_EV_RESTARTED};
    if (advance(store, &event, &action, err) < 0)
        return -1;
    for (;;) {
        if (action == INSTALL_DO_NOTHING) {
            if (report(log, err) < 0 || collect(store, err) < 0)
                return -1;
            if (store_state(store)->install.assignment_counter == RELEASES)
                return 0;
            if (assign(store, &action, err) < 0)
                return -1;
            continue;
        }
        if (act(store, action, &event, err) < 0 || advance(store, &event, &action, err) < 0)
            return -1;
    }
}

/* Judging what a cut left. */

static void check_blob(const struct oci_descriptor *blob)
{
    struct digest_text text = digest_format(&blob->digest), found_text;
    cleanup_free char *path = mem_printf("%s/store/blobs/sha256/%s", work, digest_hex(&text));
    struct digest found;
    uint64_t size;
    struct err err = {0};
    assert_ok(hash_file(path, &found, &size, &err), err);
    found_text = digest_format(&found);
    assert_string_equal(found_text.text, text.text);
}

static void check_whole(const struct install_slot *slot)
{
    if (digest_is_zero(&slot->release))
        return;
    const struct sample *sample = sample_of(&slot->release);
    assert_non_null(sample);
    struct oci_descriptor manifest = {.digest = sample->digest, .size = strlen(sample->text)};
    check_blob(&manifest);
    check_blob(&sample->manifest.config);
    for (size_t i = 0; i < LAYERS; i++)
        check_blob(&sample->manifest.layers[i]);
}

static void check_after(bool at_rest)
{
    struct err err = {0};
    bool recovered = true;
    cleanup_store struct store *store = NULL;
    assert_ok(store_open(work, &store, &recovered, &err), err);
    assert_false(recovered);
    const struct install *install = &store_state(store)->install;
    check_whole(&install->current);
    check_whole(&install->previous);
    bool old = memcmp(install, &witness->states[witness->saved], sizeof *install) == 0;
    bool new = memcmp(install, &witness->states[witness->saved + 1], sizeof *install) == 0;
    if (!old && !new)
        fail_msg("state after save %d is neither the old nor the new one", witness->saved);
    cleanup_forward struct forward *forward = NULL;
    cleanup_report_log struct report_log *log = NULL;
    cleanup_free char *path = store_path(store, "forward");
    const struct forward_options options = {.dir = path, .quota_bytes = 1 << 20, .boot = "2"};
    assert_ok(forward_open(&options, 0, &forward, &err), err);
    assert_ok(report_log_open(forward, NULL, &log, &err), err);
    assert_true(report_log_last_seq(log) >= witness->reported);
    if (!at_rest)
        return;
    assert_true(digest_equal(&install->current.release, &samples[1].digest));
    assert_true(digest_equal(&install->blocked, &samples[2].digest));
    assert_int_equal(install->phase, INSTALL_IDLE);
}

static int count_name(const char *name, void *arg)
{
    (*(int *)arg)++;
    return 0;
}

/* B only; nothing half, nothing temporary. */
static void check_tidy(void)
{
    struct err err = {0};
    int blobs = 0, partials = 0;
    cleanup_free char *blob_dir = file_join(work, "store/blobs/sha256");
    cleanup_free char *partial_dir = file_join(work, "partial");
    assert_ok(file_list(blob_dir, count_name, &blobs, &err), err);
    assert_ok(file_list(partial_dir, count_name, &partials, &err), err);
    assert_int_equal(partials, 0);
    assert_int_equal(blobs, 1 + 1 + LAYERS);
}

static void start_anew(void)
{
    struct err err = {0};
    assert_ok(file_remove_tree(work, &err), err);
    assert_ok(file_remove_tree(graveyard, &err), err);
    assert_ok(file_make_dirs(graveyard, 0700, &err), err);
    *witness = (struct witness){0};
    bool recovered;
    cleanup_store struct store *store = NULL;
    assert_ok(store_open(work, &store, &recovered, &err), err);
    witness->states[0] = store_state(store)->install;
}

/* Lives until the cut, in a process of its own. True if the life came to its end first. */
static bool live_until(enum powercut_mode mode, long at)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct err err = {0};
        powercut_arm(mode, at, graveyard);
        int rc = live(&err);
        if (rc < 0 && err.code != ERR_NO_SPACE)
            fprintf(stderr, "cut %ld: %s\n", at, err.text);
        _exit(rc == 0 ? 0 : err.code == ERR_NO_SPACE ? CUT_STATUS : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT_STATUS);
    return WEXITSTATUS(status) == 0;
}

static void enumerate(enum powercut_mode mode)
{
    struct err err = {0};
    long at = 1;
    for (;; at++) {
        start_anew();
        bool done = live_until(mode, at);
        check_after(done);
        if (done)
            break;
        *witness = (struct witness){0};
        assert_ok(live(&err), err); /* a second start finishes what the first began */
        check_tidy();
    }
    assert_true(at > 100);
    print_message("%ld cuts\n", at - 1);
}

static void a_kill_anywhere_leaves_old_or_new(void **state)
{
    enumerate(CUT_KILL);
}

static void a_power_cut_anywhere_leaves_old_or_new(void **state)
{
    enumerate(CUT_POWER);
}

static void a_full_disk_anywhere_changes_nothing_in_use(void **state)
{
    enumerate(CUT_ENOSPC);
}

/* The test can fail: data written without fsync is really lost at a cut, synced data is not. */
static void the_power_cut_loses_what_was_not_synced(void **state)
{
    char lost[96], kept[96], base_dir[64];
    snprintf(base_dir, sizeof base_dir, "%s/self", base);
    snprintf(lost, sizeof lost, "%s/lost", base_dir);
    snprintf(kept, sizeof kept, "%s/kept", base_dir);
    struct err err = {0};
    assert_ok(file_make_dirs(base_dir, 0700, &err), err);
    assert_ok(file_make_dirs(graveyard, 0700, &err), err);
    pid_t child = fork();
    if (child == 0) {
        powercut_arm(CUT_POWER, 100, graveyard);
        if (file_replace(kept, "kept", 4, 0600, &err) < 0)
            _exit(1);
        FILE *file = fopen(lost, "w");
        if (!file || fclose(file) != 0 || rename(kept, lost) < 0)
            _exit(1);
        for (int i = 0; i < 200; i++)
            rename(lost, lost);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), CUT_STATUS);
    assert_true(file_exists(kept));
}

static int set_up(void **state)
{
    snprintf(base, sizeof base, "%s/muster-crash-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(base));
    snprintf(work, sizeof work, "%s/work", base);
    snprintf(graveyard, sizeof graveyard, "%s/graves", base);
    witness = mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(witness != MAP_FAILED);
    for (uint32_t i = 0; i < RELEASES; i++)
        make_sample(&samples[i], i);
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    for (size_t i = 0; i < RELEASES; i++)
        free(samples[i].text);
    assert_ok(file_remove_tree(base, &err), err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_power_cut_loses_what_was_not_synced),
        cmocka_unit_test(a_kill_anywhere_leaves_old_or_new),
        cmocka_unit_test(a_power_cut_anywhere_leaves_old_or_new),
        cmocka_unit_test(a_full_disk_anywhere_changes_nothing_in_use),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
