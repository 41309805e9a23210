/* The guard's socket from its callers' side, where the system refuses something: one clear error of the right kind, and no
 * descriptor left behind. */
#include "base/mem.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"
#include "robot/testbed/testbed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static int pair[2];

static int setup(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    for (int i = 0; i < 2; i++) {
        mem_cleanup_close(&pair[i]);
        pair[i] = -1;
    }
    return 0;
}

/* ---- dialling ---- */

static char dir[64];
static int listener = -1;

/* Somebody listens there; with `queue` 0 only one may wait. */
static int listen_there(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(dir, "/tmp/muster-ctl-XXXXXX", 23);
    assert_non_null(mkdtemp(dir));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/guard.sock", dir);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    return 0;
}

static int listen_no_more(void **state)
{
    char path[96];
    mem_cleanup_close(&listener);
    listener = -1;
    snprintf(path, sizeof path, "%s/guard.sock", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}

static void whatever_fails_dialling_leaves_nothing(void **state)
{
    static const struct {
        const char *name;
        int error;
        enum err_code code;
    } rows[] = {{"open", ENOENT, ERR_NOT_FOUND},      {"open", EACCES, ERR_DENIED},
                {"socket", EMFILE, ERR_IO},           {"connect", ECONNREFUSED, ERR_UNREACHABLE},
                {"connect", EACCES, ERR_DENIED},      {"connect", EAGAIN, ERR_BUSY},
                {"connect", ENOENT, ERR_UNREACHABLE}, {"getsockopt", EIO, ERR_IO}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        int fd = -1, fds = testbed_fds();
        testbed_fail_call(rows[i].name, 1, 1, rows[i].error);
        assert_fails(ctl_dial(dir, &fd, &err), err, rows[i].code);
        assert_true(testbed_stop());
        assert_non_null(strstr(err.text, rows[i].name[0] == 's' ? "socket" : dir));
        assert_int_equal(fd, -1);
        assert_int_equal(testbed_fds(), fds);
    }
}

static void a_full_house_is_busy(void **state)
{
    struct err err = {0};
    int first = -1, second = -1;
    assert_ok(ctl_dial(dir, &first, &err), err);
    assert_fails(ctl_dial(dir, &second, &err), err, ERR_BUSY);
    assert_int_equal(second, -1);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(first, F_GETFL) & O_NONBLOCK);
    close(first);
}

