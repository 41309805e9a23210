#include "trust/tuf/content.h"
#include "sys/ossl.h"
#include "trust/rule.h"

#include <openssl/evp.h>

struct tuf_content {
    struct tuf_hashes hashes;
    uint64_t length, got;
    EVP_MD_CTX *sha256, *sha512; /* NULL: not asked for */
    bool broken;
};

void tuf_content_free(struct tuf_content *content)
{
    if (!content)
        return;
    EVP_MD_CTX_free(content->sha256);
    EVP_MD_CTX_free(content->sha512);
    free(content);
}

static bool start(bool wanted, const EVP_MD *type, EVP_MD_CTX **out)
{
    if (!wanted)
        return true;
    *out = EVP_MD_CTX_new();
    return *out && EVP_DigestInit_ex(*out, type, NULL) == 1;
}

static int begin(const struct tuf_hashes *hashes, uint64_t length, struct tuf_content **out, struct err *err)
{
    cleanup_tuf_content struct tuf_content *content = mem_zalloc(1, sizeof *content);
    if (!content)
        return err_no_memory(err);
    content->hashes = *hashes;
    content->length = length;
    if (!start(hashes->has_sha256, EVP_sha256(), &content->sha256) ||
        !start(hashes->has_sha512, EVP_sha512(), &content->sha512))
        return ossl_fail(err, ERR_INTERNAL, "cannot compute a hash");
    *out = TAKE_PTR(content);
    return 0;
}

int tuf_content_new(const struct tuf_target *target, struct tuf_content **out, struct err *err)
{
    return begin(&target->hashes, target->length, out, err);
}

void tuf_content_put(struct tuf_content *content, const void *bytes, size_t len)
{
    content->got += len;
    if (content->sha256 && EVP_DigestUpdate(content->sha256, bytes, len) != 1)
        content->broken = true;
    if (content->sha512 && EVP_DigestUpdate(content->sha512, bytes, len) != 1)
        content->broken = true;
}

static bool same(EVP_MD_CTX *ctx, const uint8_t *want, size_t size)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!ctx)
        return true;
    return EVP_DigestFinal_ex(ctx, hash, &len) == 1 && len == size && memcmp(hash, want, size) == 0;
}

static bool fits(struct tuf_content *content)
{
    return !content->broken && content->got == content->length &&
           same(content->sha256, content->hashes.sha256, sizeof content->hashes.sha256) &&
           same(content->sha512, content->hashes.sha512, sizeof content->hashes.sha512);
}

int tuf_content_end(struct tuf_content *content, struct err *err)
{
    if (content->got != content->length)
        return trust_refuse(err, TRUST_TARGET_HASH, "the file has %llu bytes, its target says %llu",
                            (unsigned long long)content->got, (unsigned long long)content->length);
    return fits(content) ? 0
                         : trust_refuse(err, TRUST_TARGET_HASH, "the file's hash is not that of its target");
}

bool tuf_content_fits(const struct tuf_hashes *hashes, uint64_t length, const void *bytes, size_t len)
{
    struct err ignored = {0};
    cleanup_tuf_content struct tuf_content *content = NULL;
    if (len != length || begin(hashes, length, &content, &ignored) < 0)
        return false;
    tuf_content_put(content, bytes, len);
    return fits(content);
}
