#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/fetch_engine.h"
#include "sys/ossl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

/* ---- making a connection ---- */

static enum link_result refused(const struct fetch_url *url, int number, struct err *err)
{
    errno = number;
    err_errno(err, "cannot reach %s", url->authority);
    err->code = ERR_UNREACHABLE;
    return LINK_FAILED;
}

int fetch_link_open(const struct addrinfo *address, const struct fetch_url *url, struct fetch_link **out,
                    struct err *err)
{
    cleanup_close int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int yes = 1;
    if (fd < 0)
        return refused(url, errno, err), -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
        return refused(url, errno, err), -1;
    struct fetch_link *link = mem_zalloc(1, sizeof *link);
    if (!link)
        return err_no_memory(err);
    link->fd = TAKE_FD(fd);
    link->want = POLLOUT;
    str_copy(link->origin, sizeof link->origin, url->origin);
    *out = link;
    return 0;
}

enum link_result fetch_link_connect(struct fetch_link *link, const struct fetch_url *url, struct err *err)
{
    struct pollfd ready = {.fd = link->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 0)
        return LINK_AGAIN;
    int number = 0;
    socklen_t len = sizeof number;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
        number = errno;
    return number ? refused(url, number, err) : LINK_OK;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* The certificate must be for this name or this address. */
static bool expect_host(SSL *ssl, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

/* A clock that stands before what is known to have been is no clock. */
static void set_time(SSL *ssl, int64_t floor_s)
{
    if (floor_s > clock_wall_ms() / 1000)
        X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)floor_s);
}

int fetch_link_secure(struct fetch_link *link, const struct fetch *fetch, const struct fetch_url *url,
                      struct err *err)
{
    if (!fetch->ctx)
        return err_set(err, ERR_INVALID,
                       "%s: no CA certificate was given to check the server by; name it with --ca FILE",
                       url->origin);
    link->identity = fetch->identity;
    link->ssl = SSL_new(fetch->ctx);
    if (!link->ssl || SSL_set_fd(link->ssl, link->fd) != 1 || !expect_host(link->ssl, url->host))
        return ossl_fail(err, ERR_INTERNAL, "cannot start TLS with %s", url->authority);
    set_time(link->ssl, fetch->clock_floor_s);
    SSL_set_mode(link->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

void fetch_link_free(struct fetch_link *link)
{
    if (!link)
        return;
    if (link->ssl && SSL_is_init_finished(link->ssl))
        SSL_shutdown(link->ssl);
    ERR_clear_error();
    SSL_free(link->ssl);
    close(link->fd);
    free(link);
}

bool fetch_link_is_quiet(const struct fetch_link *link)
{
    char byte;
    ssize_t got = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && errno == EAGAIN;
}

/* ---- TLS ---- */

/* The alerts by which a server refuses the certificate of its client. */
static bool is_refusal(int reason)
{
    static const int refusals[] = {
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,     SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
        SSL_R_TLSV1_ALERT_ACCESS_DENIED,       SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
        SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
    };
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i] == reason)
            return true;
    return false;
}

static enum link_result tls_failed(struct fetch_link *link, const char *peer, struct err *err)
{
    unsigned long first = ERR_peek_error();
    long verdict = SSL_get_verify_result(link->ssl);
    if (verdict != X509_V_OK) {
        ERR_clear_error();
        err_set(err, ERR_UNTRUSTED, "server certificate of %s is not trusted: %s", peer,
                X509_verify_cert_error_string(verdict));
    } else if (ERR_GET_LIB(first) == ERR_LIB_SSL && is_refusal(ERR_GET_REASON(first))) {
        ossl_fail(err, ERR_DENIED, "%s refused our certificate", peer);
    } else if (ERR_GET_LIB(first) == ERR_LIB_SSL &&
               ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        err_set(err, ERR_UNREACHABLE, "%s broke the connection off", peer);
    } else {
        ossl_fail(err, ERR_UNREACHABLE, "TLS with %s failed", peer);
    }
    return LINK_FAILED;
}

static enum link_result tls_result(struct fetch_link *link, int rc, const char *peer, struct err *err)
{
    int number = errno;
    switch (SSL_get_error(link->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        link->want = POLLIN;
        return LINK_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        link->want = POLLOUT;
        return LINK_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return LINK_EOF;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = number ? number : ECONNRESET;
        err_errno(err, "connection to %s was cut", peer);
        err->code = ERR_UNREACHABLE;
        return LINK_FAILED;
    default:
        return tls_failed(link, peer, err);
    }
}

enum link_result fetch_link_handshake(struct fetch_link *link, const struct fetch_url *url, struct err *err)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_connect(link->ssl);
    return rc == 1 ? LINK_OK : tls_result(link, rc, url->authority, err);
}

/* ---- bytes ---- */

static const char *peer_of(const struct fetch_link *link)
{
    return strstr(link->origin, "://") + 3;
}

static enum link_result plain_result(struct fetch_link *link, ssize_t rc, short want, struct err *err)
{
    if (rc > 0)
        return LINK_OK;
    if (rc == 0)
        return LINK_EOF;
    if (errno == EAGAIN || errno == EINTR) {
        link->want = want;
        return LINK_AGAIN;
    }
    err_errno(err, "connection to %s was cut", peer_of(link));
    err->code = ERR_UNREACHABLE;
    return LINK_FAILED;
}

enum link_result fetch_link_read(struct fetch_link *link, void *out, size_t size, size_t *out_len,
                                 struct err *err)
{
    *out_len = 0;
    if (!link->ssl) {
        ssize_t got = recv(link->fd, out, size, 0);
        *out_len = got > 0 ? (size_t)got : 0;
        return plain_result(link, got, POLLIN, err);
    }
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read_ex(link->ssl, out, size, out_len);
    return rc == 1 ? LINK_OK : tls_result(link, rc, peer_of(link), err);
}

enum link_result fetch_link_write(struct fetch_link *link, const void *data, size_t len, size_t *out_len,
                                  struct err *err)
{
    *out_len = 0;
    if (!link->ssl) {
        ssize_t put = send(link->fd, data, len, MSG_NOSIGNAL);
        *out_len = put > 0 ? (size_t)put : 0;
        return plain_result(link, put, POLLOUT, err);
    }
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write_ex(link->ssl, data, len, out_len);
    return rc == 1 ? LINK_OK : tls_result(link, rc, peer_of(link), err);
}
