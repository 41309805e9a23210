/* Shared by incident_write.c and incident_verify.c. */
#ifndef MUSTER_TRUST_INCIDENT_INSIDE_H
#define MUSTER_TRUST_INCIDENT_INSIDE_H

#include "base/digest.h"
#include "base/hex.h"

#include <stdio.h>

#define INCIDENT_DOMAIN "muster-incident-v1\n"
#define INCIDENT_FACTS "muster.incident"
#define INCIDENT_CERTIFICATE "device.pem"

enum { INCIDENT_SEAL = 0x80, INCIDENT_LAST_SEAL = 0x81, INCIDENT_SEAL_BYTES = 8 + 8 + 32 };
enum { INCIDENT_SIGNED_BYTES = sizeof INCIDENT_DOMAIN - 1 + 65 };

struct incident_signed {
    char text[INCIDENT_SIGNED_BYTES + 1];
};

static inline struct incident_signed incident_signed_text(const struct digest *chain)
{
    struct incident_signed out;
    char hex[65];
    hex_encode(chain->bytes, sizeof chain->bytes, hex);
    snprintf(out.text, sizeof out.text, "%s%s\n", INCIDENT_DOMAIN, hex);
    return out;
}

#endif
