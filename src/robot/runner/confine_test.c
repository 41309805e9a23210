/* What a confined process can no longer do, each tried in a child of its own. */
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/runner/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char missing[128];

/* True if `attempt` is denied after confine_self. */
static bool denied(int (*attempt)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        confine_self(missing, sizeof missing);
        errno = 0;
        _exit(attempt() < 0 && (errno == EPERM || errno == EACCES) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int inet_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int inet6_socket(void)
{
    return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static int run_a_shell(void)
{
    return execl("/bin/sh", "sh", "-c", "true", (char *)NULL);
}

static int write_a_file(void)
{
    return open("/tmp/muster-confine-test", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static int read_a_file(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int read_own_program(void)
{
    return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int make_a_hidden_file(void)
{
    return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int fork_a_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid;
}

static int send_a_signal(void)
{
    return kill(getppid(), SIGCONT);
}

static int leave_a_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static int change_own_image(void)
{
    unsigned size = 0; /* only asks, which anybody may; where the kernel lacks it, it is refused anyway */
    return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0);
}

static int take_a_descriptor(void)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return pid_fd < 0 ? 0 : (int)syscall(SYS_pidfd_getfd, pid_fd, STDIN_FILENO, 0);
}

static char precious[] = "/tmp/muster-confine-XXXXXX";

static int truncate_a_file(void)
{
    return truncate(precious, 0);
}

static int truncate_by_opening(void)
{
    return open(precious, O_RDONLY | O_TRUNC | O_CLOEXEC);
}

static void *nothing(void *arg)
{
    return arg;
}

static int still_needed(void)
{
    int unix_socket = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int guard = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC), memory = memfd_create("results", 0);
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pthread_t thread;
    bool threads = pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
    if (unix_socket >= 0 && guard >= 0 && tasks >= 0 && memory >= 0 && threads)
        errno = EPERM; /* "denied" means: all is well */
    return -1;
}

static void no_network_no_programs_no_files(void **state)
{
    assert_true(denied(inet_socket));
    assert_true(denied(inet6_socket));
    assert_true(denied(packet_socket));
    assert_true(denied(run_a_shell));
    assert_true(denied(change_own_image));
    assert_true(denied(take_a_descriptor));
    assert_true(denied(fork_a_process));
    assert_true(denied(send_a_signal));
    assert_true(denied(leave_a_namespace));
    assert_true(denied(read_a_file));
    assert_true(denied(read_own_program));
    assert_true(denied(make_a_hidden_file));
    assert_true(denied(still_needed));
}

static void no_new_files_where_the_kernel_has_landlock(void **state)
{
    bool refused = denied(write_a_file);
    if (!refused) {
        assert_int_equal(unlink("/tmp/muster-confine-test"), 0);
        skip();
    }
}

static off_t precious_size(void)
{
    struct stat st;
    assert_int_equal(stat(precious, &st), 0);
    return st.st_size;
}

static void no_file_is_emptied(void **state)
{
    cleanup_close int fd = mkstemp(precious);
    assert_int_equal(write(fd, "blob", 4), 4);
    assert_true(denied(truncate_a_file));
    assert_int_equal(precious_size(), 4);
    bool kept = denied(truncate_by_opening);
    assert_int_equal(precious_size(), kept ? 4 : 0);
    unlink(precious);
    if (!kept)
        skip(); /* Landlock is missing here, or older than its third version */
}

/* ---- building an engine ---- */

static char build_dir[] = "/tmp/muster-build-XXXXXX";

static bool build_denied(int (*attempt)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        confine_build(build_dir, missing, sizeof missing);
        errno = 0;
        _exit(attempt() < 0 && (errno == EPERM || errno == EACCES) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int write_into_the_cache(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/engine", build_dir);
    cleanup_close int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : unlink(path);
}

static int run_a_program(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run_a_shell() < 0 ? 9 : 0);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void whoever_builds_writes_only_the_cache_and_has_no_network(void **state)
{
    assert_non_null(mkdtemp(build_dir));
    assert_true(build_denied(inet_socket));
    assert_true(build_denied(inet6_socket));
    assert_true(build_denied(packet_socket));
    assert_false(build_denied(write_into_the_cache));
    assert_false(build_denied(run_a_program));
    bool refused = build_denied(write_a_file);
    assert_int_equal(rmdir(build_dir), 0);
    if (!refused) {
        assert_int_equal(unlink("/tmp/muster-confine-test"), 0);
        skip(); /* no Landlock here */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_network_no_programs_no_files),
        cmocka_unit_test(no_new_files_where_the_kernel_has_landlock), cmocka_unit_test(no_file_is_emptied),
        cmocka_unit_test(whoever_builds_writes_only_the_cache_and_has_no_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
