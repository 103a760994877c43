/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/watchdog.h - requests that take too long, told while they last.
 *
 * One thread looks every second at what the request threads do and at the oldest request of each
 * disk's queue.  What is older than the limit (option watchdog=SECONDS) is reported when it passes
 * it, at each doubling of its age, and when it has ended: a line in the log with file, operation,
 * stage, thread and what the kernel says that thread waits for; an event "request-slow"; and the
 * member "slow" of the status, for as long as it lasts.  It only tells: nothing is interrupted.
 *
 * Threads    any.  The watching thread never waits for a file or the owner of one.
 */
#ifndef FS_WATCHDOG_H
#define FS_WATCHDOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct fs;
struct watchdog;

/* After the session began.  *ret is NULL, and nothing is watched, with watchdog=0. */
int watchdog_new(struct fs *fs, struct watchdog **ret);
void watchdog_free(struct watchdog *w); /* accepts NULL */

/* What is slow now, of @node or (0) of all: a new array, NULL when nothing is.  @w may be NULL. */
json_t *watchdog_slow(struct watchdog *w, uint64_t node);
unsigned watchdog_busy(struct watchdog *w); /* request threads in service at the last look */

/* Is it time to report?  At @limit, then at each doubling.  *next: the caller's memory for one
 * request, 0 at its start. */
bool watchdog_due(uint64_t age, uint64_t limit, uint64_t *next);

#endif
