/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/orphan.c - see fs/orphan.h. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fs/orphan.h"

struct orphan_name {
	char text[24];
};

static struct orphan_name name_of(const struct node *node)
{
	struct orphan_name n;

	snprintf(n.text, sizeof n.text, "%016" PRIx64, node->id);
	return n;
}

int orphan_move(struct fs *fs, struct node *node, int dirfd, const char *name)
{
	if (renameat(dirfd, name, fs->store->orphans_fd, name_of(node).text) < 0)
		return -errno;
	atomic_fetch_or(&node->flags, NODE_ORPHAN);
	return 0;
}

int orphan_link(struct fs *fs, struct node *node, int dirfd, const char *name)
{
	struct orphan_name orphan = name_of(node);

	if (linkat(dirfd, name, fs->store->orphans_fd, orphan.text, 0) < 0)
		return -errno;
	atomic_fetch_or(&node->flags, NODE_ORPHAN);
	return 0;
}

void orphan_undo(struct fs *fs, struct node *node)
{
	atomic_fetch_and(&node->flags, ~(uint32_t)NODE_ORPHAN);
	if (unlinkat(fs->store->orphans_fd, name_of(node).text, 0) < 0)
		log_warning("cannot remove orphan %s: %s, ignoring", name_of(node).text,
			    strerror(errno));
}

/* A file with other names is no orphan: the worker that linked it here died before the rename that
 * would have taken its name.  Then only our link goes. */
void orphan_remove(struct fs *fs, struct node *node)
{
	struct stat st;
	bool known = node_attributes(fs, node, &st) == 0;
	bool stays = known && st.st_nlink > 0;

	if (known && !stays) /* for those who hold it by path only */
		node_bury(fs->nodes, node, &st);
	orphan_undo(fs, node);
	if (stays)
		return;
	node_gone(fs->nodes, node);
	fdcache_forget(fs->fds, &node->handle);
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static bool has_open_slot(struct fs *fs, uint64_t id)
{
	for (uint32_t i = 0; i < SLATE_OPENS; i++)
		if (slate_open_at(fs->slate, i)->node == id)
			return true;
	return false;
}

/* The open file of a worker before this one that lies there under @name. */
static bool is_open(struct fs *fs, const char *name)
{
	_node_ at = {.fs = fs};
	uint64_t id = 0;

	if (!fs->resumed || sscanf(name, "%16" SCNx64, &id) != 1 || !has_open_slot(fs, id))
		return false;
	if (nodes_get(fs->nodes, id, &at.node) == 0)
		atomic_fetch_or(&at.node->flags, NODE_ORPHAN);
	return true;
}

void orphans_clean(struct fs *fs)
{
	int fd = openat(fs->store->orphans_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' || is_open(fs, e->d_name))
			continue;
		if (unlinkat(fs->store->orphans_fd, e->d_name, 0) == 0)
			n++;
	}
	if (n)
		log_notice("removed %u deleted files that were open when the last mount ended", n);
}
