/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/broker_rig.h - a real weir-broker whose weir-recognise is a script of the test's. */
#ifndef TESTS_UNIT_BROKER_RIG_H
#define TESTS_UNIT_BROKER_RIG_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fs/broker.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

struct broker_rig {
	const char *dir;
	pid_t pid; /* of the broker */
	struct broker_client *client;
};

static inline void rig_script(const struct broker_rig *rig, const char *body)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/weir-recognise", rig->dir);
	unlink(path);
	f = fopen(path, "w");
	check(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	check(chmod(path, 0755) == 0);
}

static inline void rig_copy_broker(const char *dir)
{
	char command[8192];

	snprintf(command, sizeof command, "cp " WEIR_BROKER " %s/weir-broker", dir);
	check(system(command) == 0);
}

/* The socket of a broker that nobody said hello to. */
static inline int rig_start(struct broker_rig *rig, const char *dir)
{
	char path[4096];
	int ends[2];

	*rig = (struct broker_rig){.dir = dir};
	rig_copy_broker(dir);
	rig_script(rig, "exit 0");
	snprintf(path, sizeof path, "%s/weir-broker", dir);
	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	rig->pid = fork();
	if (rig->pid == 0) {
		dup2(ends[1], 60);
		dup2(60, BROKER_SOCKET);
		execl(path, path, NULL);
		_exit(127);
	}
	close(ends[1]);
	return ends[0];
}

/* With the scratch directory as its datastore. */
static inline void rig_open(struct broker_rig *rig, const char *dir)
{
	int socket = rig_start(rig, dir), root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	check(root >= 0 && broker_client_new(socket, root, &rig->client) == 0);
	close(root);
}

/* The broker ends when we are gone. */
static inline void rig_close(struct broker_rig *rig)
{
	int status;

	broker_client_free(rig->client);
	check(waitpid(rig->pid, &status, 0) == rig->pid && status == 0);
}

#endif
