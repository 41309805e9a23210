#include "base/mem.h"
#include "sys/http_engine.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netdb.h>
#include <openssl/bn.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

/* A name with a NUL inside is no name: another reader might see only its beginning. */
static char *common_name_of(const X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return NULL;
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    char *name = len > 0 && strlen((const char *)utf8) == (size_t)len ? mem_strdup((const char *)utf8) : NULL;
    OPENSSL_free(utf8);
    return name;
}

static char *serial_of(const X509 *cert)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    char *serial = hex ? mem_strdup(hex) : NULL;
    OPENSSL_free(hex);
    BN_free(number);
    return serial;
}

static int64_t end_of(const X509 *cert)
{
    struct tm until;
    return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) == 1 ? (int64_t)timegm(&until) : 0;
}

void http_conn_identify(struct http_conn *conn)
{
    SSL *ssl = bufferevent_openssl_get_ssl(conn->bev);
    if (conn->client_known || !ssl)
        return;
    conn->client_known = true;
    X509 *cert = SSL_get1_peer_certificate(ssl);
    if (cert && SSL_get_verify_result(ssl) == X509_V_OK) {
        conn->client_name = common_name_of(cert);
        conn->client_serial = serial_of(cert);
        conn->client_until_s = end_of(cert);
    }
    X509_free(cert);
}

const char *http_client_address(const struct http_request *request)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    struct http_conn *conn = request->conn;
    if (!conn)
        return "";
    if (!conn->client_address[0] &&
        getpeername(bufferevent_getfd(conn->bev), (struct sockaddr *)&address, &len) == 0 &&
        getnameinfo((struct sockaddr *)&address, len, conn->client_address, sizeof conn->client_address, NULL,
                    0, NI_NUMERICHOST) != 0)
        conn->client_address[0] = '\0';
    return conn->client_address;
}

/* ---- what handlers ask ---- */

const char *http_client_name(const struct http_request *request)
{
    if (!request->conn)
        return NULL;
    http_conn_identify(request->conn);
    return request->conn->client_name;
}

const char *http_client_serial(const struct http_request *request)
{
    if (!request->conn)
        return NULL;
    http_conn_identify(request->conn);
    return request->conn->client_serial;
}

int64_t http_client_until_s(const struct http_request *request)
{
    if (!request->conn)
        return 0;
    http_conn_identify(request->conn);
    return request->conn->client_until_s;
}

int64_t http_client_told_ns(const struct http_request *request)
{
    return request->conn ? request->conn->told_ns : 0;
}

/* ---- cutting clients off ---- */

void http_client_mark(struct http_request *request, uint64_t mark)
{
    if (request->conn)
        request->conn->mark = mark;
}

static bool is_of(struct http_conn *conn, const char *name, uint64_t mark)
{
    SSL *ssl = bufferevent_openssl_get_ssl(conn->bev);
    if (!ssl || !SSL_is_init_finished(ssl) || (mark && conn->mark != mark))
        return false;
    http_conn_identify(conn);
    return conn->client_name && strcmp(conn->client_name, name) == 0;
}

/* From the loop, not here: the caller may be a handler of this very connection. */
static void cut(struct http_conn *conn)
{
    bool asks = conn->state == CONN_WORK || (conn->state == CONN_WRITE && conn->file_fd < 0);
    conn->close_after = true;
    if (!asks && !conn->broken)
        http_conn_break(conn);
}

void http_server_cut(struct http_server *server, const char *client_name, uint64_t mark)
{
    struct http_conn *conn;
    LIST_FOREACH(conn, &server->conns, link)
    {
        if (is_of(conn, client_name, mark))
            cut(conn);
    }
}
