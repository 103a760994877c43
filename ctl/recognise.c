/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ctl/recognise.c - weir-recognise: say what the file on descriptor 0 is.
 *
 * What it prints, and when it exits with what, is in ctl/recognise.h.  It gives up all it does
 * not need before the first byte is read, so that a parser which a hostile file takes over can
 * read that file and print a line, nothing else.  The daemon trusts the line no further: names in
 * it are resolved there, below the datastore.  A limit of time is the daemon's.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/confine.h"
#include "ctl/recognise.h"

static const struct confine_limits limits = {
	.cpu_seconds = 2,
	.address_space = 256u << 20,
};

/* jansson would take its seed from /dev/urandom, which cannot be opened later. */
static void seed_json(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		seed = (size_t)getpid();
	json_object_seed(seed | 1);
}

static int fail(const char *what, int r)
{
	char line[256];
	int n;

	/* Not dprintf, which asks the descriptor for its offset: no call for this process. */
	n = snprintf(line, sizeof line, "weir-recognise: %s: %s\n", what, strerror(-r));
	if (write(STDERR_FILENO, line, MIN((size_t)n, sizeof line - 1)) < 0)
		return EXIT_FAILURE; /* nobody is left to tell */
	return EXIT_FAILURE;
}

static int write_all(const char *line)
{
	size_t len = strlen(line);
	ssize_t n;

	while (len > 0) {
		n = write(STDOUT_FILENO, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		line += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A seSparse or broken disk is an answer; an error is that there is none. */
static int answer(uint64_t size)
{
	struct input in = {.fd = STDIN_FILENO, .size = size};
	_cleanup_(seen_done) struct seen s = {0};
	_cleanup_(freep) char *line = NULL;
	int r;

	r = recognise(&in, &s);
	if (r < 0)
		return r;
	libvmdk_compare(&s);
	line = seen_json(&s);
	if (!line)
		return -ENOMEM;
	return write_all(line);
}

int main(int argc, char **argv)
{
	struct stat st;
	int r;

	if (argc > 1) {
		dprintf(STDERR_FILENO, "usage: %s < FILE\n", argv[0]);
		return EXIT_FAILURE;
	}
	if (fstat(STDIN_FILENO, &st) < 0)
		return fail("standard input", -errno);
	if (!S_ISREG(st.st_mode)) {
		dprintf(STDERR_FILENO, "weir-recognise: standard input is no regular file\n");
		return EXIT_FAILURE;
	}
	seed_json();
	r = confine_reader(&limits);
	if (r < 0)
		return fail("confinement", r);

	r = answer((uint64_t)st.st_size);
	if (r < 0)
		return fail("no answer", r);
	return EXIT_SUCCESS;
}
