/* What goes in comes out, unchanged and in order, however bad the link is; while it is down nothing passes. */
#include "sim/link/link.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 300000 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

static int listener(uint16_t *out_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *out_port = ntohs(at.sin_port);
    return fd;
}

/* A relay in a child; its port. */
static uint16_t start(struct relay_options options, pid_t *out_pid)
{
    int said[2];
    char text[16] = "";
    assert_int_equal(pipe(said), 0);
    *out_pid = fork();
    assert_true(*out_pid >= 0);
    if (*out_pid == 0) {
        struct err err = {0};
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGTERM, &action, NULL);
        if (dup2(said[1], STDOUT_FILENO) < 0)
            _exit(1);
        _exit(relay_run(&options, &stop, &err) == 0 ? 0 : 1);
    }
    assert_true(read(said[0], text, sizeof text - 1) > 1);
    close(said[0]);
    close(said[1]);
    return (uint16_t)strtoul(text, NULL, 10);
}

static void end(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int dial(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 131 + (i >> 8));
}

static void write_all(int fd)
{
    uint8_t part[1000];
    for (size_t sent = 0; sent < BYTES; sent += sizeof part) {
        for (size_t i = 0; i < sizeof part; i++)
            part[i] = byte_at(sent + i);
        assert_int_equal(send(fd, part, sizeof part, MSG_NOSIGNAL), sizeof part);
    }
    shutdown(fd, SHUT_WR);
}

static void what_goes_in_comes_out(void **state)
{
    uint16_t port;
    pid_t relay, writer;
    cleanup_close int ear = listener(&port);
    port =
        start((struct relay_options){.to_port = port, .up_s = 1000, .jitter_ms = 30, .loss = 0.02, .seed = 3},
              &relay);
    cleanup_close int robot = dial(port);
    cleanup_close int server = accept(ear, NULL, NULL);
    writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        write_all(robot);
        _exit(0);
    }
    size_t got = 0;
    uint8_t part[5000];
    for (ssize_t n; got < BYTES && (n = read(server, part, sizeof part)) > 0; got += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(part[i], byte_at(got + (size_t)i));
    assert_int_equal(got, BYTES);
    waitpid(writer, NULL, 0);
    end(relay);
}

static void while_it_is_down_nothing_passes(void **state)
{
    uint16_t port;
    pid_t relay;
    cleanup_close int ear = listener(&port);
    port = start((struct relay_options){.to_port = port, .up_s = 0.2, .down_s = 1000, .seed = 5}, &relay);
    usleep(1500000); /* many times the mean: it is down now, for long */
    cleanup_close int robot = dial(port);
    uint8_t byte;
    assert_true(recv(robot, &byte, 1, 0) <= 0); /* refused */
    struct pollfd none = {.fd = ear, .events = POLLIN};
    assert_int_equal(poll(&none, 1, 200), 0);
    end(relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(while_it_is_down_nothing_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
