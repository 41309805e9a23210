/* RUN_DIR/door: a directory with nothing in it but a second name of the guard's socket. It is what a jail gets
 * to see of RUN_DIR, in which there are logs, locks and other sockets. */
#ifndef MUSTER_ROBOT_JAIL_DOOR_H
#define MUSTER_ROBOT_JAIL_DOOR_H

#include "base/err.h"

char *door_path(const char *run_dir); /* absolute where RUN_DIR exists; free() it; NULL: out of memory */

/* Makes the directory. Before the first runner. */
int door_make(const char *run_dir, struct err *err) must_check;
/* Puts the guard's socket that is there now in place of the former one, atomically. NOT_FOUND: there is none. */
int door_open(const char *run_dir, struct err *err) must_check;

#endif
