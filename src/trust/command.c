#include "trust/command.h"
#include "base/mem.h"

static const struct envelope_form form = {
    .noun = "command", .domain = "muster-command-v1\n", .max_bytes = COMMAND_MAX_BYTES};

int command_envelope_parse(const void *text, size_t len, struct envelope *out, struct err *err)
{
    return envelope_parse(&form, text, len, out, err);
}

char *command_envelope_format(const struct envelope *envelope)
{
    return envelope_format(&form, envelope);
}

char *command_sign(const struct command *command, const struct signing_key *key, struct err *err)
{
    cleanup_free char *text = command_format(command);
    if (text)
        return envelope_sign(&form, text, strlen(text), key, err);
    err_set(err, ERR_INVALID, "the command cannot be written; is its reason UTF-8?");
    return NULL;
}

int command_open(const struct envelope *envelope, const struct keyring *operators, struct command *out,
                 struct err *err)
{
    if (command_parse(envelope->bytes, envelope->len, out, err) < 0)
        return -1;
    if (envelope_check(&form, envelope, operators, out->operator_name, err) == 0)
        return 0;
    command_fini(out);
    return -1;
}
