/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/catalog_walk.c - read every page of an LMDB file, believing none of them.
 *
 * LMDB checks nothing it reads, and its own structures (page headers, branch keys, the list of
 * free pages, two of its three page counters) have no checksum to be checked: a free list with a
 * page in use in it does no harm until the next commit.  So the file is walked by hand, by the
 * format that LMDB 0.9 has had since its beginning (docs/format.md repeats what is used of it).
 *
 * What holds after a good walk: each page is used once, by one tree or by the free list; all keys
 * are in order and within what the branches above promise, so a search finds what a walk finds;
 * all counters are right; all records have good checksums; nodes and handles are inverse to each
 * other; every node id was reserved; both meta pages tell of two successive transactions, and
 * each transaction says its own number.
 *
 * Each page is entered once, so a walk ends.  Every offset is checked before it is followed; only
 * a file that shrinks meanwhile, or a medium that cannot be read, can kill the process (SIGBUS).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/catalog_internal.h"
#include "base/cleanup.h"

#define LMDB_MAGIC    0xBEEFC0DE
#define LMDB_VERSION  1
#define LMDB_NO_PAGE  UINT64_MAX
#define LMDB_DEPTH    32
#define PAGE_HEADER   16
#define PAGE_BRANCH   1
#define PAGE_LEAF     2
#define PAGE_OVERFLOW 4
#define PAGE_META     8
#define NODE_HEADER   8
#define NODE_BIG      1		/* the value lies in overflow pages */
#define NODE_TABLE    2		/* the value is a struct lmdb_tree */
#define MORE_PAGES    (1 << 20) /* allocated, but never written: behind the end of the file */

/* As LMDB has them on 64 bits, in the machine's byte order. */
struct lmdb_tree {
	uint32_t pad; /* of the free list: the page size */
	uint16_t flags;
	uint16_t depth;
	uint64_t branches, leaves, overflows, entries;
	uint64_t root;
};

struct lmdb_meta {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct lmdb_tree free, main;
	uint64_t last_page;
	uint64_t transaction;
};

_Static_assert(sizeof(size_t) == 8 && sizeof(struct lmdb_meta) == 136, "LMDB's 64-bit layout");

struct walk {
	const uint8_t *map;
	size_t map_bytes;
	uint64_t pages; /* whole ones in the file */
	uint32_t page_bytes;
	uint8_t *seen; /* a bit for each page */
	const struct lmdb_meta *meta;
	const char *tree;	/* the name of the one being walked, for people */
	struct lmdb_tree found; /* counters of it */
	struct lmdb_tree table[CATALOG_TABLES];
	unsigned tables; /* bit t: table[t] is there */
	struct catalog_format format;
	struct catalog_state state;
	bool has_format, has_state;
	uint64_t node_sum, handle_sum; /* of all (handle, id); equal when they are inverse */
	struct catalog_verdict *verdict;
};

typedef int (*visit_fn)(struct walk *w, struct bytes key, unsigned flags, struct bytes value);

struct tree_walk {
	struct lmdb_tree tree;
	bool numbers; /* keys are machine numbers */
	visit_fn visit;
};

__attribute__((format(printf, 3, 4))) static int verdict(struct walk *w, int result,
							 const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(w->verdict->why, sizeof w->verdict->why, format, ap);
	va_end(ap);
	return w->verdict->result = result;
}

#define damaged(w, ...) verdict(w, -EUCLEAN, __VA_ARGS__)

static uint16_t get16(const uint8_t *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof value);
	return value;
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof value);
	return value;
}

static int page_claim(struct walk *w, uint64_t page)
{
	if (page < 2 || page > w->meta->last_page)
		return damaged(w, "%s: page %" PRIu64 " is outside of the file", w->tree, page);
	if (page >= w->pages)
		return 0; /* allocated and freed without ever being written */
	if (w->seen[page / 8] & 1u << page % 8)
		return damaged(w, "%s: page %" PRIu64 " is used twice", w->tree, page);
	w->seen[page / 8] |= 1u << page % 8;
	return 0;
}

/* A page that a tree points at. */
static int page_get(struct walk *w, uint64_t page, const uint8_t **ret)
{
	const uint8_t *p;
	int r;

	r = page_claim(w, page);
	if (r < 0)
		return r;
	if (page >= w->pages)
		return damaged(w, "%s: page %" PRIu64 " is behind the end of the file", w->tree,
			       page);

	p = w->map + page * w->page_bytes;
	if (get64(p) != page)
		return damaged(w, "%s: page %" PRIu64 " has another one's number", w->tree, page);
	*ret = p;
	return 0;
}

