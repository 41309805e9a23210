/* TUF metadata written: structs to the canonical bytes of `signed`, and the envelope around them. The counterpart of metadata.h. */
#ifndef MUSTER_WIRE_TUF_FORMAT_H
#define MUSTER_WIRE_TUF_FORMAT_H

#include "wire/tuf/metadata.h"

/* The canonical bytes of `signed` from the struct's members (signed_text and signatures are not looked at); free() them. Hashes: sha256 is
 * written if there, sha512 if there. spec_version "" becomes "1.0.34". Errors: INVALID for what metadata.h would not take back. */
char *tuf_signed_format(const struct tuf_metadata *metadata, size_t *out_len, struct err *err);

/* The whole file from metadata->signed_text and metadata->signatures; free() it. `signed` is written exactly as signed_text, so that
 * unknown members of metadata that somebody else made are kept. */
char *tuf_envelope_format(const struct tuf_metadata *metadata, struct err *err);

#endif