/* A guard of this user or of root's; for an agent or an operator none but their own. (Root is needed to be somebody else.) */
static int connect_as(uid_t owner, uid_t caller, bool as_agent)
{
    pid_t guard = fork();
    if (guard == 0) {
        if (setresuid(owner, owner, owner) < 0 ||
            listen(listener, 4) < 0) /* SO_PEERCRED: who called listen() last */
            _exit(1);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(guard, &status, 0), guard);
    assert_int_equal(status, 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        int fd = -1;
        if (setresuid(caller, caller, caller) < 0)
            _exit(99);
        int done = as_agent ? ctl_connect(dir, CTL_ROLE_AGENT, &fd, &err) : ctl_dial(dir, &fd, &err);
        _exit(done < 0 ? (int)err.code : 0);
    }
    int own = -1; /* answers WELCOME to whoever comes */
    for (int i = 0; as_agent && own < 0 && i < 400; i++) {
        own = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        struct ctl_message welcome;
        struct err err = {0};
        ctl_message_init(&welcome, CTL_WELCOME);
        if (own >= 0)
            (void)!ctl_send(own, &welcome, NULL, &err);
        else
            poll(NULL, 0, 1);
        if (waitpid(pid, &status, WNOHANG) == pid)
            pid = 0;
    }
    if (pid)
        assert_int_equal(waitpid(pid, &status, 0), pid);
    mem_cleanup_close(&own);
    while ((own = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(own);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void only_the_right_users_guard_is_one(void **state)
{
    enum { ANN = 65530, BOB = 65531 };
    char path[96];
    if (geteuid() != 0)
        skip();
    snprintf(path, sizeof path, "%s/guard.sock", dir);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(connect_as(0, 0, false), 0);
    assert_int_equal(connect_as(0, 0, true), 0);
    assert_int_equal(connect_as(0, ANN, false), 0); /* root's guard may have runners of another user */
    assert_int_equal(connect_as(0, ANN, true), ERR_UNTRUSTED);
    assert_int_equal(connect_as(BOB, ANN, false), ERR_UNTRUSTED);
    assert_int_equal(connect_as(BOB, 0, false), ERR_UNTRUSTED);
    assert_int_equal(connect_as(ANN, ANN, true), 0);
}

/* Root's guard is everybody's to dial, and only root's to give orders. */
static void roots_guard_has_runners_of_other_users(void **state)
{
    struct err err = {0};
    char path[96];
    int fd = -1;
    snprintf(path, sizeof path, "%s/guard.sock", dir);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(path, 0777), 0);
    uid_t was = geteuid();
    assert_true(was != 0 || seteuid(65534) == 0);
    testbed_peer(0);
    assert_ok(ctl_dial(dir, &fd, &err), err);
    close(fd);
    close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    fd = -1;
    assert_fails(ctl_connect(dir, CTL_ROLE_AGENT, &fd, &err), err, ERR_UNTRUSTED);
    assert_int_equal(fd, -1);
    testbed_peer(-1);
    assert_int_equal(seteuid(was), 0);
}

/* The same by the kernel's word alone, for whoever is not root. */
static void a_stranger_is_no_guard(void **state)
{
    struct err err = {0};
    int fd = -1;
    testbed_peer(geteuid() + 1);
    assert_fails(ctl_dial(dir, &fd, &err), err, ERR_UNTRUSTED);
    assert_int_equal(fd, -1);
    close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    testbed_peer(geteuid());
    assert_ok(ctl_dial(dir, &fd, &err), err);
    close(fd);
    testbed_peer(-1);
}

static void a_connection_that_fails_later_leaves_nothing(void **state)
{
    static const struct {
        const char *name;
        unsigned nth;
        int error;
        enum err_code code;
    } rows[] = {{"getsockopt", 2, EIO, ERR_IO},
                {"sendmsg", 1, EPIPE, ERR_UNREACHABLE},
                {"poll", 1, ENOMEM, ERR_NO_MEMORY},
                {"open", 1, EIO, ERR_IO},
                {"recvmsg", 1, ECONNRESET, ERR_UNREACHABLE}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        int fd = -1, fds = testbed_fds();
        testbed_fail_call(rows[i].name, rows[i].nth, 1, rows[i].error);
        assert_fails(ctl_connect(dir, CTL_ROLE_AGENT, &fd, &err), err, rows[i].code);
        assert_true(testbed_stop());
        assert_non_null(strstr(err.text, dir));
        assert_int_equal(fd, -1);
        assert_int_equal(testbed_fds(), fds);
        int own = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        mem_cleanup_close(&own);
    }
}

/* ---- packets ---- */

static void errors_of_the_socket_have_their_names(void **state)
{
    static const struct {
        int error;
        enum err_code code;
    } sending[] = {
        {EAGAIN, ERR_BUSY}, {ENOBUFS, ERR_BUSY}, {EPIPE, ERR_UNREACHABLE}, {ECONNRESET, ERR_UNREACHABLE}};
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_message message;
    struct ctl_fds fds;
    ctl_message_init(&message, CTL_EXIT);
    for (size_t i = 0; i < ARRAY_LEN(sending); i++) {
        testbed_fail_call("sendmsg", 1, 1, sending[i].error);
        assert_fails(ctl_send(pair[0], &message, NULL, &err), err, sending[i].code);
        testbed_stop();
    }
    assert_ok(ctl_send(pair[0], &message, NULL, &err), err);
    static const int nothing_yet[] = {EAGAIN, EINTR};
    for (size_t i = 0; i < ARRAY_LEN(nothing_yet); i++) {
        testbed_fail_call("recvmsg", 1, 1, nothing_yet[i]);
        assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 0);
        testbed_stop();
    }
    testbed_fail_call("recvmsg", 1, 1, ECONNRESET);
    assert_fails(ctl_recv(pair[1], &packet, &fds, &err), err, ERR_UNREACHABLE);
    testbed_stop();
    assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 1);
}

