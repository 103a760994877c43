/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads, disks that come and go, settings that change: no I/O is lost in a line.
 *
 * Made for the thread sanitizer.  A lost wake-up shows as a test that does not end. */
#include <pthread.h>

#include "base/cleanup.h"
#include "tests/unit/limit_rig.h"

#define DISKS	3
#define READERS 3 /* of each disk */
#define LIFES	4 /* of each disk */
#define READS	40

static void *gate;
static struct limit_settings shared = {.iops = (char *)"5000", .scope = LIMIT_SCOPE_POLICY};
static _Atomic bool over;

static void *read_some(void *data)
{
	rig_reads(data, READS, 4096);
	return NULL;
}

/* A disk that is opened, used by several, and closed, again and again. */
static void *live(void *data)
{
	for (int life = 0; life < LIFES; life++) {
		struct stack *s = rig_disk("limit", &shared, gate);
		pthread_t readers[READERS];

		for (int i = 0; i < READERS; i++)
			check(pthread_create(&readers[i], NULL, read_some, s) == 0);
		for (int i = 0; i < READERS; i++)
			check(pthread_join(readers[i], NULL) == 0);
		check(rig_count(s, "limit", "waiting") == 0);
		stack_free(s);
	}
	return NULL;
}

static void *change(void *data)
{
	const struct stage_class *class = stage_class_find("limit");
	static const char *const rates[] = {"5000", "1000", "20000", "2000"};

	for (unsigned i = 0; !over; i++) {
		struct limit_settings settings = {.iops = (char *)rates[i % ARRAY_SIZE(rates)],
						  .scope = LIMIT_SCOPE_POLICY};

		check(class->pool_update(gate, &settings) == 0);
		pause_seconds(0.003);
	}
	return NULL;
}

int main(void)
{
	const struct stage_class *class = stage_class_find("limit");
	pthread_t disks[DISKS], changer;

	check(class->pool_new(&shared, &gate) == 0);
	check(pthread_create(&changer, NULL, change, NULL) == 0);
	for (int i = 0; i < DISKS; i++)
		check(pthread_create(&disks[i], NULL, live, NULL) == 0);
	for (int i = 0; i < DISKS; i++)
		check(pthread_join(disks[i], NULL) == 0);
	over = true;
	check(pthread_join(changer, NULL) == 0);
	class->pool_free(gate);
	return 0;
}
