/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/unit/test_mount_options.c - mount options are checked, and what is for others is dropped.
 */
#include <string.h>

#include "base/cleanup.h"
#include "check.h"
#include "ctl/options.h"

static void gives(const char *text, enum options_mode mode, const char *expected)
{
	_cleanup_(freep) char *list = NULL, *why = NULL;

	check(options_add(text, mode, &list, &why) == 0);
	check(expected ? list && strcmp(list, expected) == 0 : !list);
}

static void refuses(const char *text, enum options_mode mode, const char *sentence)
{
	_cleanup_(freep) char *list = NULL, *why = NULL;

	check(options_add(text, mode, &list, &why) == -EINVAL);
	check(why && strstr(why, sentence));
}

static void test_good(void)
{
	gives(NULL, OPTIONS_STRICT, NULL);
	gives("", OPTIONS_STRICT, NULL);
	gives("rw,defaults,relatime", OPTIONS_STRICT, NULL);
	gives("passthrough=off,,threads=8,ro", OPTIONS_STRICT, "passthrough=off,threads=8,ro");
	gives("state=/tmp/../tmp", OPTIONS_STRICT, "state=/tmp");
	gives("state=/tmp/not-there-yet/", OPTIONS_STRICT, "state=/tmp/not-there-yet");
	gives("policies=/", OPTIONS_STRICT, "policies=/");
	gives("policy-group=root", OPTIONS_STRICT, "policy-group=root");
	gives("policy-group=4711", OPTIONS_STRICT, "policy-group=4711");
}

static void test_wrong(void)
{
	refuses("passthru=on", OPTIONS_STRICT, "did you mean \"passthrough\"");
	refuses("passthrough=maybe", OPTIONS_STRICT, "on or off");
	refuses("passthrough", OPTIONS_STRICT, "needs a value");
	refuses("ro=yes", OPTIONS_STRICT, "takes no value");
	refuses("threads=0", OPTIONS_STRICT, "from 2 to");
	refuses("threads=8x", OPTIONS_STRICT, "from 2 to");
	refuses("threads=+8", OPTIONS_STRICT, "from 2 to");
	refuses("policies=/not/there", OPTIONS_STRICT, "No such file");
	refuses("state=/not/there", OPTIONS_STRICT, "No such file");
	refuses("policy-group=no-such-group-here", OPTIONS_STRICT, "no such group");
	refuses("nofail", OPTIONS_STRICT, "unknown");
}

static void test_fstab(void)
{
	static const char text[] = "rw,nosuid,_netdev,nofail,noauto,x-systemd.automount,nodev,"
				   "noexec,ro,cache=none,X-mount.mkdir=0755,comment=hello";

	gives(text, OPTIONS_FSTAB, "nosuid,nodev,noexec,ro,cache=none");
	refuses("nofial", OPTIONS_FSTAB, "did you mean \"nofail\"");
	gives("frobnicate=1,ro", OPTIONS_SLOPPY, "ro");
	refuses("cache=blue", OPTIONS_SLOPPY, "auto or none");
}

static void test_adding_up_and_values(void)
{
	_cleanup_(freep) char *list = NULL, *value = NULL;

	check(options_add("ro", OPTIONS_STRICT, &list, NULL) == 0);
	check(options_add("cache=none,state=/tmp", OPTIONS_STRICT, &list, NULL) == 0);
	check(strcmp(list, "ro,cache=none,state=/tmp") == 0);
	value = options_value(list, "cache");
	check(value && strcmp(value, "none") == 0);
	check(!options_value(list, "stat") && !options_value(list, "ro"));
	check(!options_value(NULL, "ro"));
}

int main(void)
{
	test_good();
	test_wrong();
	test_fstab();
	test_adding_up_and_values();
	return 0;
}