/* By hand: a packet of any size, with any number of descriptors, and whose word on who sent it. */
static void send_raw(const void *bytes, size_t len, const int *fds, size_t count, bool credentials)
{
    char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(8 * sizeof(int))]
        __attribute__((aligned(8))) = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    size_t used = 0;
    if (credentials) {
        struct ucred me = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_CREDENTIALS;
        part->cmsg_len = CMSG_LEN(sizeof me);
        memcpy(CMSG_DATA(part), &me, sizeof me);
        used += CMSG_SPACE(sizeof me);
        part = CMSG_NXTHDR(&header, part);
    }
    if (count) {
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, count * sizeof(int));
        used += CMSG_SPACE(count * sizeof(int));
    }
    header.msg_controllen = used;
    if (!used)
        header.msg_control = NULL;
    assert_int_equal(sendmsg(pair[0], &header, 0), len);
}

/* However many descriptors come with a packet, at most two are kept and none is lost. */
static void surplus_descriptors_are_closed(void **state)
{
    static const int many[8] = {0};
    struct ctl_message message;
    union ctl_packet packet;
    struct err err = {0};
    struct ctl_fds fds;
    int before = testbed_fds();
    ctl_message_init(&message, CTL_WELCOME);
    for (size_t count = 0; count <= ARRAY_LEN(many); count++) {
        send_raw(&message, sizeof message, many, count, false);
        int got = ctl_recv(pair[1], &packet, &fds, &err);
        assert_int_equal(got, count <= 4 ? 1 : -1); /* there is room for four, two are kept */
        size_t kept = (size_t)(fds.fd[0] >= 0) + (size_t)(fds.fd[1] >= 0);
        assert_int_equal(kept, got == 1 ? (count < 2 ? count : 2) : 0);
        assert_int_equal(testbed_fds(), before + (int)kept);
        ctl_fds_close(&fds);
        assert_int_equal(testbed_fds(), before);
        assert_int_equal(fds.fd[0], -1);
    }
}

/* What else the kernel may tell with a packet is no descriptor. */
static void credentials_are_no_descriptors(void **state)
{
    int on = 1;
    struct ctl_message message;
    union ctl_packet packet;
    struct err err = {0};
    struct ctl_fds fds;
    ctl_message_init(&message, CTL_WELCOME);
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    send_raw(&message, sizeof message, NULL, 0, true);
    assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 1);
    assert_true(fds.fd[0] == -1 && fds.fd[1] == -1);
}

/* Longer than the longest packet there is. */
static void a_packet_that_is_cut_is_none(void **state)
{
    static uint8_t big[sizeof(union ctl_packet) + 8];
    struct ctl_message head;
    union ctl_packet packet;
    struct err err = {0};
    struct ctl_fds fds;
    ctl_message_init(&head, CTL_STATUS);
    memcpy(big, &head, sizeof head);
    send_raw(big, sizeof(struct ctl_status_packet), NULL, 0, false);
    assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 1);
    send_raw(big, sizeof big, NULL, 0, false);
    assert_fails(ctl_recv(pair[1], &packet, &fds, &err), err, ERR_INVALID);
    send_raw(big, 1, NULL, 0, false); /* one byte is nonsense too, and no end */
    assert_fails(ctl_recv(pair[1], &packet, &fds, &err), err, ERR_INVALID);
    assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 0);
}

/* One descriptor in the second place travels, and arrives in the first. */
static void descriptors_keep_their_order(void **state)
{
    static const struct ctl_fds rows[] = {{{-1, -1}}, {{1, -1}}, {{-1, 1}}, {{0, 1}}};
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, CTL_WELCOME);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        union ctl_packet packet;
        struct ctl_fds fds;
        assert_ok(ctl_send(pair[0], &message, &rows[i], &err), err);
        assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 1);
        int sent = (rows[i].fd[0] >= 0) + (rows[i].fd[1] >= 0);
        assert_int_equal((fds.fd[0] >= 0) + (fds.fd[1] >= 0), sent);
        assert_true(sent == 0 || fds.fd[0] >= 0);
        ctl_fds_close(&fds);
    }
}

/* ---- waiting for an answer ---- */

static void a_wait_survives_a_signal_and_nothing_else(void **state)
{
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_fds fds;
    testbed_fail_call("poll", 1, 3, EINTR);
    assert_fails(ctl_await(pair[0], &packet, &fds, 20, &err), err, ERR_TIMEOUT);
    assert_true(testbed_stop());
    assert_int_equal(fds.fd[0], -1);
    testbed_fail_call("poll", 1, 1, ENOMEM);
    assert_fails(ctl_await(pair[0], &packet, &fds, 1000, &err), err, ERR_NO_MEMORY);
    testbed_stop();
}

