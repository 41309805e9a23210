#include "cli/key_file.h"

#include "base/buf.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "sys/file.h"
#include "wire/json.h"

enum { PUBLIC_MAX_BYTES = 16 << 10 };

static const struct {
    const char *type, *scheme;
} kinds[] = {
    [TUF_ED25519] = {"ed25519", "ed25519"},
    [TUF_ECDSA_P256] = {"ecdsa", "ecdsa-sha2-nistp256"},
    [TUF_RSA_PSS] = {"rsa", "rsassa-pss-sha256"},
};

void key_file_fini(struct tuf_key *key)
{
    free(key->id);
    free(key->public_text);
    *key = (struct tuf_key){0};
}

static void read_key(struct json_at root, enum tuf_scheme *scheme, char *public_text, size_t size)
{
    char type[32] = "", name[32] = "";
    JSON_ONLY(root, "keytype", "scheme", "keyval");
    json_get_string(root, "keytype", type, sizeof type);
    json_get_string(root, "scheme", name, sizeof name);
    struct json_at value = json_child(root, "keyval");
    JSON_ONLY(value, "public");
    json_get_string(value, "public", public_text, size);
    for (size_t i = TUF_ED25519; i < ARRAY_LEN(kinds); i++)
        if (str_eq(type, kinds[i].type) && str_eq(name, kinds[i].scheme))
            *scheme = (enum tuf_scheme)i;
    if (*scheme == TUF_SCHEME_UNKNOWN)
        json_fail(root, "keytype and scheme are not ed25519, ecdsa-sha2-nistp256 or rsassa-pss-sha256");
}

int key_file_read(const char *path, struct tuf_key *out, struct err *err)
{
    cleanup_buf struct buf text = BUF_INIT(PUBLIC_MAX_BYTES);
    struct json_reader reader;
    char public_text[8192] = "", id[65];
    enum tuf_scheme scheme = TUF_SCHEME_UNKNOWN;
    if (file_read(path, &text, err) < 0 || json_read(&reader, path, buf_text(&text), text.len, err) < 0)
        return -1;
    read_key(json_root(&reader), &scheme, public_text, sizeof public_text);
    if (json_finish(&reader, err) < 0 || tuf_key_id(scheme, public_text, id, err) < 0)
        return -1;
    *out = (struct tuf_key){.id = mem_strdup(id), .scheme = scheme, .public_text = mem_strdup(public_text)};
    if (out->id && out->public_text)
        return 0;
    key_file_fini(out);
    return err_no_memory(err);
}

static int write_public(const struct tuf_key *key, const char *path, struct err *err)
{
    cleanup_json_writer struct json_writer w;
    jsonw_init_indented(&w);
    jsonw_object(&w, NULL);
    jsonw_text(&w, "keytype", kinds[key->scheme].type);
    jsonw_text(&w, "scheme", kinds[key->scheme].scheme);
    jsonw_object(&w, "keyval");
    jsonw_text(&w, "public", key->public_text);
    jsonw_close(&w);
    jsonw_close(&w);
    cleanup_free char *text = jsonw_take(&w, err);
    return text ? file_create(path, text, strlen(text), 0644, err) : -1;
}

int key_file_make(const char *dir, const char *name, const char *passphrase, struct tuf_signer **out,
                  struct err *err)
{
    cleanup_tuf_signer struct tuf_signer *signer = NULL;
    cleanup_free char *private_path = mem_printf("%s/%s.key", dir, name),
                      *public_path = mem_printf("%s/%s" KEY_FILE_PUBLIC, dir, name);
    if (!private_path || !public_path)
        return err_no_memory(err);
    if (file_exists(private_path) || file_exists(public_path))
        return err_set(err, ERR_EXISTS, "%s exists; keys are never overwritten",
                       file_exists(private_path) ? private_path : public_path);
    if (file_make_dirs(dir, 0700, err) < 0 || tuf_signer_generate(TUF_ED25519, &signer, err) < 0 ||
        tuf_signer_save(signer, private_path, passphrase, err) < 0 ||
        write_public(tuf_signer_public(signer), public_path, err) < 0)
        return -1;
    *out = TAKE_PTR(signer);
    return 0;
}

int key_file_load(const char *path, char **passphrase, struct tuf_signer **out, struct err *err)
{
    if (tuf_signer_load(path, NULL, out, err) == 0)
        return 0;
    if (err->code != ERR_DENIED)
        return -1;
    *err = (struct err){0};
    if (*passphrase && tuf_signer_load(path, *passphrase, out, err) == 0)
        return 0;
    *err = (struct err){0};
    cleanup_passphrase char *asked = NULL;
    if (passphrase_ask(path, &asked, err) < 0 || tuf_signer_load(path, asked, out, err) < 0)
        return -1;
    passphrase_free(*passphrase);
    *passphrase = TAKE_PTR(asked);
    return 0;
}
