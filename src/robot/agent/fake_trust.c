#include "robot/agent/fake_trust.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/image.h"
#include "sys/file.h"
#include "trust/approval.h"
#include "trust/assignment.h"
#include "trust/keyring.h"
#include "wire/director.h"

#include <pthread.h>

enum { MAX_FILES = 512 };

static struct {
    pthread_mutex_t lock;
    struct tuf_mock *mock;
    struct tuf_signer *director, *thief;
    struct assignment assignment;
    bool assigned, forged, outage;
    size_t approval_count;
    char *approvals[ASSIGNMENT_MAX_APPROVALS];
    char *instead; /* of the director's answer */
    struct file_book {
        char name[96];
        int status, times;
        unsigned requests;
    } files[MAX_FILES];
} trust = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct tuf_mock *trust_enter(void)
{
    pthread_mutex_lock(&trust.lock);
    return trust.mock;
}

void trust_leave(void)
{
    const struct err *err = tuf_mock_error(trust.mock);
    if (err->code != ERR_NONE)
        fail_msg("%s", err->text);
    pthread_mutex_unlock(&trust.lock);
}

/* ---- the server's part ---- */

static struct file_book *book(const char *name)
{
    for (size_t i = 0; i < MAX_FILES; i++) {
        if (!trust.files[i].name[0])
            str_copy(trust.files[i].name, sizeof trust.files[i].name, name);
        if (str_eq(trust.files[i].name, name))
            return &trust.files[i];
    }
    fail_msg("too many files");
    return NULL;
}

static void get_metadata(const char *name, struct buf *out, int *out_status)
{
    struct err err = {0};
    pthread_mutex_lock(&trust.lock);
    struct file_book *file = book(name);
    const struct buf *bytes = tuf_mock_file(trust.mock, name);
    file->requests++;
    *out_status = trust.outage ? 503 : file->times > 0 ? file->status : bytes ? 200 : 404;
    file->times -= file->times > 0;
    if (bytes)
        assert_ok(buf_put(out, bytes->data, bytes->len, &err), err);
    pthread_mutex_unlock(&trust.lock);
}

