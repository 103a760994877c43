/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/guest/inside/init.c - the only program of the guest: process 1.
 *
 * Loads the modules named in /modules/order, starts one writer (writer.c) for each disk in the
 * kernel's argument weir.disks=vda:ordered,vdb:journal, and waits for the line "stop" on the second
 * serial port.  Then the writers end and the machine is switched off.  The kernel's own messages go
 * to the first serial port; tasks that hang HUNG_SECONDS are among them.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define HUNG_SECONDS "10"

static int port = 2;		/* the second serial port, once it is open */

void say(const char *format, ...)
{
	char line[256];
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(line, sizeof line - 1, format, list);
	va_end(list);

	if (length > (int)sizeof line - 2)
		length = sizeof line - 2;
	line[length++] = '\n';
	if (write(port, line, (size_t)length) < 0)
		_exit(99);		/* nobody can hear us */
}

static void open_port(void)
{
	struct termios settings;

	port = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (port < 0 || tcgetattr(port, &settings) < 0)
		return;
	cfmakeraw(&settings);
	cfsetspeed(&settings, B115200);
	tcsetattr(port, TCSANOW, &settings);
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		say("init ! %s: %s", path, strerror(errno));
	close(fd);
}

static void load_modules(void)
{
	char path[128] = "/modules/";
	FILE *order = fopen("/modules/order", "re");

	while (order && fgets(path + 9, sizeof path - 9, order)) {
		int fd;

		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			say("init ! %s: %s", path, strerror(errno));
		close(fd);
	}
	if (order)
		fclose(order);
}

static void wait_for_disk(const char *disk)
{
	char path[64];

	snprintf(path, sizeof path, "/dev/%s", disk);
	for (int i = 0; i < 500 && access(path, F_OK) < 0; i++)
		usleep(10000);
}

/* Start the writers that the kernel's command line names; returns how many. */
static int start_writers(pid_t *writers, int most)
{
	char line[1024] = "";
	FILE *file = fopen("/proc/cmdline", "re");
	char *disks, *rest = NULL;
	int n = 0;

	if (!file || !fgets(line, sizeof line, file))
		say("init ! no command line");
	if (file)
		fclose(file);
	disks = strstr(line, "weir.disks=");
	if (!disks)
		return 0;
	disks += strlen("weir.disks=");
	disks[strcspn(disks, " \n")] = '\0';

	for (char *one = strtok_r(disks, ",", &rest); one && n < most;
	     one = strtok_r(NULL, ",", &rest)) {
		char *mode = strchr(one, ':');

		if (!mode)
			continue;
		*mode++ = '\0';
		wait_for_disk(one);
		writers[n] = fork();
		if (writers[n] == 0)
			_exit(writer_run(one, mode));
		n++;
	}
	return n;
}

/* Whole lines that come in; true when one of them is "stop". */
static int told_to_stop(void)
{
	static char line[64];
	static size_t length;
	struct pollfd wanted = { .fd = port, .events = POLLIN };
	char c;

	while (poll(&wanted, 1, 200) > 0 && read(port, &c, 1) == 1) {
		if (c == '\n') {
			line[length] = '\0';
			length = 0;
			if (strcmp(line, "stop") == 0)
				return 1;
		} else if (length < sizeof line - 1) {
			line[length++] = c;
		}
	}
	return 0;
}

static void end_writers(const pid_t *writers, int n)
{
	int errors = 0, status;

	for (int i = 0; i < n; i++)
		kill(writers[i], SIGTERM);
	for (int i = 0; i < n; i++) {
		while (waitpid(writers[i], &status, 0) < 0 && errno == EINTR)
			;
		errors += WIFEXITED(status) ? WEXITSTATUS(status) : 100;
	}
	say("init bye %d", errors);
}

int main(void)
{
	pid_t writers[16];
	int n;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	open_port();
	say("init hello");
	set("/proc/sys/kernel/hung_task_timeout_secs", HUNG_SECONDS);
	load_modules();

	n = start_writers(writers, 16);
	say("init writers %d", n);
	while (!told_to_stop())
		;
	end_writers(writers, n);

	tcdrain(port);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
