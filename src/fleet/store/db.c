#include "fleet/store/db.h"

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>

static enum err_code code_of(int rc, int os_errno)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_IOERR:
        return os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG ? ERR_NO_SPACE : ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return ERR_EXISTS;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int db_error(struct sqlite_store *s, struct err *err, const char *what)
{
    /* SQLite keeps no errno for a write that failed inside COMMIT; the thread's own is still that of the
     * write. */
    int os_errno = sqlite3_system_errno(s->db) ? sqlite3_system_errno(s->db) : errno;
    int rc = sqlite3_extended_errcode(s->db);
    enum err_code code = code_of(rc, os_errno);
    err_set(err, code, "database: %s: %s%s", what, sqlite3_errmsg(s->db),
            code == ERR_NO_SPACE ? "; free space on its disk and send it again" : "");
    err->os_errno = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN ? os_errno : 0;
    return -1;
}

int db_exec(struct sqlite_store *s, const char *sql, struct err *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return db_error(s, err, sql);
    return 0;
}

/* The cached statement for this text, ready to be bound. */
static sqlite3_stmt *statement(struct sqlite_store *s, const char *sql, struct err *err)
{
    for (size_t i = 0; i < s->statement_count; i++)
        if (s->statements[i].sql == sql)
            return s->statements[i].stmt;
    if (s->statement_count == DB_MAX_STATEMENTS) {
        err_set(err, ERR_INTERNAL, "database: more than %d statements", DB_MAX_STATEMENTS);
        return NULL;
    }
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
        db_error(s, err, sql);
        return NULL;
    }
    s->statements[s->statement_count].sql = sql;
    s->statements[s->statement_count++].stmt = stmt;
    return stmt;
}

static int bind_digest(sqlite3_stmt *stmt, int at, const struct digest *digest)
{
    if (digest_is_zero(digest))
        return sqlite3_bind_null(stmt, at);
    return sqlite3_bind_blob(stmt, at, digest->bytes, sizeof digest->bytes, SQLITE_TRANSIENT);
}

static int bind_text(sqlite3_stmt *stmt, int at, const char *text, bool empty_is_null)
{
    if (empty_is_null && !*text)
        return sqlite3_bind_null(stmt, at);
    return sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
}

static int bind_all(sqlite3_stmt *stmt, const char *types, va_list args)
{
    int rc = SQLITE_OK;
    for (int at = 1; rc == SQLITE_OK && types[at - 1]; at++) {
        switch (types[at - 1]) {
        case 't':
        case 'T':
            rc = bind_text(stmt, at, va_arg(args, const char *), types[at - 1] == 'T');
            break;
        case 'i':
            rc = sqlite3_bind_int64(stmt, at, va_arg(args, int64_t));
            break;
        case 'u':
            rc = sqlite3_bind_int64(stmt, at, (sqlite3_int64)(va_arg(args, uint64_t) & INT64_MAX));
            break;
        case 'd':
            rc = sqlite3_bind_double(stmt, at, va_arg(args, double));
            break;
        case 'D':
            rc = bind_digest(stmt, at, va_arg(args, const struct digest *));
            break;
        case 'b': {
            const void *data = va_arg(args, const void *);
            rc = sqlite3_bind_blob64(stmt, at, data, va_arg(args, size_t), SQLITE_TRANSIENT);
            break;
        }
        default:
            rc = SQLITE_MISUSE;
        }
    }
    return rc;
}

static sqlite3_stmt *prepare(struct sqlite_store *s, struct err *err, const char *sql, const char *types,
                             va_list args)
{
    sqlite3_stmt *stmt = statement(s, sql, err);
    if (stmt && bind_all(stmt, types, args) != SQLITE_OK) {
        db_error(s, err, sql);
        db_reset(&stmt);
        return NULL;
    }
    return stmt;
}

sqlite3_stmt *db_query(struct sqlite_store *s, struct err *err, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *stmt = prepare(s, err, sql, types, args);
    va_end(args);
    return stmt;
}

int db_step(struct sqlite_store *s, sqlite3_stmt *stmt, struct err *err)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : db_error(s, err, "statement failed");
}

int db_write(struct sqlite_store *s, struct err *err, int *out_changes, const char *sql, const char *types,
             ...)
{
    if (sqlite3_get_autocommit(s->db))
        return err_set(err, ERR_INTERNAL, "database: write outside a transaction");
    va_list args;
    va_start(args, types);
    cleanup_stmt sqlite3_stmt *stmt = prepare(s, err, sql, types, args);
    va_end(args);
    if (!stmt || db_step(s, stmt, err) < 0)
        return -1;
    if (out_changes)
        *out_changes = sqlite3_changes(s->db);
    return 0;
}

void db_reset(sqlite3_stmt **slot)
{
    if (!*slot)
        return;
    sqlite3_reset(*slot);
    sqlite3_clear_bindings(*slot);
}

void db_text(sqlite3_stmt *stmt, int column, char *out, size_t out_size)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    str_copy(out, out_size, text ? text : "");
}

void db_digest(sqlite3_stmt *stmt, int column, struct digest *out)
{
    const void *data = sqlite3_column_blob(stmt, column);
    *out = (struct digest){0};
    if (data && sqlite3_column_bytes(stmt, column) == (int)sizeof out->bytes)
        memcpy(out->bytes, data, sizeof out->bytes);
}

void db_labels_format(const struct api_label *labels, size_t count, char out[DB_LABELS_SIZE])
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < count && used < DB_LABELS_SIZE; i++)
        used += (size_t)snprintf(out + used, DB_LABELS_SIZE - used, "%s%s=%s", i ? "\n" : "", labels[i].key,
                                 labels[i].value);
}

size_t db_labels_parse(const char *text, struct api_label labels[API_MAX_LABELS])
{
    size_t count = 0;
    while (text && *text && count < API_MAX_LABELS) { /* NULL: out of memory in SQLite */
        const char *end = strchrnul(text, '\n');
        const char *equals = memchr(text, '=', (size_t)(end - text));
        struct api_label *label = &labels[count];
        if (equals && (size_t)(equals - text) < sizeof label->key &&
            (size_t)(end - equals) <= sizeof label->value) {
            *label = (struct api_label){0};
            memcpy(label->key, text, (size_t)(equals - text));
            memcpy(label->value, equals + 1, (size_t)(end - equals - 1));
            count++;
        }
        text = *end ? end + 1 : end;
    }
    return count;
}
