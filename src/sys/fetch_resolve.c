#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch_engine.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* Two owners, the thread and the asker; the last one frees. `rc` and `list` are the thread's until it has
 * signalled. */
struct fetch_resolve {
    atomic_int owners;
    int fd;
    char host[FETCH_HOST_SIZE], port[6];
    int rc;
    struct addrinfo *list;
};

static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};

void fetch_resolve_free(struct fetch_resolve *resolve)
{
    if (!resolve || atomic_fetch_sub(&resolve->owners, 1) > 1)
        return;
    if (resolve->list)
        freeaddrinfo(resolve->list);
    close(resolve->fd);
    free(resolve);
}

static void *run(void *arg)
{
    struct fetch_resolve *resolve = arg;
    resolve->rc = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->list);
    eventfd_write(resolve->fd, 1);
    fetch_resolve_free(resolve);
    return NULL;
}

/* Signals are for the caller's threads, so all are blocked in this one. */
static int start_thread(struct fetch_resolve *resolve)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &attr, run, resolve);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

int fetch_resolve_start(const char *host, const char *port, struct fetch_resolve **out, struct err *err)
{
    struct fetch_resolve *resolve = mem_zalloc(1, sizeof *resolve);
    if (!resolve)
        return err_no_memory(err);
    resolve->owners = 2;
    resolve->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    str_copy(resolve->host, sizeof resolve->host, host);
    str_copy(resolve->port, sizeof resolve->port, port);
    if (resolve->fd < 0 || start_thread(resolve) != 0) {
        mem_cleanup_close(&resolve->fd);
        free(resolve);
        return err_set(err, ERR_NO_MEMORY, "cannot resolve %s: no thread or descriptor left", host);
    }
    *out = resolve;
    return 0;
}

int fetch_resolve_fd(const struct fetch_resolve *resolve)
{
    return resolve->fd;
}

int fetch_resolve_result(struct fetch_resolve *resolve, struct addrinfo **out, struct err *err)
{
    eventfd_t count;
    if (eventfd_read(resolve->fd, &count) < 0)
        return 0;
    if (resolve->rc != 0)
        return err_set(err, ERR_UNREACHABLE, "cannot resolve %s: %s; check the name and the network",
                       resolve->host, gai_strerror(resolve->rc));
    *out = TAKE_PTR(resolve->list);
    return 1;
}

struct addrinfo *fetch_numeric_address(const char *host, const char *port)
{
    struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    return getaddrinfo(host, port, &numeric, &list) == 0 ? list : NULL;
}
