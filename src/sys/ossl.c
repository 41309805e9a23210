#include "sys/ossl.h"

#include <openssl/err.h>
#include <stdarg.h>

int ossl_fail(struct err *err, enum err_code code, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    unsigned long first = ERR_peek_error();
    const char *reason = ERR_reason_error_string(first);
    if (ERR_GET_REASON(first) == ERR_R_MALLOC_FAILURE)
        code = ERR_NO_MEMORY;
    ERR_clear_error();
    if (!reason)
        return err_set(err, code, "%s", text);
    return err_set(err, code, "%s: %s", text, reason);
}

int ossl_no_passphrase(char *buffer, int size, int writing, void *arg)
{
    return -1;
}
