/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/stack.h - what a kind of stage declares, and building the stack of one disk.
 *
 * A stage class is one file, one row of the table in base/stages.c and one page in docs/.  A
 * policy names classes and gives each its settings; the builder puts the chosen ones in the
 * order of their rank, whatever order the policy file has, with the leaf at the bottom.
 *
 * The table is in no library: a program adds stages_sources (base/meson.build) and what it names,
 * a unit test brings its own table.
 *
 * Invariant  a stage that persists bytes or sends them away never sits above the sealing stage
 *            (seals == true) of the same stack: below that line everything that leaves this
 *            memory is sealed.  The builder refuses any other order with -EINVAL, and a class
 *            whose table of operations has an empty member with -ENOSYS.
 * Open       runs from the leaf to the top, close from the top to the leaf.
 */
#ifndef BASE_STACK_H
#define BASE_STACK_H

#include <cyaml/cyaml.h>
#include <jansson.h>

#include "base/stage.h"

/* Ranks leave room between them; a byte on its way down meets the lowest rank first. */
enum stage_rank {
	STAGE_RANK_INSPECT = 100,
	STAGE_RANK_LIMIT = 200,
	STAGE_RANK_SEAL = 500,
	STAGE_RANK_JOURNAL = 600,
	STAGE_RANK_CACHE = 700,
};

struct stage_class {
	const char *name; /* the key in a policy file and the word in a status */
	unsigned rank;    /* enum stage_rank; unique in the table */
	bool persists;    /* keeps bytes somewhere else than in the backing file */
	bool sends;       /* gives bytes to another host */
	bool seals;       /* the trust line */

	/* Settings in the policy file: a C struct of @settings_size bytes which libcyaml fills
	 * by @fields (NULL: there are none).  check says what is wrong with values the schema
	 * cannot judge: -EINVAL and "KEY: what is wrong; what to do" in *ret_why (base/why.h),
	 * KEY below the stage's own, such as "burst.iops".  May be NULL. */
	size_t settings_size;
	const cyaml_schema_field_t *fields;
	int (*check)(const void *settings, char **ret_why);

	/* What all disks of one policy share (a pool of IOPS, say).  May be NULL; a new version
	 * of the policy is told to the old pool through pool_update and keeps its disks. */
	int (*pool_new)(const void *settings, void **ret);
	int (*pool_update)(void *pool, const void *settings);
	void (*pool_free)(void *pool);

	/* A closed stage above @next, of at least its block.  @settings is copied, @pool (or NULL)
	 * must outlive the stage.  The builder opens it. */
	int (*create)(const void *settings, void *pool, struct stage *next, struct stage **ret);

	/* New settings for a stage in use; NULL: the stack is rebuilt under a drain instead. */
	int (*update)(struct stage *st, const void *settings);

	/* The stack is about to be taken apart: from now on make nobody wait, and let those go who
	 * do.  Called while requests run; NULL: the stage never makes anybody wait. */
	void (*hurry)(struct stage *st);

	/* Counters for people and monitoring, a new JSON object; may be NULL. */
	json_t *(*stats)(struct stage *st);
};

/* All classes there are, ended by NULL: the one table that names them (base/stages.c). */
extern const struct stage_class *const stage_classes[];

const struct stage_class *stage_class_find(const char *name); /* NULL: no such class */

/* One chosen stage of a policy. */
struct stack_part {
	const struct stage_class *class;
	const void *settings; /* borrowed during stack_new */
	void *pool;           /* borrowed until stack_free */
};

struct stack;

/* Build and open a stack of @parts (any order) on @leaf, which must be open.
 *
 * On success *ret owns the stages and the leaf; on failure the leaf stays the caller's, open.
 *
 * -EINVAL  a class twice, two trust lines, an order that puts plaintext below the trust line, or
 *          a stage with a smaller block than the one below it
 * -ENOSYS  a class with an empty operation
 * -ENOMEM, or what a stage's create or open returned
 */
int stack_new(struct stage *leaf, const struct stack_part *parts, size_t n, struct stack **ret);

/* Close top to leaf and free.  Accepts NULL.  Call stack_drain first if the data matters. */
void stack_free(struct stack *s);

/* As stack_free, but the leaf stays open and is returned: for changing a stack in place. */
struct stage *stack_take_leaf(struct stack *s);

struct stage *stack_top(struct stack *s); /* the leaf when there are no parts */
size_t stack_depth(struct stack *s);      /* stages above the leaf */

/* Drain every stage, top first, each telling the next: 0 when nothing is owed any more. */
int stack_drain(struct stack *s);

/* Hurry every stage, before somebody waits until nothing is in flight.  The stack must be taken
 * apart or freed then: there is no way back. */
void stack_hurry(struct stack *s);

/* Somebody changed the file's size behind us and no stage minds: take the new size. */
void stack_note_size(struct stack *s, uint64_t size);

/* {"inspect": {...}, "limit": {...}}, a new reference; {} when no stage has counters. */
json_t *stack_stats(struct stack *s);

/* New settings for the stage of @part->class; -ENOTSUP when the stack has to be rebuilt: there is
 * no such stage in it, or it cannot take them. */
int stack_update(struct stack *s, const struct stack_part *part);

#endif
