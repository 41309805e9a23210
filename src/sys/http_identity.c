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
