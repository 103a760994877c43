/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/ledger.h - what the holder knows of its mount, in memory that workers read.
 *
 * A memfd, sealed against growing and shrinking.  Only the holder writes it; the worker maps it
 * read-only.  It goes on with /dev/fuse and the slate: into systemd's descriptor store, and to
 * a holder that takes over from one that died.
 *
 * Invariant  backing[slot] is the id of a backing file that the kernel holds for the open slot of
 *            that index (fs/slate.h), or 0.  It is written after the kernel gave the id and before
 *            the worker hears of it, and zeroed after the kernel closed it: so an id never leaks
 *            over the death of either.
 */
#ifndef FS_LEDGER_H
#define FS_LEDGER_H

#include <stdint.h>

#define LEDGER_MAGIC   0x3172676c72696577ull /* "weirlgr1" */
#define LEDGER_VERSION 1u
#define LEDGER_SLOTS   65536u

struct ledger {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t device;   /* of the mount; 0: not mounted yet */
	int32_t holder;	   /* pids; 0: none */
	int32_t worker;
	int32_t broker;
	uint32_t starts;   /* of workers, since the mount */
	uint32_t upgrades;
	int32_t last_status; /* of the worker before this one, as from waitpid; 0: there was none */
	uint64_t last_end;   /* when that was: CLOCK_REALTIME in ns */
	uint64_t last_pause_ns; /* from its end to the next one's READY */
	uint64_t ready;	   /* when this one was: CLOCK_REALTIME in ns; 0: not yet */
	uint32_t back_off_ms; /* waited before its start */
	uint32_t store;	   /* 1: systemd's descriptor store has our descriptors */
	int32_t backing[LEDGER_SLOTS];
};

#endif
