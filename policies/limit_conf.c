/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/limit_conf.c - reading the settings of the stage class "limit".
 *
 * Refuses what would stop a disk or is surely a slip of the pen: a limit of 0, a bandwidth below
 * 64 KiB a second (a forgotten M), a burst below its limit, a burst of more than an hour.
 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "base/why.h"
#include "policies/limit.h"
#include "policies/limiter.h"

#define IOPS_MAX	  UINT64_C(1000000000)
#define BANDWIDTH_MIN	  (UINT64_C(64) << 10)
#define BANDWIDTH_MAX	  (UINT64_C(1) << 40)
#define BURST_SECONDS	  10
#define BURST_SECONDS_MAX 3600
#define SHARES_DEFAULT	  1000

static const cyaml_strval_t scopes[] = {
	{"disk", LIMIT_SCOPE_DISK},
	{"policy", LIMIT_SCOPE_POLICY},
};

#define OPTIONAL_TEXT(key, type, member)                                                           \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1,     \
			       CYAML_UNLIMITED)

static const cyaml_schema_field_t burst_fields[] = {
	OPTIONAL_TEXT("iops", struct limit_burst_settings, iops),
	OPTIONAL_TEXT("bandwidth", struct limit_burst_settings, bandwidth),
	OPTIONAL_TEXT("seconds", struct limit_burst_settings, seconds),
	CYAML_FIELD_END,
};

const cyaml_schema_field_t limit_fields[] = {
	OPTIONAL_TEXT("iops", struct limit_settings, iops),
	OPTIONAL_TEXT("bandwidth", struct limit_settings, bandwidth),
	CYAML_FIELD_MAPPING_PTR("burst", CYAML_FLAG_OPTIONAL, struct limit_settings, burst,
				burst_fields),
	OPTIONAL_TEXT("shares", struct limit_settings, shares),
	CYAML_FIELD_ENUM("scope", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct limit_settings,
			 scope, scopes, ARRAY_SIZE(scopes)),
	CYAML_FIELD_END,
};

static int wrong(char **ret_why, const char *key, const char *what)
{
	return why_set(-EINVAL, ret_why, "%s: %s", key, what);
}

typedef int parse_fn(const char *text, uint64_t *ret, const char **ret_why);

/* @text, if there is one, as a number between @min and @max. */
static int parse(const char *key, const char *text, parse_fn *fn, uint64_t min, uint64_t max,
		 const char *range, uint64_t *ret, char **ret_why)
{
	const char *what;
	uint64_t n;

	if (!text)
		return 0;
	if (fn(text, &n, &what) < 0)
		return wrong(ret_why, key, what);
	if (n < min || n > max)
		return wrong(ret_why, key, range);

	*ret = n;
	return 0;
}

static int parse_iops(const char *key, const char *text, uint64_t *ret, char **ret_why)
{
	return parse(key, text, parse_number, 1, IOPS_MAX,
		     "out of range; write 1 to 1000000000, or leave it out for no limit", ret,
		     ret_why);
}

static int parse_bandwidth(const char *key, const char *text, uint64_t *ret, char **ret_why)
{
	return parse(key, text, parse_size, BANDWIDTH_MIN, BANDWIDTH_MAX,
		     "out of range; write 64K to 1T (bytes a second), such as 200M, or leave it "
		     "out for no limit",
		     ret, ret_why);
}

/* A burst goes beyond something, or it is a slip of the pen. */
static int check_burst(const char *key, uint64_t burst, const char *base_key, uint64_t base,
		       char **ret_why)
{
	char what[160];

	if (burst == 0)
		return 0;
	if (base == 0)
		snprintf(what, sizeof what, "needs %s beside burst; add it", base_key);
	else if (burst <= base)
		snprintf(what, sizeof what, "not above %s; write a larger one, or leave it out",
			 base_key);
	else
		return 0;
	return wrong(ret_why, key, what);
}

static int parse_burst(const struct limit_burst_settings *burst, struct meter_conf *m,
		       char **ret_why)
{
	int r;

	m->burst_ns = BURST_SECONDS * BUCKET_SECOND_NS;
	if (!burst)
		return 0;
	if (!burst->iops && !burst->bandwidth)
		return wrong(ret_why, "burst", "neither iops nor bandwidth; write one of them");

	r = parse_iops("burst.iops", burst->iops, &m->burst_iops, ret_why);
	if (r < 0)
		return r;
	r = parse_bandwidth("burst.bandwidth", burst->bandwidth, &m->burst_bandwidth, ret_why);
	if (r < 0)
		return r;
	r = parse("burst.seconds", burst->seconds, parse_duration_ns, BUCKET_SECOND_NS,
		  BURST_SECONDS_MAX * BUCKET_SECOND_NS, "out of range; write 1 to 3600",
		  &m->burst_ns, ret_why);
	if (r < 0)
		return r;

	r = check_burst("burst.iops", m->burst_iops, "iops", m->iops, ret_why);
	if (r < 0)
		return r;
	return check_burst("burst.bandwidth", m->burst_bandwidth, "bandwidth", m->bandwidth,
			   ret_why);
}

int limit_conf_parse(const struct limit_settings *settings, struct limit_conf *ret, char **ret_why)
{
	struct limit_conf c = {.shares = SHARES_DEFAULT, .scope = settings->scope};
	int r;

	r = parse_iops("iops", settings->iops, &c.meter.iops, ret_why);
	if (r < 0)
		return r;
	r = parse_bandwidth("bandwidth", settings->bandwidth, &c.meter.bandwidth, ret_why);
	if (r < 0)
		return r;
	r = parse_burst(settings->burst, &c.meter, ret_why);
	if (r < 0)
		return r;
	r = parse("shares", settings->shares, parse_number, 1, LIMITER_SHARES_MAX,
		  "out of range; write 1 to 100000", &c.shares, ret_why);
	if (r < 0)
		return r;
	if (c.meter.iops == 0 && c.meter.bandwidth == 0)
		return wrong(ret_why, "iops", "no limit given; write iops, bandwidth or both");

	*ret = c;
	return 0;
}