static int overflow_get(struct walk *w, uint64_t page, size_t len, struct bytes *ret)
{
	const uint8_t *p;
	uint32_t pages;
	int r;

	r = page_get(w, page, &p);
	if (r < 0)
		return r;
	memcpy(&pages, p + 12, sizeof pages);
	if (get16(p + 10) != PAGE_OVERFLOW || pages == 0 || pages > w->pages - page ||
	    len > (uint64_t)pages * w->page_bytes - PAGE_HEADER)
		return damaged(w, "%s: page %" PRIu64 " is no good overflow page", w->tree, page);
	for (uint32_t i = 1; i < pages; i++) {
		r = page_claim(w, page + i);
		if (r < 0)
			return r;
	}
	w->found.overflows += pages;
	*ret = (struct bytes){p + PAGE_HEADER, len};
	return 0;
}

static int compare_keys(const struct tree_walk *t, struct bytes a, struct bytes b)
{
	int r;

	if (t->numbers && a.len == 8 && b.len == 8)
		return (get64(a.data) > get64(b.data)) - (get64(a.data) < get64(b.data));
	r = memcmp(a.data, b.data, MIN(a.len, b.len));
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* One node of a page, inside of it.  *ret_size is what it takes. */
static int node_get(struct walk *w, const uint8_t *p, unsigned i, const uint8_t **ret,
		    size_t *ret_size)
{
	unsigned upper = get16(p + 14), offset = get16(p + PAGE_HEADER + 2 * i);
	const uint8_t *node = p + offset;
	size_t size;

	if (offset % 2 || offset < upper || offset + NODE_HEADER > w->page_bytes)
		return damaged(w, "%s: page %" PRIu64 " has a node outside of it", w->tree,
			       get64(p));
	size = NODE_HEADER + get16(node + 6);
	if (get16(p + 10) == PAGE_LEAF) {
		if (get16(node + 4) & NODE_BIG)
			size += 8;
		else
			size += get16(node) | (size_t)get16(node + 2) << 16;
	}
	size += size % 2;
	if (offset + size > w->page_bytes)
		return damaged(w, "%s: page %" PRIu64 " has a node longer than it", w->tree,
			       get64(p));
	*ret = node;
	*ret_size = size;
	return 0;
}

static struct bytes node_key(const uint8_t *node)
{
	return (struct bytes){node + NODE_HEADER, get16(node + 6)};
}

/* The header of a tree's page, and that its nodes fill what it says is full. */
static int page_check(struct walk *w, const uint8_t *p, unsigned kind, unsigned *ret_nodes)
{
	unsigned flags = get16(p + 10), lower = get16(p + 12), upper = get16(p + 14);
	size_t used = 0, size;
	const uint8_t *node;
	int r;

	if (flags != kind || lower < PAGE_HEADER || lower % 2 || lower > upper ||
	    upper > w->page_bytes)
		return damaged(w, "%s: page %" PRIu64 " has a damaged header", w->tree, get64(p));
	*ret_nodes = (lower - PAGE_HEADER) / 2;
	for (unsigned i = 0; i < *ret_nodes; i++) {
		r = node_get(w, p, i, &node, &size);
		if (r < 0)
			return r;
		used += size;
	}
	if (used != w->page_bytes - upper)
		return damaged(w, "%s: page %" PRIu64 " has gaps or overlaps", w->tree, get64(p));
	return 0;
}

static int leaf_node(struct walk *w, const struct tree_walk *t, const uint8_t *node)
{
	size_t len = get16(node) | (size_t)get16(node + 2) << 16;
	struct bytes key = node_key(node), value = {node + NODE_HEADER + key.len, len};
	unsigned flags = get16(node + 4);
	int r;

	if (flags & NODE_BIG) {
		r = overflow_get(w, get64(value.data), len, &value);
		if (r < 0)
			return r;
	}
	w->found.entries++;
	return t->visit(w, key, flags & ~NODE_BIG, value);
}

static int out_of_order(struct walk *w, const uint8_t *p)
{
	return damaged(w, "%s: page %" PRIu64 " has keys out of order", w->tree, get64(p));
}

/* All keys must be in [@low, @high); data NULL: no limit on that side. */
static int walk_leaf(struct walk *w, const struct tree_walk *t, const uint8_t *p, struct bytes low,
		     struct bytes high)
{
	struct bytes before = {0};
	const uint8_t *node;
	unsigned n;
	size_t size;
	int r;

	r = page_check(w, p, PAGE_LEAF, &n);
	if (r < 0)
		return r;
	w->found.leaves++;
	for (unsigned i = 0; i < n; i++) {
		struct bytes key;

		r = node_get(w, p, i, &node, &size);
		if (r < 0)
			return r;
		key = node_key(node);
		if ((low.data && compare_keys(t, key, low) < 0) ||
		    (high.data && compare_keys(t, key, high) >= 0) ||
		    (before.data && compare_keys(t, key, before) <= 0))
			return out_of_order(w, p);
		before = key;
		r = leaf_node(w, t, node);
		if (r < 0)
			return r;
	}
	return n || t->numbers ? 0 : damaged(w, "%s: an empty page", w->tree);
}

static int walk_page(struct walk *w, const struct tree_walk *t, uint64_t page, unsigned depth,
		     struct bytes low, struct bytes high)
{
	const uint8_t *p, *node, *next;
	unsigned n;
	size_t size;
	int r;

	r = page_get(w, page, &p);
	if (r < 0)
		return r;
	if (depth == 1)
		return walk_leaf(w, t, p, low, high);

	r = page_check(w, p, PAGE_BRANCH, &n);
	if (r < 0)
		return r;
	w->found.branches++;
	if (n == 0 || (n == 1 && !t->numbers))
		return damaged(w, "%s: page %" PRIu64 " has too few branches", w->tree, page);
	r = node_get(w, p, 0, &node, &size);
	for (unsigned i = 0; i < n && r == 0; i++, node = next) {
		struct bytes child_low = i ? node_key(node) : low, child_high = high;

		next = NULL;
		if (i + 1 < n) {
			r = node_get(w, p, i + 1, &next, &size);
			if (r < 0)
				return r;
			child_high = node_key(next);
		}
		if ((child_low.data && child_high.data &&
		     compare_keys(t, child_low, child_high) >= 0) ||
		    (high.data && compare_keys(t, child_high, high) > 0))
			return out_of_order(w, p);
		r = walk_page(w, t,
			      get16(node) | (uint64_t)get16(node + 2) << 16 |
				      (uint64_t)get16(node + 4) << 32,
			      depth - 1, child_low, child_high);
	}
	return r;
}

static int walk_tree(struct walk *w, const char *name, const struct tree_walk *t)
{
	struct lmdb_tree *found = &w->found;
	int r;

	w->tree = name;
	*found = (struct lmdb_tree){0};
	if (t->tree.root != LMDB_NO_PAGE) {
		if (t->tree.depth == 0 || t->tree.depth > LMDB_DEPTH)
			return damaged(w, "%s: a depth of %u", name, t->tree.depth);
		r = walk_page(w, t, t->tree.root, t->tree.depth, (struct bytes){0},
			      (struct bytes){0});
		if (r < 0)
			return r;
	} else if (t->tree.depth) {
		return damaged(w, "%s: a depth of %u without a root", name, t->tree.depth);
	}
	if (found->branches != t->tree.branches || found->leaves != t->tree.leaves ||
	    found->overflows != t->tree.overflows || found->entries != t->tree.entries)
		return damaged(w, "%s: the counters are wrong", name);
	return 0;
}

static int bad_record(struct walk *w, int r, const char *what)
{
	if (r == -EPROTO)
		return verdict(w, r, "%s: a record of a later version", w->tree);
	return damaged(w, "%s: %s", w->tree, what);
}

/* An entry of the free list: a count and the pages, the highest first. */
static int visit_free(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	const uint8_t *list = value.data;
	uint64_t n, before = LMDB_NO_PAGE;
	int r;

	if (key.len != 8 || flags || value.len < 8 || get64(key.data) == 0 ||
	    get64(key.data) > w->meta->transaction)
		return damaged(w, "free pages: a damaged entry");
	n = get64(list);
	if (n > value.len / 8 - 1)
		return damaged(w, "free pages: an entry longer than its record");
	for (uint64_t i = 1; i <= n; i++) {
		uint64_t page = get64(list + 8 * i);

		if (page >= before)
			return damaged(w, "free pages: out of order");
		before = page;
		r = page_claim(w, page);
		if (r < 0)
			return r;
	}
	return 0;
}

static int visit_main(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	struct lmdb_tree tree;

	if (flags != NODE_TABLE || value.len != sizeof tree)
		return damaged(w, "tables: an entry that is no table");
	memcpy(&tree, value.data, sizeof tree);
	for (unsigned t = 0; t < CATALOG_TABLES; t++) {
		if (key.len != strlen(catalog_table_names[t]) ||
		    memcmp(key.data, catalog_table_names[t], key.len))
			continue;
		w->table[t] = tree;
		w->tables |= 1u << t;
		if (tree.flags || tree.pad)
			return damaged(w, "tables: %s has unknown flags", catalog_table_names[t]);
		return 0;
	}
	return damaged(w, "tables: there is an unknown one");
}

static bool key_is(struct bytes key, const char *name)
{
	return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

static int visit_meta(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	int r;

	if (key_is(key, CATALOG_KEY_FORMAT)) { /* sorts before "state", which needs its key */
		r = catalog_decode_format(key, value, &w->format);
		if (r == -EPROTO)
			return verdict(w, r, "the catalog needs a later version of weir");
		if (r < 0)
			return bad_record(w, r, "the record \"format\" is damaged");
		w->has_format = true;
	} else if (key_is(key, CATALOG_KEY_STATE)) {
		r = w->has_format ? catalog_decode_state(w->format.sum_key, key, value, &w->state)
				  : -EUCLEAN;
		if (r < 0)
			return bad_record(w, r, "the record \"state\" is damaged");
		w->has_state = true;
	} else {
		return damaged(w, "meta: an unknown record");
	}
	return flags ? damaged(w, "meta: a record with unknown flags") : 0;
}

static uint64_t pair_sum(const struct walk *w, const struct handle *h, uint64_t id)
{
	uint8_t pair[8 + CATALOG_KEY_MAX], sum[crypto_shorthash_BYTES];
	size_t len = 8 + catalog_key_handle(h, pair + 8);

	put_le64(pair, id);
	crypto_shorthash(sum, pair, len, w->format.sum_key);
	return get_le64(sum);
}

static int visit_node(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	uint64_t base = (uint64_t)w->state.incarnation << CATALOG_ID_BITS;
	struct catalog_node n;
	int r;

	r = catalog_decode_node(w->format.sum_key, key, value, &n);
	if (r < 0 || flags)
		return bad_record(w, r, "a damaged record");
	if (n.id != CATALOG_ID_ROOT && (n.id <= base || n.id - base >= w->state.next))
		return damaged(w, "nodes: %#" PRIx64 " was never reserved", n.id);
	w->node_sum += pair_sum(w, &n.handle, n.id);
	return 0;
}

static int visit_handle(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	struct handle h;
	uint64_t id;
	int r;

	r = catalog_decode_handle(w->format.sum_key, key, value, &id);
	if (r == 0)
		r = catalog_key_handle_parse(key, &h);
	if (r < 0 || flags)
		return bad_record(w, r, "a damaged record");
	w->handle_sum += pair_sum(w, &h, id);
	return 0;
}

static int visit_disk(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	struct catalog_disk d;
	int r = catalog_decode_disk(w->format.sum_key, key, value, &d);

	return r < 0 || flags ? bad_record(w, r, "a damaged record") : 0;
}

static int visit_facts(struct walk *w, struct bytes key, unsigned flags, struct bytes value)
{
	struct bytes json;
	int r = catalog_decode_facts(w->format.sum_key, key, value, &json);

	return r < 0 || flags ? bad_record(w, r, "a damaged record") : 0;
}

static const visit_fn visit_table[CATALOG_TABLES] = {
	[CATALOG_META] = visit_meta,	  [CATALOG_NODES] = visit_node,
	[CATALOG_HANDLES] = visit_handle, [CATALOG_DISKS] = visit_disk,
	[CATALOG_FACTS] = visit_facts,
};

static int walk_table(struct walk *w, enum catalog_table table)
{
	struct tree_walk t = {.tree = w->table[table], .visit = visit_table[table]};

	return walk_tree(w, catalog_table_names[table], &t);
}

/* Of one transaction: its tables, and the record in which it says its number. */
static int walk_transaction(struct walk *w, const struct lmdb_meta *meta)
{
	struct tree_walk main = {.tree = meta->main, .visit = visit_main};
	int r;

	w->meta = meta;
	w->tables = 0;
	w->has_format = w->has_state = false;
	memset(w->seen, 0, w->pages / 8 + 1);
	r = walk_tree(w, "tables", &main);
	if (r < 0)
		return r;
	if (w->tables != (1u << CATALOG_TABLES) - 1)
		return damaged(w, "tables: one is missing");
	r = walk_table(w, CATALOG_META);
	if (r < 0)
		return r;
	if (!w->has_format || !w->has_state)
		return damaged(w, "meta: a record is missing");
	if (w->state.transaction != meta->transaction)
		return damaged(w, "the file is that of another transaction than it says");
	return 0;
}

static int walk_rest(struct walk *w, const struct catalog_identity *who)
{
	struct tree_walk free_list = {.tree = w->meta->free, .numbers = true, .visit = visit_free};
	int r = 0;

	if (who && (memcmp(w->format.who.fs_uuid, who->fs_uuid, sizeof who->fs_uuid) ||
		    w->format.who.root.len != who->root.len ||
		    catalog_key_handle_compare(&w->format.who.root, &who->root)))
		return verdict(w, -EXDEV, "the catalog belongs to another datastore");

	for (int t = CATALOG_META + 1; t < CATALOG_TABLES && r == 0; t++)
		r = walk_table(w, t);
	if (r < 0)
		return r;
	if (w->node_sum != w->handle_sum ||
	    w->table[CATALOG_NODES].entries != w->table[CATALOG_HANDLES].entries)
		return damaged(w, "nodes and handles do not agree");
	return walk_tree(w, "free pages", &free_list);
}

/* What LMDB itself would take from the meta page @i. */
static int meta_get(struct walk *w, unsigned i, struct lmdb_meta *ret)
{
	const uint8_t *p = w->map + i * (size_t)w->page_bytes;

	memcpy(ret, p + PAGE_HEADER, sizeof *ret);
	if (get64(p) != i || get16(p + 10) != PAGE_META || ret->magic != LMDB_MAGIC ||
	    ret->free.flags != MDB_INTEGERKEY || ret->free.pad != w->page_bytes ||
	    ret->main.flags || ret->main.pad || ret->address)
		return damaged(w, "meta page %u is damaged", i);
	if (ret->version != LMDB_VERSION)
		return verdict(w, -EPROTO, "an LMDB file of version %u", ret->version);
	if (ret->last_page < 1 || ret->last_page >= w->pages + MORE_PAGES)
		return damaged(w, "meta page %u: more pages than the file has", i);
	return 0;
}

/* A commit writes the meta page of its parity, so the two always follow one another.  LMDB
 * takes the higher one; a number that was changed must not bring the older state back. */
static int walk_both(struct walk *w, const struct catalog_identity *who)
{
	struct lmdb_meta meta[2];
	unsigned newest;
	int r;

	for (unsigned i = 0; i < 2; i++) {
		r = meta_get(w, i, &meta[i]);
		if (r < 0)
			return r;
	}
	newest = meta[1].transaction > meta[0].transaction;
	if (meta[newest].transaction != meta[!newest].transaction + 1 ||
	    meta[newest].transaction % 2 != newest)
		return damaged(w, "the two meta pages do not follow one another");
	if (meta[!newest].transaction > 0) {
		r = walk_transaction(w, &meta[!newest]);
		if (r < 0)
			return r;
	}
	r = walk_transaction(w, &meta[newest]);
	if (r < 0)
		return r;
	return walk_rest(w, who);
}

static int walk_map(struct walk *w, int fd, const struct catalog_identity *who)
{
	struct stat st;
	void *map;
	int r;

	if (fstat(fd, &st) < 0)
		return verdict(w, -errno, "cannot be read: %m");
	if (!S_ISREG(st.st_mode))
		return damaged(w, "it is no file");
	w->page_bytes = sysconf(_SC_PAGESIZE); /* LMDB's at creation */
	w->pages = st.st_size / w->page_bytes;
	if (w->pages < 2)
		return damaged(w, "the file is too short");
	w->map_bytes = w->pages * w->page_bytes;
	w->seen = calloc(1, w->pages / 8 + 1);
	map = mmap(NULL, w->map_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (!w->seen || map == MAP_FAILED) {
		free(w->seen);
		return verdict(w, -ENOMEM, "no memory to read it");
	}
	w->map = map;
	r = walk_both(w, who);
	munmap(map, w->map_bytes);
	free(w->seen);
	return r;
}

void catalog_walk(const char *path, const struct catalog_identity *who, struct catalog_verdict *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct walk w = {.verdict = ret, .tree = ""};

	*ret = (struct catalog_verdict){0};
	if (fd < 0)
		verdict(&w, -errno, "cannot be opened: %m");
	else
		walk_map(&w, fd, who);
}
