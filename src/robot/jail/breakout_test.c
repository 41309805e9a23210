/* A hostile program in the place of muster-runner, in the very same jail, once for every kind of wall that this machine has: it
 * must fail in all it tries (hostile.c). Prints the table: attempts down, walls across. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/image.h"
#include "robot/jail/door.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/memfd.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { MAX_LINES = 160, RUN_MS = 60000 };

static char dir[PATH_MAX], run_dir[PATH_MAX], store[PATH_MAX], secret[PATH_MAX], host_socket[PATH_MAX];
static char release_text[80], other_hex[80], port_text[8], victim_text[16];
static pid_t victim;
static int guard_sock = -1, sealed = -1;

/* ---- the world outside ---- */

static void make_release(void)
{
    struct err err = {0};
    cleanup_buf struct buf json = BUF_INIT(1 << 16);
    cleanup_free struct oci_manifest *manifest = mem_zalloc(1, sizeof *manifest);
    assert_ok(file_read(MUSTER_SOURCE_DIR "/fuzz/corpora/release_json/detector.json", &json, &err), err);
    assert_ok(layout_init(store, &err), err);
    struct oci_descriptor *layer = &manifest->layers[0];
    manifest->layer_count = 1;
    str_copy(layer->media_type, sizeof layer->media_type, MUSTER_RELEASE_TYPE);
    str_copy(layer->filepath, sizeof layer->filepath, "release.json");
    layer->size = json.len;
    assert_ok(layout_add_blob(store, json.data, json.len, &layer->digest, &err), err);
    str_copy(manifest->artifact_type, sizeof manifest->artifact_type, MODELPACK_ARTIFACT_TYPE);
    str_copy(manifest->config.media_type, sizeof manifest->config.media_type, MODELPACK_CONFIG_TYPE);
    manifest->config.size = 2;
    assert_ok(layout_add_blob(store, "{}", 2, &manifest->config.digest, &err), err);
    cleanup_free char *text = oci_manifest_format(manifest);
    struct oci_descriptor item = {.size = strlen(text)};
    str_copy(item.media_type, sizeof item.media_type, OCI_MANIFEST_TYPE);
    str_copy(item.artifact_type, sizeof item.artifact_type, MODELPACK_ARTIFACT_TYPE);
    assert_ok(layout_add_blob(store, text, item.size, &item.digest, &err), err);
    assert_ok(layout_add_manifest(store, &item, &err), err);
    str_copy(release_text, sizeof release_text, digest_format(&item.digest).text);
    struct digest other;
    assert_ok(layout_add_blob(store, "another release", 15, &other, &err), err);
    struct digest_text other_text = digest_format(&other);
    str_copy(other_hex, sizeof other_hex, digest_hex(&other_text));
}

static int listen_unix(const char *path, size_t skip, int type)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof at;
    str_copy(at.sun_path + skip, sizeof at.sun_path - skip, path);
    if (skip)
        len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + strlen(path));
    assert_int_equal(bind(sock, (const struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(sock, 8), 0);
    return sock;
}

static void listen_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(sock, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(sock, 8), 0);
    assert_int_equal(getsockname(sock, (struct sockaddr *)&at, &len), 0);
    snprintf(port_text, sizeof port_text, "%u", ntohs(at.sin_port));
}

