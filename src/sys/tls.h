/* TLS contexts (OpenSSL). TLS 1.2 at least, 1.3 preferred.
 *
 * Contexts are reference-counted SSL_CTX inside; sockets are made of them by sys/http.h and sys/fetch.h.
 * Only the CA that is named counts: the system's own anchors are never used. */
#ifndef MUSTER_SYS_TLS_H
#define MUSTER_SYS_TLS_H

#include "base/err.h"

#include <stdint.h>

struct ssl_ctx_st; /* SSL_CTX */

/* A server context. `client_ca_path` NULL: no client certificate is asked for. Else one is REQUIRED in the
 * handshake and must chain to that CA. SSL_MODE_RELEASE_BUFFERS, one ticket per connection, session id
 * context set. Errors: as file_read; INVALID for what is not PEM; CONFLICT if certificate and key do not
 * belong together. */
int tls_server_context(const char *cert_path, const char *key_path, const char *client_ca_path,
                       struct ssl_ctx_st **out, struct err *err) must_check;

/* From now on a client certificate that is over since `grace_s` seconds at most passes the handshake: nothing but its age is forgiven, neither of
 * other certificates of its chain. Who it is and that it is over is told as of any other (sys/http.h: http_client_until_s): what such a client
 * may do is for the caller to say. 0: none passes. */
int tls_server_allow_expired(struct ssl_ctx_st *ctx, int64_t grace_s, struct err *err) must_check;

/* A client context: the server must chain to `ca_path`. cert_path and key_path: the own certificate; NULL:
 * none. The host name is checked per connection (sys/fetch.c). */
int tls_client_context(const char *ca_path, const char *cert_path, const char *key_path,
                       struct ssl_ctx_st **out, struct err *err) must_check;

void tls_context_free(struct ssl_ctx_st *ctx);

#endif
