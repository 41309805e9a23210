/* A key in a TPM 2.0, against swtpm: made, certified, renewed, used for TLS on both sides of a restart. Skipped, with the reason, where swtpm or
 * OpenSSL's provider tpm2 are not installed (scripts/deps verify). */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/device_key.h"
#include "sys/file.h"
#include "sys/ossl.h"
#include "sys/proc.h"
#include "sys/tls.h"
#include "trust/ca.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static pid_t swtpm;

/* Two ports in a row, as swtpm's clients want them. */
static uint16_t free_ports(void)
{
    for (uint16_t port = (uint16_t)(20000 + getpid() % 20000);; port += 2) {
        int good = 0;
        for (uint16_t i = 0; i < 2; i++) {
            struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port + i))};
            at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            good += bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
            close(fd);
        }
        if (good == 2)
            return port;
    }
}

static bool listens(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return there;
}

static void start_swtpm(void)
{
    struct err err = {0};
    uint16_t port = free_ports();
    char state[100], server[64], control[64], tcti[64], log[100];
    snprintf(state, sizeof state, "dir=%s", dir);
    snprintf(log, sizeof log, "%s/swtpm.log", dir);
    snprintf(server, sizeof server, "type=tcp,port=%u", port);
    snprintf(control, sizeof control, "type=tcp,port=%u", port + 1u);
    snprintf(tcti, sizeof tcti, "swtpm:host=127.0.0.1,port=%u", port);
    const char *const argv[] = {"/usr/bin/swtpm",
                                "socket",
                                "--tpm2",
                                "--tpmstate",
                                state,
                                "--server",
                                server,
                                "--ctrl",
                                control,
                                "--flags",
                                "not-need-init,startup-clear",
                                NULL};
    struct proc_options options = {.argv = argv, .log_path = log, .die_with_parent = true, .keep_fd = -1};
    assert_ok(proc_spawn(&options, &swtpm, &err), err);
    for (int i = 0; i < 500 && !listens((uint16_t)(port + 1)); i++)
        usleep(10000);
    setenv("TPM2OPENSSL_TCTI", tcti, 1);
    setenv("TSS2_LOG", "all+none", 1);
}

static int set_up(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/muster-tpm-XXXXXX");
    assert_non_null(mkdtemp(dir));
    if (file_exists("/usr/bin/swtpm"))
        start_swtpm();
    return 0;
}

static int tear_down(void **state)
{
    struct err err = {0};
    if (swtpm) {
        kill(swtpm, SIGKILL);
        waitpid(swtpm, NULL, 0);
    }
    return file_remove_tree(dir, &err);
}

static void in_dir(const char *name, char out[160])
{
    snprintf(out, 160, "%s/%s", dir, name);
}

/* The robot's certificate for a request. */
static void certify(const char *csr, const char *path)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    cleanup_free char *pem = NULL;
    assert_ok(ca_sign_csr(dir, csr, strlen(csr), "r1", 3600, clock_wall_ms() / 1000, &pem, serial, &err),
              err);
    assert_ok(file_replace(path, pem, strlen(pem), 0600, &err), err);
}

/* A whole handshake in memory, the client's certificate demanded. */
static void shake_hands(struct ssl_ctx_st *server_ctx, struct ssl_ctx_st *client_ctx)
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *near = NULL, *far = NULL;
    assert_int_equal(BIO_new_bio_pair(&near, 0, &far, 0), 1);
    SSL_set_bio(server, near, near);
    SSL_set_bio(client, far, far);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(server) && SSL_is_init_finished(client));
    assert_int_equal(SSL_get_verify_result(server), X509_V_OK);
    SSL_free(server);
    SSL_free(client);
}

static void test_a_key_in_the_tpm_is_used_like_any_other(void **state)
{
    struct err err = {0};
    char key[160], cert[160], ca[160], server_cert[160], server_key[160], name[64];
    cleanup_free char *csr = NULL, *again = NULL;
    struct digest first, second;
    struct ssl_ctx_st *server = NULL, *client = NULL;
    in_dir("device.key", key);
    in_dir("device.pem", cert);
    in_dir("ca.pem", ca);
    in_dir("server.pem", server_cert);
    in_dir("server.key", server_key);
    if (!swtpm) {
        print_message("skipped: swtpm is not installed\n");
        skip();
    }
    if (csr_make_in_tpm(key, "r1", &csr, &err) < 0) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    cleanup_buf struct buf pem = BUF_INIT(1 << 16);
    assert_ok(file_read(key, &pem, &err), err);
    assert_non_null(strstr(buf_text(&pem), "TSS2 PRIVATE KEY"));
    assert_null(strstr(buf_text(&pem), "BEGIN PRIVATE KEY"));
    assert_ok(ca_init(dir, "localhost", clock_wall_ms() / 1000, &err), err);
    certify(csr, cert);
    assert_ok(csr_make_in_tpm(key, "r1", &again, &err), err); /* the same key */
    assert_ok(csr_read(csr, strlen(csr), name, sizeof name, &first, &err), err);
    assert_ok(csr_read(again, strlen(again), name, sizeof name, &second, &err), err);
    assert_true(digest_equal(&first, &second));
    assert_ok(tls_server_context(server_cert, server_key, ca, &server, &err), err);
    for (int i = 0; i < 20; i++) { /* each as after a renewal: the TPM has room for three keys */
        assert_ok(tls_client_context(ca, cert, key, &client, &err), err);
        shake_hands(server, client);
        tls_context_free(client);
    }
    tls_context_free(server);
    for (char *c = strstr(buf_text(&pem), "-----\n") + 40; *c && *c != '\n'; c++)
        *c = 'A'; /* another TPM's, or damaged */
    assert_null(device_key_from_pem(buf_text(&pem), pem.len));
    ossl_fail(&err, ERR_INVALID, "damaged"); /* empties the queue */
}

static void test_keys_in_files_need_no_tpm(void **state)
{
    struct err err = {0};
    char key[160];
    cleanup_free char *csr = NULL;
    in_dir("file.key", key);
    setenv("TPM2OPENSSL_TCTI", "swtpm:host=127.0.0.1,port=1", 1);
    assert_ok(csr_make(key, "r1", &csr, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_in_the_tpm_is_used_like_any_other),
        cmocka_unit_test(test_keys_in_files_need_no_tpm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
