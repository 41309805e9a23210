#include "fleet/server/notify.h"

#include "base/mem.h"
#include "base/str.h"

#include <sys/socket.h>
#include <sys/un.h>

void notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') ||
        !str_copy(address.sun_path, sizeof address.sun_path, path))
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = 0; /* an abstract name */
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
}

int64_t notify_watchdog_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t usec, wanted;
    if (!text || !str_to_u64(text, &usec) || usec > (uint64_t)INT64_MAX)
        return 0;
    if (pid && (!str_to_u64(pid, &wanted) || wanted != (uint64_t)getpid()))
        return 0;
    return (int64_t)(usec / 2000);
}