static char *sign(void)
{
    struct err err = {0};
    const struct tuf_signer *signer = trust.forged ? trust.thief : trust.director;
    char *text = assignment_sign(&trust.assignment, &signer, 1, &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}

static char *answer(void)
{
    if (trust.instead)
        return mem_strdup(trust.instead);
    cleanup_free char *envelope = sign();
    return director_answer_format(envelope, (const char *const *)trust.approvals, trust.approval_count);
}

/* Under the lock. NULL: it is held on. */
static char *answer_after(uint64_t after)
{
    if (!trust.assigned || (trust.assignment.version <= after && after != 0 && !trust.instead))
        return NULL;
    return answer();
}

static void get_director(const char *query, struct buf *out, int *out_status)
{
    struct err err = {0};
    uint64_t after = strtoull(query + strlen("after="), NULL, 10);
    char *text = NULL;
    for (int i = 0; i < 10 && !text && !fleet_stopping(); i++) {
        pthread_mutex_lock(&trust.lock);
        if (i == 0)
            book("director")->requests++;
        text = trust.outage ? mem_strdup("") : answer_after(after);
        *out_status = trust.outage ? 503 : text ? 200 : 204;
        pthread_mutex_unlock(&trust.lock);
        if (!text)
            usleep(20000);
    }
    if (text)
        assert_ok(buf_puts(out, text, &err), err);
    free(text);
}

static bool part(const char *path, const char *query, struct buf *out, int *out_status)
{
    static const char metadata[] = "/api/v1/tuf/";
    if (str_eq(path, "/api/v1/director"))
        get_director(query, out, out_status);
    else if (str_starts(path, metadata))
        get_metadata(path + strlen(metadata), out, out_status);
    else
        return false;
    return true;
}

/* ---- the fleet's root ---- */

static void name_director(void)
{
    const struct tuf_key *key = tuf_signer_public(trust.director);
    tuf_mock_set(trust.mock, "root", "/x-muster",
                 "{\"fleet\": \"" TRUST_FLEET "\", \"director\": {\"keyids\": [\"%s\"], \"threshold\": 1}}",
                 key->id);
    char place[160];
    snprintf(place, sizeof place, "/keys/%s", key->id);
    tuf_mock_set(trust.mock, "root", place,
                 "{\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": {\"public\": \"%s\"}}",
                 key->public_text);
}

static struct tuf_signer *new_signer(void)
{
    struct err err = {0};
    struct tuf_signer *signer = NULL;
    assert_ok(tuf_signer_generate(TUF_ED25519, &signer, &err), err);
    return signer;
}

void trust_start(const char *root_path)
{
    struct err err = {0};
    trust.mock = tuf_mock_new(clock_wall_ms() / 1000);
    trust.director = new_signer();
    trust.thief = new_signer();
    name_director();
    tuf_mock_publish(trust.mock, "root");
    char name[32];
    snprintf(name, sizeof name, "%d.root.json", (int)tuf_mock_version(trust.mock, "root"));
    const struct buf *root = tuf_mock_file(trust.mock, name);
    assert_non_null(root);
    assert_ok(file_replace(root_path, root->data, root->len, 0600, &err), err);
    fleet_extend(part);
}

void trust_stop(void)
{
    pthread_mutex_lock(&trust.lock);
    fleet_extend(NULL);
    trust_no_approvals();
    free(TAKE_PTR(trust.instead));
    tuf_mock_free(TAKE_PTR(trust.mock));
    tuf_signer_free(TAKE_PTR(trust.director));
    tuf_signer_free(TAKE_PTR(trust.thief));
    trust.assigned = trust.forged = trust.outage = false;
    trust.assignment = (struct assignment){0};
    memset(trust.files, 0, sizeof trust.files);
    pthread_mutex_unlock(&trust.lock);
}

static void rotate_director(void)
{
    char place[160];
    snprintf(place, sizeof place, "/keys/%s", tuf_signer_public(trust.director)->id);
    tuf_mock_drop(trust.mock, "root", place);
    tuf_signer_free(trust.director);
    trust.director = new_signer();
}

void trust_rotate(const char *role)
{
    trust_enter();
    if (str_eq(role, "director"))
        rotate_director();
    else
        tuf_mock_rotate(trust.mock, "root", role);
    name_director();
    tuf_mock_publish(trust.mock, "root");
    if (str_eq(role, "targets"))
        tuf_mock_publish(trust.mock, "targets");
    tuf_mock_sync(trust.mock, "snapshot");
    tuf_mock_publish(trust.mock, "snapshot");
    tuf_mock_sync(trust.mock, "timestamp");
    tuf_mock_publish(trust.mock, "timestamp");
    trust_leave();
}

/* ---- releases ---- */

static void set_custom(const char *path, const char *custom)
{
    char place[200], escaped[160] = "";
    for (const char *c = path; *c; c++)
        snprintf(escaped + strlen(escaped), sizeof escaped - strlen(escaped), *c == '/' ? "~1" : "%c", *c);
    snprintf(place, sizeof place, "/targets/%s/custom", escaped);
    if (custom)
        tuf_mock_set(trust.mock, "targets", place, "%s", custom);
}

void trust_release_custom(const struct made *made, const char *custom)
{
    struct err err = {0};
    char path[100];
    cleanup_buf struct buf manifest = BUF_INIT(1 << 20);
    cleanup_free char *blob = image_blob_path(fleet_layout(), &made->digest);
    snprintf(path, sizeof path, "detector/%s", made->version);
    assert_ok(file_read(blob, &manifest, &err), err);
    trust_enter();
    tuf_mock_target(trust.mock, "targets", path, manifest.data, manifest.len);
    set_custom(path, custom);
    tuf_mock_release(trust.mock);
    trust_leave();
}

void trust_release(const struct made *made, void (*change)(struct terms *terms))
{
    struct terms terms = {.kind = TERMS_RELEASE, .fleet = TRUST_FLEET};
    if (change)
        change(&terms);
    cleanup_free char *custom = terms_format(&terms);
    trust_release_custom(made, custom);
}

static struct digest add_blob(const void *data, size_t len)
{
    struct err err = {0};
    struct digest digest;
    assert_ok(layout_add_blob(fleet_layout(), data, len, &digest, &err), err);
    return digest;
}

void trust_operators(const char *const *names, struct signing_key *const *keys, size_t count)
{
    struct err err = {0};
    struct keyring ring = {0};
    struct terms terms = {.kind = TERMS_OPERATORS, .fleet = TRUST_FLEET};
    for (size_t i = 0; i < count; i++) {
        struct public_key half;
        signing_key_public(keys[i], &half);
        assert_ok(keyring_add(&ring, &half, names[i], &err), err);
    }
    cleanup_free char *text = keyring_format(&ring), *custom = terms_format(&terms);
    add_blob(text, strlen(text));
    trust_enter();
    tuf_mock_target(trust.mock, "targets", TERMS_OPERATORS_PATH, text, strlen(text));
    set_custom(TERMS_OPERATORS_PATH, custom);
    tuf_mock_release(trust.mock);
    trust_leave();
}

struct digest trust_plan(const struct made *made, const char *robot)
{
    const char *const robots[] = {robot};
    const struct plan_wave wave = {.name = "all", .robots = robots, .count = 1};
    cleanup_free char *text = plan_format(&made->digest, "detector", made->version, "test", &wave, 1);
    return add_blob(text, strlen(text));
}

/* ---- the director ---- */

static void assign(const struct made *made, void (*change)(struct assignment *assignment), bool forged)
{
    int64_t now_s = clock_wall_ms() / 1000;
    pthread_mutex_lock(&trust.lock);
    struct assignment next = {.version = trust.assignment.version + 1,
                              .issued_s = now_s,
                              .expires_s = now_s + 7 * TRUST_DAY_S,
                              .fleet = TRUST_FLEET,
                              .robot = "r1"};
    if (made) {
        snprintf(next.path, sizeof next.path, "detector/%s", made->version);
        next.length = made->size;
        next.release = made->digest;
    }
    if (change)
        change(&next);
    trust.assignment = next;
    trust.assigned = true;
    trust.forged = forged;
    pthread_mutex_unlock(&trust.lock);
}

void trust_assign(const struct made *made, void (*change)(struct assignment *assignment))
{
    assign(made, change, false);
}

void trust_assign_forged(const struct made *made)
{
    assign(made, NULL, true);
}

static void is_rollback(struct assignment *assignment)
{
    assignment->rollback = true;
}

void trust_want(const struct made *made, bool rollback)
{
    trust_release(made, NULL);
    trust_assign(made, rollback ? is_rollback : NULL);
}

void trust_renew(void)
{
    pthread_mutex_lock(&trust.lock);
    trust.assignment.version++;
    trust.assignment.expires_s += TRUST_DAY_S;
    pthread_mutex_unlock(&trust.lock);
}

void trust_say(const char *text)
{
    pthread_mutex_lock(&trust.lock);
    free(trust.instead);
    trust.instead = text ? mem_strdup(text) : NULL;
    pthread_mutex_unlock(&trust.lock);
}

char *trust_answer(void)
{
    pthread_mutex_lock(&trust.lock);
    char *text = answer();
    pthread_mutex_unlock(&trust.lock);
    return text;
}

uint64_t trust_version(void)
{
    pthread_mutex_lock(&trust.lock);
    uint64_t version = trust.assignment.version;
    pthread_mutex_unlock(&trust.lock);
    return version;
}

void trust_approve(const struct made *made, const char *who, const struct signing_key *key,
                   void (*change)(struct approval *approval))
{
    struct err err = {0};
    int64_t now_ms = clock_wall_ms();
    struct approval approval = {.fleet = TRUST_FLEET,
                                .release = made->digest,
                                .name = "detector",
                                .reason = "reviewed",
                                .issued_ms = now_ms,
                                .expires_ms = now_ms + TRUST_DAY_S * 1000LL};
    str_copy(approval.version, sizeof approval.version, made->version);
    str_copy(approval.operator_name, sizeof approval.operator_name, who);
    pthread_mutex_lock(&trust.lock);
    approval.plan = trust.assignment.plan;
    if (change)
        change(&approval);
    char *text = approval_sign(&approval, key, &err);
    if (!text || trust.approval_count == ASSIGNMENT_MAX_APPROVALS)
        fail_msg("%s", err.text);
    trust.approvals[trust.approval_count++] = text;
    pthread_mutex_unlock(&trust.lock);
}

void trust_no_approvals(void)
{
    while (trust.approval_count > 0)
        free(trust.approvals[--trust.approval_count]);
}

/* ---- faults ---- */

void trust_fault(const char *name, int status, int times)
{
    pthread_mutex_lock(&trust.lock);
    book(name)->status = status;
    book(name)->times = times;
    pthread_mutex_unlock(&trust.lock);
}

unsigned trust_requests(const char *name)
{
    pthread_mutex_lock(&trust.lock);
    unsigned requests = book(name)->requests;
    pthread_mutex_unlock(&trust.lock);
    return requests;
}

void trust_outage(bool on)
{
    pthread_mutex_lock(&trust.lock);
    trust.outage = on;
    pthread_mutex_unlock(&trust.lock);
}
