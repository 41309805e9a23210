#include "base/mem.h"
#include "base/testing.h"
#include "robot/ctl/ctl.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int pair[2];

static int setup(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    mem_cleanup_close(&pair[0]);
    mem_cleanup_close(&pair[1]);
    return 0;
}

static int count_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Every single header field that is off makes the packet unacceptable. */
static void check_refuses_each_wrong_field(void **state)
{
    struct ctl_message good;
    ctl_message_init(&good, CTL_HELLO);
    good.role = CTL_ROLE_RUNNER;
    assert_true(ctl_check(&good, sizeof good));
    assert_false(ctl_check(&good, sizeof good - 1));
    assert_false(ctl_check(&good, sizeof good + 1));
    assert_false(ctl_check(&good, 0));
    struct ctl_message bad[] = {good, good, good, good, good, good};
    bad[0].magic++;
    bad[1].version++;
    bad[2].kind = 0;
    bad[3].kind = CTL_KIND_END;
    bad[4].role = 0;
    memset(bad[5].text, 'x', sizeof bad[5].text);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ctl_check(&bad[i], sizeof bad[i]));
    static const int32_t results[] = {-1, ERR_CODE_COUNT, INT32_MAX,
                                      INT32_MIN}; /* no code: err_set would assert */
    struct ctl_message reply;
    ctl_message_init(&reply, CTL_REPLY);
    assert_true(ctl_check(&reply, sizeof reply));
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        reply.result = results[i];
        assert_false(ctl_check(&reply, sizeof reply));
    }
    struct ctl_message command;
    ctl_message_init(&command, CTL_COMMAND);
    static const uint32_t verbs[] = {0, CTL_VERB_END, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        command.command.verb = verbs[i];
        assert_false(ctl_check(&command, sizeof command));
    }
    command.command.verb = CTL_VERB_SERVICE;
    assert_true(ctl_check(&command, sizeof command));
    struct ctl_message unending = command;
    memset(unending.command.who, 'x', sizeof unending.command.who);
    assert_false(ctl_check(&unending, sizeof unending));
    unending = command;
    memset(unending.command.reason, 'x', sizeof unending.command.reason);
    assert_false(ctl_check(&unending, sizeof unending));
    good.role = CTL_ROLE_END;
    assert_false(ctl_check(&good, sizeof good));
    struct ctl_message status;
    ctl_message_init(&status, CTL_STATUS);
    assert_false(ctl_check(&status, sizeof status)); /* a status without its body */
}

static void descriptors_travel_and_surplus_ones_are_closed(void **state)
{
    struct err err = {0};
    int before = count_fds();
    struct ctl_message message;
    ctl_message_init(&message, CTL_WELCOME);
    struct ctl_fds out = {.fd = {0, 1}}, in;
    assert_ok(ctl_send(pair[0], &message, &out, &err), err);
    union ctl_packet packet;
    assert_int_equal(ctl_recv(pair[1], &packet, &in, &err), 1);
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    assert_true(in.fd[0] >= 0 && in.fd[1] >= 0);
    assert_true(fcntl(in.fd[0], F_GETFD) & FD_CLOEXEC);
    ctl_fds_close(&in);
    assert_int_equal(count_fds(), before);

    int many[5] = {0, 0, 0, 0, 0};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof many)];
    } room = {0};
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof many);
    memcpy(CMSG_DATA(part), many, sizeof many);
    assert_true(sendmsg(pair[0], &header, 0) > 0);
    assert_fails(ctl_recv(pair[1], &packet, &in, &err) > 0 ? 0 : -1, err, ERR_INVALID);
    assert_int_equal(count_fds(), before);
}

static void nonsense_is_refused_and_hangup_is_told(void **state)
{
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_fds fds;
    assert_int_equal(ctl_recv(pair[1], &packet, &fds, &err), 0);
    assert_true(send(pair[0], "GET / HTTP/1.1", 14, 0) == 14);
    assert_fails(ctl_recv(pair[1], &packet, &fds, &err), err, ERR_INVALID);
    mem_cleanup_close(&pair[0]);
    pair[0] = -1;
    assert_fails(ctl_recv(pair[1], &packet, &fds, &err), err, ERR_UNREACHABLE);
}

static void a_late_reply_is_not_taken_for_the_new_one(void **state)
{
    struct err err = {0};
    struct ctl_message ask, late, now;
    ctl_message_init(&ask, CTL_ACTIVATE);
    ask.generation = 8;
    ctl_message_init(&late, CTL_REPLY);
    late.count = CTL_ACTIVATE;
    late.generation = 7;
    now = late;
    now.generation = 8;
    now.result = ERR_CONFLICT;
    memcpy(now.text, "no runner", 10);
    assert_ok(ctl_send(pair[1], &late, NULL, &err), err);
    assert_ok(ctl_send(pair[1], &now, NULL, &err), err);
    assert_fails(ctl_call(pair[0], &ask, 1000, &err), err, ERR_CONFLICT);
    assert_string_equal(err.text, "no runner");
    assert_fails(ctl_call(pair[0], &ask, 0, &err), err, ERR_TIMEOUT);
}

/* Commands carry a number of the caller's, by which he knows the reply; what it gives is the lease. */
static void a_commands_reply_gives_the_lease(void **state)
{
    struct err err = {0};
    struct ctl_command command = {.verb = CTL_VERB_OVERRIDE, .ttl_ms = 1000, .who = "ann"};
    struct ctl_message reply;
    uint64_t lease = 0;
    ctl_message_init(&reply, CTL_REPLY);
    reply.count = CTL_COMMAND;
    reply.generation = 41;
    reply.fallback = 1; /* of a command long ago */
    assert_ok(ctl_send(pair[1], &reply, NULL, &err), err);
    pid_t pid = fork();
    if (pid == 0) {
        union ctl_packet packet;
        struct ctl_fds fds;
        if (ctl_await(pair[1], &packet, &fds, 20000, &err) != 1)
            _exit(1);
        reply.generation = 42;
        reply.fallback = packet.message.fallback;
        reply.result = packet.message.command.verb == CTL_VERB_OVERRIDE ? 0 : ERR_DENIED;
        _exit(ctl_send(pair[1], &reply, NULL, &err) < 0);
    }
    assert_ok(ctl_command(pair[0], &command, 20000, &lease, &err), err);
    assert_int_equal(lease, 42);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_fails(ctl_command(pair[0], &command, 0, NULL, &err), err, ERR_TIMEOUT);
    mem_cleanup_close(&pair[1]);
    pair[1] = -1;
    assert_fails(ctl_command(pair[0], &command, 1000, NULL, &err), err, ERR_UNREACHABLE);
}

static void no_guard_is_one_clear_error(void **state)
{
    struct err err = {0};
    int fd = -1;
    assert_fails(ctl_connect("/nonexistent", CTL_ROLE_AGENT, &fd, &err), err, ERR_NOT_FOUND);
    assert_fails(ctl_connect("/tmp", CTL_ROLE_AGENT, &fd, &err), err, ERR_UNREACHABLE);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_refuses_each_wrong_field),
        cmocka_unit_test_setup_teardown(descriptors_travel_and_surplus_ones_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused_and_hangup_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_reply_is_not_taken_for_the_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_commands_reply_gives_the_lease, setup, teardown),
        cmocka_unit_test(no_guard_is_one_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
