#include "wire/tar.h"

#include "base/mem.h"
#include "base/str.h"

#include <inttypes.h>

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[8],
        user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header is one block");

static const char magic[8] = {'u', 's', 't', 'a', 'r', '\0', '0', '0'};

/* ---- writing ---- */

static void put_octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
    field[size - 1] = '\0';
}

/* The sum of all bytes, with blanks for the checksum itself. */
static unsigned checksum_of(const struct header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    unsigned sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        bool own = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
        sum += own ? ' ' : bytes[i];
    }
    return sum;
}

/* A long name is cut at a '/' so that both parts fit. */
static int put_name(struct header *header, const char *name, struct err *err)
{
    size_t len = strlen(name), cut = 0;
    if (len > sizeof header->name) {
        for (size_t i = 0; i < len && i <= sizeof header->prefix; i++)
            if (name[i] == '/')
                cut = i + 1;
        if (cut == 0 || len - cut > sizeof header->name)
            return err_set(err, ERR_INVALID, "%.80s…: the name is too long for tar", name);
        memcpy(header->prefix, name, cut - 1);
    }
    memcpy(header->name, name + cut, len - cut);
    return 0;
}

int tar_format(const struct tar_entry *entry, uint8_t out[TAR_BLOCK], struct err *err)
{
    struct header header = {.type = entry->directory ? '5' : '0'};
    char name[TAR_NAME_SIZE + 1];
    if (!str_is_safe_path(entry->name))
        return err_set(err, ERR_INVALID, "%.80s: no name for tar", entry->name);
    if (entry->size > TAR_MAX_BYTES || (entry->directory && entry->size > 0))
        return err_set(err, ERR_TOO_BIG, "%.80s: too big for tar", entry->name);
    snprintf(name, sizeof name, "%s%s", entry->name, entry->directory ? "/" : "");
    if (put_name(&header, name, err) < 0)
        return -1;
    put_octal(header.mode, sizeof header.mode, entry->directory || entry->executable ? 0755 : 0644);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, entry->size);
    put_octal(header.mtime, sizeof header.mtime, 0);
    memcpy(header.magic, magic, sizeof magic);
    put_octal(header.checksum, sizeof header.checksum - 1, checksum_of(&header));
    header.checksum[7] = ' ';
    memcpy(out, &header, sizeof header);
    return 0;
}

/* ---- reading ---- */

/* Octal digits, then NUL or blanks up to the end. */
static bool get_octal(const char *field, size_t size, uint64_t *out)
{
    size_t i = 0;
    for (*out = 0; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    bool digits = i > 0;
    for (; i < size; i++)
        if (field[i] != '\0' && field[i] != ' ')
            return false;
    return digits;
}

static bool all_zero(const uint8_t *block)
{
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

static void get_name(const struct header *header, char out[TAR_NAME_SIZE + 2])
{
    int prefix = (int)strnlen(header->prefix, sizeof header->prefix);
    int name = (int)strnlen(header->name, sizeof header->name);
    snprintf(out, TAR_NAME_SIZE + 2, "%.*s%s%.*s", prefix, header->prefix, prefix ? "/" : "", name,
             header->name);
}

static int check(const struct header *header, struct err *err)
{
    uint64_t sum = 0;
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return err_set(err, ERR_INVALID, "tar: no ustar header");
    if (!get_octal(header->checksum, sizeof header->checksum, &sum) || sum != checksum_of(header))
        return err_set(err, ERR_INVALID, "tar: a header's checksum does not hold");
    if (header->type != '0' && header->type != '5')
        return err_set(err, ERR_INVALID, "tar: an entry is neither a file nor a directory");
    return 0;
}

int tar_parse(const uint8_t block[TAR_BLOCK], struct tar_entry *out, struct err *err)
{
    struct header header;
    char name[TAR_NAME_SIZE + 2];
    uint64_t mode = 0;
    if (all_zero(block))
        return 0;
    memcpy(&header, block, sizeof header);
    if (check(&header, err) < 0)
        return -1;
    *out = (struct tar_entry){.directory = header.type == '5'};
    get_name(&header, name);
    size_t len = strlen(name);
    if (out->directory && len > 0 && name[len - 1] == '/')
        name[len - 1] = '\0';
    if (!str_is_safe_path(name) || !str_copy(out->name, sizeof out->name, name))
        return err_set(err, ERR_INVALID, "tar: an entry has no name that may be used");
    if (!get_octal(header.mode, sizeof header.mode, &mode) || (mode & ~(uint64_t)0777) ||
        !get_octal(header.size, sizeof header.size, &out->size) || (out->directory && out->size > 0))
        return err_set(err, ERR_INVALID, "tar: %.80s: mode or size is wrong", name);
    out->executable = !out->directory && (mode & 0100);
    return 1;
}