static void answer(enum ctl_kind kind, enum ctl_kind to, uint64_t generation, int32_t result)
{
    struct ctl_message message;
    struct err err = {0};
    ctl_message_init(&message, kind);
    message.count = to;
    message.generation = generation;
    message.result = result;
    memcpy(message.text, "because", 8);
    assert_ok(ctl_send(pair[1], &message, NULL, &err), err);
}

/* Only the reply to this very call ends it: of its kind, for its generation; a yes, or a no with its reason. */
static void other_answers_are_let_go(void **state)
{
    struct ctl_message ask;
    struct err err = {0};
    ctl_message_init(&ask, CTL_ADMIT);
    ask.generation = 5;
    answer(CTL_NOTICE, CTL_ADMIT, 5, ERR_BUSY);
    answer(CTL_REPLY, CTL_RETIRE, 5, ERR_CONFLICT);
    answer(CTL_REPLY, CTL_ADMIT, 4, ERR_CONFLICT);
    answer(CTL_REPLY, CTL_RETIRE, 5, 0);
    answer(CTL_REPLY, CTL_ADMIT, 4, 0);
    assert_fails(ctl_call(pair[0], &ask, 10, &err), err, ERR_TIMEOUT);
    answer(CTL_REPLY, CTL_ADMIT, 5, 0);
    answer(CTL_REPLY, CTL_ADMIT, 5, ERR_TOO_BIG);
    assert_ok(ctl_call(pair[0], &ask, 1000, &err), err);
    assert_fails(ctl_call(pair[0], &ask, 1000, &err), err, ERR_TOO_BIG);
    assert_string_equal(err.text, "because");
    testbed_fail_call("sendmsg", 1, 1, EPIPE);
    assert_fails(ctl_call(pair[0], &ask, 1000, &err), err, ERR_UNREACHABLE);
    testbed_stop();
}

static void a_status_arrives_whole(void **state)
{
    struct err err = {0};
    struct ctl_status got;
    static struct ctl_status_packet packet;
    ctl_message_init(&packet.header, CTL_STATUS);
    packet.status.epoch = 77;
    packet.status.runners[CTL_MAX_RUNNERS - 1].counters.frame_us[CTL_HIST_BUCKETS - 1] = 9;
    assert_ok(ctl_send(pair[1], &packet.header, NULL, &err), err);
    assert_ok(ctl_status(pair[0], 1000, &got, &err), err);
    assert_memory_equal(&got, &packet.status, sizeof got);
    union ctl_packet asked;
    struct ctl_fds fds;
    assert_int_equal(ctl_recv(pair[1], &asked, &fds, &err), 1);
    assert_int_equal(asked.message.kind, CTL_STATUS_REQUEST);
    assert_fails(ctl_status(pair[0], 0, &got, &err), err, ERR_TIMEOUT);
    testbed_fail_call("sendmsg", 1, 1, EPIPE);
    assert_fails(ctl_status(pair[0], 0, &got, &err), err, ERR_UNREACHABLE);
    testbed_stop();
}

int main(void)
{
#define DIAL_TEST(f) cmocka_unit_test_setup_teardown(f, listen_there, listen_no_more)
#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        DIAL_TEST(whatever_fails_dialling_leaves_nothing),
        DIAL_TEST(a_full_house_is_busy),
        DIAL_TEST(only_the_right_users_guard_is_one),
        DIAL_TEST(roots_guard_has_runners_of_other_users),
        DIAL_TEST(a_stranger_is_no_guard),
        DIAL_TEST(a_connection_that_fails_later_leaves_nothing),
        PAIR_TEST(errors_of_the_socket_have_their_names),
        PAIR_TEST(surplus_descriptors_are_closed),
        PAIR_TEST(credentials_are_no_descriptors),
        PAIR_TEST(a_packet_that_is_cut_is_none),
        PAIR_TEST(descriptors_keep_their_order),
        PAIR_TEST(a_wait_survives_a_signal_and_nothing_else),
        PAIR_TEST(other_answers_are_let_go),
        PAIR_TEST(a_status_arrives_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