/* A region as the ring makes them: written by its maker, sealed against everybody else. */
static void make_sealed(void)
{
    sealed = memfd_create("frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(sealed, 8192), 0);
    assert_int_equal(
        fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
}

static void start_victim(void)
{
    victim = fork();
    if (victim == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    snprintf(victim_text, sizeof victim_text, "%d", (int)victim);
}

static int make_world(void **state)
{
    struct err err = {0};
    char path[] = "/tmp/muster-breakout-XXXXXX";
    assert_non_null(mkdtemp(path));
    str_copy(dir, sizeof dir, path);
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(run_dir, sizeof run_dir, "%s/run", path);
    snprintf(store, sizeof store, "%s/store", path);
    snprintf(secret, sizeof secret, "%s/everybody.key", path);
    snprintf(host_socket, sizeof host_socket, "%s/agent.sock", path);
    assert_ok(file_make_dirs(run_dir, 0700, &err), err);
    assert_ok(file_replace(secret, "key", 3, 0644, &err), err);
    make_release();
    make_sealed();
    start_victim();
    listen_port();
    listen_unix(host_socket, 0, SOCK_STREAM);
    listen_unix(host_socket, 1, SOCK_STREAM);
    cleanup_free char *guard = file_join(run_dir, "guard.sock");
    cleanup_free char *log = file_join(run_dir, "guard.log");
    guard_sock = listen_unix(guard, 0, SOCK_SEQPACKET);
    assert_int_equal(chmod(guard, 0666), 0);
    assert_ok(file_replace(log, "log", 3, 0644, &err), err);
    assert_ok(door_make(run_dir, &err), err);
    assert_ok(door_open(run_dir, &err), err);
    return 0;
}

static int end_world(void **state)
{
    struct err err = {0};
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    return file_remove_tree(dir, &err);
}

/* Hands the sealed region to whoever knocks. */
static void serve_door(void)
{
    struct pollfd wait = {.fd = guard_sock, .events = POLLIN};
    if (poll(&wait, 1, 20) <= 0)
        return;
    cleanup_close int peer = accept4(guard_sock, NULL, NULL, SOCK_CLOEXEC);
    char byte = 'x';
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(head), &sealed, sizeof sealed);
    (void)sendmsg(peer, &message, MSG_NOSIGNAL);
}

/* ---- one jail ---- */

struct wall {
    const char *name;
    const char *runtime; /* NULL: the sandbox */
};
static const struct wall walls[] = {
    {"sandbox", NULL}, {"oci-runc", "/usr/sbin/runc"}, {"oci-crun", "/usr/bin/crun"}};

/* In a container that allows no namespaces there is nothing to be tried. */
static bool namespaces_allowed(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0
                  ? 0
                  : 1);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* crun does not work without root where cgroups of both versions are mounted. */
static bool is_here(const struct wall *wall)
{
    if (!namespaces_allowed())
        return false;
    if (wall->runtime && str_ends(wall->runtime, "crun") && geteuid() != 0)
        return false;
    return !wall->runtime || access(wall->runtime, X_OK) == 0;
}

static unsigned namespaces(const struct wall *wall)
{
    if (wall->runtime)
        return 0;
    return CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
}

/* *out_status: of waitpid. False: this machine does not let us put these walls up (an unprivileged container). */
static bool run_hostile(const struct wall *wall, const char *devour, const char *log, int *out_status)
{
    struct err err = {0};
    pid_t pid;
    const char *argv[40] = {MUSTER_BUILD_BIN "/muster-jail",
                            "--run-dir",
                            run_dir,
                            "--store",
                            store,
                            "--release",
                            release_text,
                            "--generation",
                            "7",
                            "--runner",
                            HOSTILE};
    size_t count = 11;
    if (wall->runtime) {
        argv[count++] = "--oci";
        argv[count++] = wall->runtime;
    } else if (geteuid() != 0) {
        argv[count++] = "--user-namespace";
    }
    const char *const rest[] = {"--",      "--victim", victim_text, "--secret",
                                secret,    "--socket", host_socket, "--port",
                                port_text, "--other",  other_hex,   devour ? "--devour" : NULL,
                                devour};
    for (size_t i = 0; i < ARRAY_LEN(rest) && rest[i]; i++)
        argv[count++] = rest[i];
    struct proc_options options = {
        .argv = argv, .log_path = log, .keep_fd = -1, .namespaces = namespaces(wall)};
    unlink(log);
    if (proc_spawn(&options, &pid, &err) < 0)
        return false;
    int64_t until_ms = clock_mono_ms() + RUN_MS;
    while (waitpid(pid, out_status, WNOHANG) == 0) {
        serve_door();
        if (clock_mono_ms() > until_ms)
            kill(pid, SIGKILL);
    }
    return true;
}

/* ---- the table ---- */

static char table[ARRAY_LEN(walls)][MAX_LINES][64]; /* verdicts */
static char names[MAX_LINES][64];
static size_t lines;

static size_t line_of(const char *name)
{
    for (size_t i = 0; i < lines; i++)
        if (str_eq(names[i], name))
            return i;
    assert_true(lines < MAX_LINES);
    str_copy(names[lines], sizeof names[lines], name);
    return lines++;
}

static size_t read_table(size_t wall, const char *log)
{
    struct err err = {0};
    size_t found = 0;
    cleanup_buf struct buf text = BUF_INIT(64 << 20);
    assert_ok(file_read(log, &text, &err), err);
    cleanup_free char *all = buf_take(&text);
    char *rest = all;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *tab = strchr(line, '\t');
        if (!tab)
            continue;
        *tab = '\0';
        str_copy(table[wall][line_of(line)], sizeof table[wall][0], tab + 1);
        found++;
    }
    return found;
}

static void print_table(void)
{
    printf("\n%-40s", "attempt");
    for (size_t wall = 0; wall < ARRAY_LEN(walls); wall++)
        printf("  %-34s", walls[wall].name);
    for (size_t i = 0; i < lines; i++) {
        printf("\n%-40s", names[i]);
        for (size_t wall = 0; wall < ARRAY_LEN(walls); wall++)
            printf("  %-34s", is_here(&walls[wall]) ? table[wall][i] : "(not on this machine)");
    }
    printf("\n");
}

/* ---- tests ---- */

static void nothing_gets_out(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(walls); i++) {
        int status = -1;
        cleanup_free char *log = file_join(dir, walls[i].name);
        if (!is_here(&walls[i])) {
            printf("%s: not on this machine, or not allowed; not tried\n", walls[i].name);
            continue;
        }
        if (!run_hostile(&walls[i], NULL, log, &status)) {
            printf("%s: namespaces are not allowed here, not tried\n", walls[i].name);
            continue;
        }
        size_t found = read_table(i, log);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || found < 85) {
            print_table();
            fail_msg("%s: status %x, %zu lines; see %s", walls[i].name, (unsigned)status, found, log);
        }
    }
    print_table();
    assert_int_equal(kill(victim, 0), 0); /* it stands */
}

