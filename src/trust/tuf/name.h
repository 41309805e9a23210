/* Role names, which may hold any characters, as parts of URLs and file names. Private to trust/tuf. */
#ifndef MUSTER_TRUST_TUF_NAME_H
#define MUSTER_TRUST_TUF_NAME_H

/* Percent-encoded, all but letters, digits and "_.-~": no '/' is left. free() it; NULL: out of memory. */
char *tuf_name_encode(const char *name);

#endif
