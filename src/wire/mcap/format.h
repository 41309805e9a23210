/* MCAP (mcap.dev/spec, version 0): a file of time-stamped messages that stock tools open. What of it Muster writes:
 *
 *   magic  89 "MCAP0" CR LF
 *   data      Header │ Schema, Channel … │ Metadata, Attachment … │ ( Chunk │ MessageIndex … │ private ) … │ DataEnd
 *   summary   Schema … │ Channel … │ Statistics │ ChunkIndex … │ AttachmentIndex … │ MetadataIndex …
 *   offsets   SummaryOffset, one per kind above
 *             private …
 *   Footer    where summary and offsets begin, CRC-32 from the summary up to here
 *   magic
 *
 *   record    opcode (u8) │ length (u64) │ body        numbers are little-endian, text is u32 length and UTF-8
 *   Chunk     times │ size and CRC-32 of the plain records │ "zstd" or "" │ records (Message only)
 *   DataEnd   CRC-32 from the first byte of the file up to DataEnd
 *
 * Opcodes from 0x80 are nobody's: readers skip them. Muster's own use of them is trust/incident.h.
 */
#ifndef MUSTER_WIRE_MCAP_FORMAT_H
#define MUSTER_WIRE_MCAP_FORMAT_H

#include <stdint.h>

enum mcap_opcode {
    MCAP_HEADER = 0x01,
    MCAP_FOOTER,
    MCAP_SCHEMA,
    MCAP_CHANNEL,
    MCAP_MESSAGE,
    MCAP_CHUNK,
    MCAP_MESSAGE_INDEX,
    MCAP_CHUNK_INDEX,
    MCAP_ATTACHMENT,
    MCAP_ATTACHMENT_INDEX,
    MCAP_STATISTICS,
    MCAP_METADATA,
    MCAP_METADATA_INDEX,
    MCAP_SUMMARY_OFFSET,
    MCAP_DATA_END,
    MCAP_PRIVATE = 0x80 /* the first of them */
};

#define MCAP_MAGIC "\x89MCAP0\r\n"
enum { MCAP_MAGIC_BYTES = 8, MCAP_HEAD_BYTES = 9 /* opcode and length */, MCAP_FOOTER_BYTES = 20 };
enum { MCAP_MAX_CHANNELS = 16, MCAP_MAX_CHUNK_BYTES = 16 << 20 /* plain */ };

#endif