/* It is refused more, or it is killed; it never gets what it wants. */
static void nothing_is_devoured(const char *what)
{
    for (size_t i = 0; i < ARRAY_LEN(walls); i++) {
        int status = 1 << 8;
        cleanup_free char *log = mem_printf("%s/%s-%s", dir, walls[i].name, what);
        if (!is_here(&walls[i]) || (geteuid() != 0 && walls[i].runtime) ||
            !run_hostile(&walls[i], what, log, &status))
            continue;
        bool killed = WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 128);
        bool refused = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        printf("%s: %s %s\n", walls[i].name, what, killed ? "killed" : refused ? "refused" : "TAKEN");
        assert_true(killed || refused);
    }
}

static void memory_ends(void **state)
{
    nothing_is_devoured("memory");
}

static void threads_end(void **state)
{
    nothing_is_devoured("threads");
}

static void a_log_cannot_fill_the_disk(void **state)
{
    nothing_is_devoured("log");
}

static void other_numbers_are_no_way(void **state)
{
    nothing_is_devoured("x32");
}

static void a_jail_leaves_nothing_behind(void **state)
{
    int status = -1;
    cleanup_free char *log = file_join(dir, "again");
    for (size_t i = 0; i < ARRAY_LEN(walls); i++)
        if (is_here(&walls[i]) && run_hostile(&walls[i], "nothing", log, &status)) {
            cleanup_free char *jails = file_join(run_dir, "jail");
            struct stat st;
            assert_int_equal(stat(jails, &st), 0);
            assert_true(st.st_nlink <= 3); /* itself, its parent's entry, state/ */
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gets_out),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(threads_end),
        cmocka_unit_test(a_log_cannot_fill_the_disk),
        cmocka_unit_test(other_numbers_are_no_way),
        cmocka_unit_test(a_jail_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
