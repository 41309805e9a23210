/* Semantic Versioning 2.0.0, without build metadata (two releases must not differ in something that has no
 * order). */
#include "base/str.h"
#include "wire/release.h"

#include <ctype.h>
#include <string.h>

/* One identifier of a version: from `text` to the next '.', '-' (in the core) or the end. */
struct part {
    const char *text;
    size_t len;
    bool number;
};

static struct part part_at(const char *text, const char *stop)
{
    struct part part = {.text = text, .len = strcspn(text, stop), .number = true};
    for (size_t i = 0; i < part.len; i++)
        part.number = part.number && isdigit((unsigned char)text[i]);
    return part;
}

static bool number_valid(struct part part)
{
    return part.number && part.len > 0 && (part.len == 1 || part.text[0] != '0');
}

static bool identifier_valid(struct part part)
{
    for (size_t i = 0; i < part.len; i++)
        if (!isalnum((unsigned char)part.text[i]) && part.text[i] != '-')
            return false;
    return part.number ? number_valid(part) : part.len > 0;
}

static bool prerelease_valid(const char *text)
{
    for (;;) {
        struct part part = part_at(text, ".");
        if (!identifier_valid(part))
            return false;
        text += part.len;
        if (!*text)
            return true;
        text++;
    }
}

bool version_valid(const char *text)
{
    if (strlen(text) > 63)
        return false;
    for (int i = 0; i < 3; i++) {
        struct part part = part_at(text, ".-");
        if (!number_valid(part))
            return false;
        text += part.len;
        if (i < 2 && *text++ != '.')
            return false;
    }
    return !*text || (*text == '-' && prerelease_valid(text + 1));
}

static int sign(long long value)
{
    return (value > 0) - (value < 0);
}

/* Numbers before words, numbers by value, words by their bytes. */
static int part_compare(struct part a, struct part b)
{
    if (a.number != b.number)
        return a.number ? -1 : 1;
    if (a.number && a.len != b.len)
        return a.len < b.len ? -1 : 1;
    int order = memcmp(a.text, b.text, a.len < b.len ? a.len : b.len);
    return order ? sign(order) : sign((long long)a.len - (long long)b.len);
}

static int prerelease_compare(const char *a, const char *b)
{
    for (;;) {
        struct part left = part_at(a, "."), right = part_at(b, ".");
        int order = part_compare(left, right);
        if (order)
            return order;
        a += left.len;
        b += right.len;
        if (!*a || !*b)
            return (*a != 0) - (*b != 0);
        a++;
        b++;
    }
}

int version_compare(const char *a, const char *b)
{
    for (int i = 0; i < 3; i++) {
        struct part left = part_at(a, ".-"), right = part_at(b, ".-");
        int order = part_compare(left, right);
        if (order)
            return order;
        a += left.len + (i < 2);
        b += right.len + (i < 2);
    }
    if (!*a || !*b) /* without a pre-release part comes later */
        return (*a == 0) - (*b == 0);
    return prerelease_compare(a + 1, b + 1);
}
