/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acmectl status: what there is, until when, what comes next, and what the CA
 * said when something went wrong.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/client.h"
#include "ctl/when.h"

enum { COLUMNS = 5 };

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* One row; cells[] are in buffers of their own. */
struct row {
	char cell[COLUMNS][260];
};

static void set(struct row *row, int column, const char *text)
{
	snprintf(row->cell[column], sizeof(row->cell[column]), "%s",
		 ctl_clean(text));
}

static void fill(struct row *row, const json_t *cert)
{
	const json_t *next = json_object_get(cert, "next");
	char when[WHEN_TEXT];

	set(row, 0, text_of(cert, "name"));
	set(row, 1, text_of(cert, "issuer"));
	set(row, 2, text_of(cert, "state"));
	set(row, 3, when_of(text_of(cert, "not_after"), when));
	set(row, 4, text_of(next, "action"));
	if (text_of(next, "at"))
		snprintf(row->cell[4], sizeof(row->cell[4]), "%s %s",
			 ctl_clean(text_of(next, "action")),
			 when_of(text_of(next, "at"), when));
}

static void print_row(const struct row *row, const int width[COLUMNS])
{
	for (int i = 0; i < COLUMNS - 1; i++)
		printf("%-*s  ", width[i], row->cell[i]);
	printf("%s\n", row->cell[COLUMNS - 1]);
}

static void print_error(const char *what, const json_t *error)
{
	const char *problem = text_of(error, "problem");
	char when[WHEN_TEXT];

	if (!json_is_object(error))
		return;
	printf("  %s %s: %s", what, when_of(text_of(error, "at"), when),
	       ctl_clean(text_of(error, "text")));
	if (problem && *problem)
		printf(" (%s)", ctl_clean(problem));
	putchar('\n');
}

static void print_names(const json_t *cert)
{
	size_t i;
	json_t *name;

	fputs("  names:", stdout);
	json_array_foreach(json_object_get(cert, "names"), i, name)
	    printf(" %s", ctl_clean(json_string_value(name)));
	putchar('\n');
	json_array_foreach(json_object_get(cert, "keys"), i, name)
	    printf("  %s, serial %s\n", ctl_clean(text_of(name, "type")),
		   ctl_clean(text_of(name, "serial")));
	if (text_of(cert, "origin"))
		printf("  from %s\n", ctl_clean(text_of(cert, "origin")));
}

static void print_certificates(const struct ctl *ctl, const json_t *certs)
{
	static const struct row HEAD = { { "NAME", "ISSUER", "STATE", "EXPIRES",
					   "NEXT" } };
	int width[COLUMNS] = { 4, 6, 5, 7, 4 };
	struct row row;
	size_t i;
	json_t *cert;

	json_array_foreach(certs, i, cert)
	{
		fill(&row, cert);
		for (int j = 0; j < COLUMNS; j++)
			if (width[j] < (int)strlen(row.cell[j]))
				width[j] = (int)strlen(row.cell[j]);
	}
	print_row(&HEAD, width);
	json_array_foreach(certs, i, cert)
	{
		fill(&row, cert);
		print_row(&row, width);
		if (ctl->names)
			print_names(cert);
		print_error("failed", json_object_get(cert, "last_error"));
	}
}

static void print_agent(const json_t *status)
{
	char when[WHEN_TEXT];
	size_t i;
	json_t *item;

	printf("acme-agent %s, %s, started %s\n",
	       ctl_clean(text_of(status, "version")),
	       ctl_clean(text_of(status, "mode")),
	       when_of(text_of(status, "started"), when));
	json_array_foreach(json_object_get(status, "issuers"), i, item)
	{
		printf("issuer %s: %s, %s\n", ctl_clean(text_of(item, "name")),
		       ctl_clean(text_of(item, "state")),
		       ctl_clean(text_of(item, "directory")));
		print_error("failed", json_object_get(item, "last_error"));
	}
	json_array_foreach(json_object_get(status, "alarms"), i, item)
	    printf("ALARM: %s\n",
		   ctl_clean(json_is_string(item) ? json_string_value(item)
						  : text_of(item, "text")));
	putchar('\n');
}

static void print_status(const struct ctl *ctl, const json_t *status)
{
	const json_t *certs = json_object_get(status, "certificates");

	if (ctl->argc == 0)
		print_agent(status);
	if (json_array_size(certs))
		print_certificates(ctl, certs);
	else
		puts("No certificates yet.");
}

/* Drops what was not asked for, should the agent have sent all. */
static void keep_one(json_t *status, const char *name)
{
	json_t *certs = json_object_get(status, "certificates");

	for (size_t i = json_array_size(certs); i-- > 0;) {
		const char *is = text_of(json_array_get(certs, i), "name");
		if (!is || strcmp(is, name))
			json_array_remove(certs, i);
	}
}

static enum ctl_exit run(const struct ctl *ctl)
{
	const char *name = ctl->argc ? ctl->argv[0] : NULL;
	json_t *status;
	enum ctl_exit rc = client_ask(
	    ctl, "status", json_pack("{s:s*}", "name", name), &status);

	if (rc)
		return rc;
	if (name) {
		keep_one(status, name);
		if (!json_array_size(json_object_get(status, "certificates"))) {
			ctl_say("there is no certificate %s", name);
			rc = CTL_FAILED;
		}
	}
	if (!rc && ctl->json)
		ctl_print_json(status);
	else if (!rc)
		print_status(ctl, status);
	json_decref(status);
	return rc;
}

const struct subcommand STATUS = {
	.name = "status",
	.args = "[NAME]",
	.most = 1,
	.options = "socket json names",
	.run = run,
	.help = "Show certificates, issuers, what comes next, what went wrong",
};
