/* OpenSSL's error queue, turned into one error line. For sys/ and trust/ only. */
#ifndef MUSTER_SYS_OSSL_H
#define MUSTER_SYS_OSSL_H

#include "base/err.h"

/* "fmt: reason of the first error in the queue", and the queue is emptied. Returns -1. */
int ossl_fail(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A pem_password_cb: without one OpenSSL would ask for a passphrase on the terminal. */
int ossl_no_passphrase(char *buffer, int size, int writing, void *arg);

#endif
