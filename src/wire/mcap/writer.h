/* Writes an MCAP file (format.h) front to back into a sink: nothing is ever rewritten, so that the sink may hash what
 * passes, and a file that breaks off is noticed.
 *
 *     mcap_writer_new(&options, &w, &err);
 *     mcap_writer_channel(w, &(struct mcap_topic){.topic = "/log", .schema_name = …, .schema = …}, &id, &err);
 *     mcap_writer_message(w, id, &(struct mcap_stamp){…}, json, len, &err);           chunks close by themselves
 *     mcap_writer_finish(w, &err);                                                    summary, footer, magic
 *
 * After an error the writer is of no more use. Pure but for the sink and the memory it takes: one chunk plain, one
 * packed, and 16 bytes per message of it.
 */
#ifndef MUSTER_WIRE_MCAP_WRITER_H
#define MUSTER_WIRE_MCAP_WRITER_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/mcap/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mcap_writer;

struct mcap_options {
    int (*sink)(const void *data, size_t len, void *arg, struct err *err);
    /* Called behind each chunk with its message indexes, and once more right before the footer, for private records
     * (mcap_writer_private). NULL: none. */
    int (*after_chunk)(struct mcap_writer *w, void *arg, struct err *err);
    int (*before_footer)(struct mcap_writer *w, void *arg, struct err *err);
    void *arg;
    const char *library; /* who wrote the file */
    size_t chunk_bytes;  /* plain; a chunk closes when it has reached so many; at most MCAP_MAX_CHUNK_BYTES */
    bool plain;          /* chunks are not compressed */
};

struct mcap_topic {
    const char *topic;       /* "/frames" */
    const char *schema_name; /* "foxglove.CompressedImage" */
    const char *schema;      /* JSON Schema; messages are JSON */
};

struct mcap_stamp {
    uint32_t seq;
    uint64_t log_ns, publish_ns; /* Unix time */
};

struct mcap_pair {
    const char *key, *value;
};

int mcap_writer_new(const struct mcap_options *options, struct mcap_writer **out, struct err *err) must_check;
void mcap_writer_free(struct mcap_writer *w);
MUSTER_CLEANUP(struct mcap_writer *, mcap_writer_free)
#define cleanup_mcap_writer __attribute__((cleanup(mcap_writer_freep)))

/* TOO_BIG beyond MCAP_MAX_CHANNELS. */
int mcap_writer_channel(struct mcap_writer *w, const struct mcap_topic *topic, uint16_t *out_id,
                        struct err *err) must_check;
int mcap_writer_message(struct mcap_writer *w, uint16_t channel, const struct mcap_stamp *stamp,
                        const void *data, size_t len, struct err *err) must_check;
/* These close the open chunk first. */
int mcap_writer_metadata(struct mcap_writer *w, const char *name, const struct mcap_pair *pairs, size_t count,
                         struct err *err) must_check;
int mcap_writer_attach(struct mcap_writer *w, const char *name, const char *media_type, uint64_t time_ns,
                       const void *data, size_t len, struct err *err) must_check;
int mcap_writer_flush(struct mcap_writer *w, struct err *err) must_check;
int mcap_writer_finish(struct mcap_writer *w, struct err *err) must_check;

/* From within the two calls above only. */
int mcap_writer_private(struct mcap_writer *w, uint8_t opcode, const void *data, size_t len,
                        struct err *err) must_check;
uint64_t mcap_writer_offset(const struct mcap_writer *w); /* bytes written */

#endif
