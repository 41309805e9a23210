/* Which commands this robot has seen: none is carried out twice, also not after a kill -9, a power cut or a stepped clock.
 *
 *   STATE_DIR/commands.json   {"schema": 1, "floor_ms": …, "seen": [{"nonce", "expires_ms"}], "rolling": "alice" or ""}
 *
 * - A nonce is kept until its command has expired by this robot's clock; it is on the disk before the command is carried out
 *   (STOP: after, and if the disk is full all the same).
 * - What is dropped raises the floor to its expires_ms, the operator's own word: a command that expires at or before the floor
 *   and is not known might be one of those, and is refused. So a clock that was ahead and is put right opens no door, and
 *   shuts it for 5 minutes at most. STOP does not care for the floor.
 * - At most COMMAND_MEMORY_MAX are kept; the one that expires first is dropped for a new one.
 * - A damaged file is set aside, and the floor is put behind everything that may have been signed until now.
 *
 * `rolling`: a rollback of that operator is under way, and the guard was told to answer with the fallback until then.
 */
#ifndef MUSTER_ROBOT_AGENT_COMMAND_MEMORY_H
#define MUSTER_ROBOT_AGENT_COMMAND_MEMORY_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/command.h"

#include <stdbool.h>
#include <stdint.h>

enum { COMMAND_MEMORY_MAX = 1024 };

struct command_memory;

/* `path` is copied. A missing file is an empty memory. */
int command_memory_open(const char *path, int64_t now_ms, struct command_memory **out,
                        struct err *err) must_check;
void command_memory_free(struct command_memory *memory);
MUSTER_CLEANUP(struct command_memory *, command_memory_free)
#define cleanup_command_memory __attribute__((cleanup(command_memory_freep)))

/* REFUSED if the command was seen before, or may have been. */
int command_memory_check(const struct command_memory *memory, const struct command *command,
                         struct err *err) must_check;
/* From now on it was seen; on the disk when 0 is returned, else only in memory. */
int command_memory_add(struct command_memory *memory, const struct command *command, int64_t now_ms,
                       struct err *err) must_check;

const char *command_memory_rolling(const struct command_memory *memory); /* "": nobody */
int command_memory_set_rolling(struct command_memory *memory, const char *who, struct err *err) must_check;

#endif
