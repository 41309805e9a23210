/* For tests: cuts the power at the k-th change of the file system, or makes the disk full there.
 *
 * Linked into a test program, it takes the place of libc's open(O_CREAT), mkostemp, write, pwrite, ftruncate,
 * fsync, fdatasync, rename, renameat2, link, unlink, unlinkat and mkdir, and counts them while armed. What
 * happens at call number `at` (from 1) is the mode:
 *
 *   CUT_KILL    the process ends just before it; everything done so far is kept (kill -9)
 *   CUT_POWER   the process ends just before it; what was not made durable by fsync is lost: data of files,
 * names in directories, each as far as the rules of POSIX allow it to be lost at all CUT_ENOSPC  the call
 * fails with ENOSPC (those that need space: open, mkostemp, write, pwrite, fsync, mkdir, link, rename), and
 * so does every later one
 *
 * The process ends with status CUT_STATUS. */
#ifndef MUSTER_ROBOT_STORE_POWERCUT_H
#define MUSTER_ROBOT_STORE_POWERCUT_H

enum powercut_mode { CUT_KILL, CUT_POWER, CUT_ENOSPC };
enum { CUT_STATUS = 77 };

/* `graveyard`: an existing directory on the same file system, outside what is tested. */
void powercut_arm(enum powercut_mode mode, long at, const char *graveyard);
long powercut_disarm(void); /* the number of calls counted */

#endif
