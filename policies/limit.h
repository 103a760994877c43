/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/limit.h - the settings of the stage class "limit", as written and as numbers. */
#ifndef POLICIES_LIMIT_H
#define POLICIES_LIMIT_H

#include <cyaml/cyaml.h>

#include "policies/bucket.h"

enum limit_scope {
	LIMIT_SCOPE_DISK,   /* every disk has the whole limit for itself */
	LIMIT_SCOPE_POLICY, /* all disks of the policy share one */
};

struct limit_burst_settings {
	char *iops, *bandwidth, *seconds;
};

struct limit_settings { /* as in the file; a key that is not there is NULL */
	char *iops, *bandwidth, *shares;
	struct limit_burst_settings *burst;
	enum limit_scope scope;
};

struct limit_conf {
	struct meter_conf meter;
	uint64_t shares;
	enum limit_scope scope;
};

extern const cyaml_schema_field_t limit_fields[];

/* -EINVAL: *ret_why (base/why.h) is "KEY: what is wrong; what to do". */
int limit_conf_parse(const struct limit_settings *settings, struct limit_conf *ret, char **ret_why);

#endif
