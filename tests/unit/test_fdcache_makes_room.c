/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the process has no descriptors left the cache closes its idle ones, although its capacity
 * allows them; when all are borrowed the caller gets EMFILE. */
#include <sys/resource.h>

#include "base/fdcache.h"
#include "tests/unit/backing.h"

#define FILES 40

int main(void)
{
	struct fdref *refs[FILES] = {NULL};
	struct handle files[FILES];
	struct rlimit limit;
	struct fdcache *c;
	char name[12];
	int r = 0;

	check(fdcache_new(backing_make(), 1000, &c) == 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%u", i);
		files[i] = backing_file(name, 0);
	}
	check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)backing_fd + 20;
	check(setrlimit(RLIMIT_NOFILE, &limit) == 0);

	for (unsigned i = 0; i < FILES; i++) {
		check(fdcache_get(c, &files[i], FD_READ, &refs[0]) == 0);
		fdref_put(refs[0]);
	}
	check(fdcache_open_count(c) < 20);

	for (unsigned i = 0; i < FILES && r == 0; i++) {
		refs[i] = NULL;
		r = fdcache_get(c, &files[i], FD_READ, &refs[i]);
	}
	check(r == -EMFILE);
	for (unsigned i = 0; i < FILES && refs[i]; i++)
		fdref_put(refs[i]);
	fdcache_free(c);
	return 0;
}
