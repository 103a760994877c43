/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fs/file_users.c - see fs/file_users.h. */
#include <string.h>

#include "base/cleanup.h"
#include "fs/broker.h"
#include "fs/file_users.h"

static void add_line(json_t *list, char *line)
{
	char *command;
	json_t *one = json_object();

	json_object_set_new(one, "pid", json_integer(strtol(line, &command, 10)));
	command += *command == ' ';
	json_object_set_new(one, "command", json_string_nocheck(command));
	json_array_append_new(list, one);
}

json_t *file_users_find(struct broker_client *broker, dev_t device, dev_t backing, ino_t ino)
{
	_cleanup_(freep) char *text = NULL;
	json_t *list = json_array();
	char *next;

	if (broker_file_users(broker, device, backing, ino, &text) < 0)
		return list;
	for (char *line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		add_line(list, line);
	}
	return list;
}
