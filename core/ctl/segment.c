/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acmectl segment: what nginx would find. Reads the file itself, with the same
 * reader as the workers, so it works without an agent. Prints neither keys nor
 * key authorizations.
 */
#include <acme/segment.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/secret.h"
#include "ctl/ctl.h"
#include "ctl/when.h"

/* The content of a DER element with this tag at the front of `rest`, which
 * moves behind its head. Lengths of up to three bytes. */
static bool der_open(struct acme_segment_bytes *rest, unsigned char tag,
		     size_t *len)
{
	const unsigned char *p = rest->ptr;
	size_t head = 2, bytes;

	if (rest->len < 2 || p[0] != tag)
		return false;
	*len = p[1];
	if (p[1] > 0x80) {
		bytes = p[1] & 0x7f;
		if (bytes > 3 || rest->len < 2 + bytes)
			return false;
		*len = 0;
		for (size_t i = 0; i < bytes; i++)
			*len = *len << 8 | p[2 + i];
		head += bytes;
	}
	rest->ptr += head;
	rest->len -= head;
	return *len <= rest->len;
}

/* RFC 5280 section 4.1: Certificate { TBS { [0] version, serial ... */
static void serial(struct acme_segment_bytes der, char *out, size_t size)
{
	size_t len, used = 0;

	snprintf(out, size, "?");
	if (!der_open(&der, 0x30, &len) || !der_open(&der, 0x30, &len))
		return;
	if (der_open(&der, 0xa0, &len)) {
		der.ptr += len;
		der.len -= len;
	}
	if (!der_open(&der, 0x02, &len) || !len)
		return;
	if (len > 1 && der.ptr[0] == 0) {
		der.ptr++;
		len--;
	}
	for (size_t i = 0; i < len && used + 4 < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%02x",
					 i ? ":" : "", der.ptr[i]);
}

static json_t *bytes_json(struct acme_segment_bytes b)
{
	json_t *text = json_stringn((const char *)b.ptr, b.len);

	return text ? text : json_string("?");
}

static json_t *keys_json(const struct acme_segment_record *r)
{
	struct acme_segment_entry entry;
	json_t *keys = json_array();
	char number[128];

	for (uint32_t i = 0; acme_segment_cert(r, i, &entry); i++) {
		serial(entry.leaf, number, sizeof(number));
		json_array_append_new(
		    keys, json_pack("{s:s,s:s}", "type",
				    acme_segment_key_text(entry.type), "serial",
				    number));
	}
	return keys;
}

static json_t *names_json(const struct acme_segment_record *r)
{
	struct acme_segment_bytes name;
	json_t *names = json_array();

	for (uint32_t i = 0; acme_segment_cert_name(r, i, &name); i++)
		json_array_append_new(names, bytes_json(name));
	return names;
}

static json_t *record_json(const struct acme_segment_record *r)
{
	struct acme_segment_bytes name = { r->name, r->name_len };
	struct acme_segment_bytes body = { r->body, r->body_len };
	char at[NOW_TEXT], hash[17] = "";
	json_t *o = json_pack("{s:s}", "kind", acme_segment_kind_text(r->kind));

	for (size_t i = 0; i < 8 && i < name.len; i++)
		snprintf(hash + 2 * i, 3, "%02x", name.ptr[i]);
	json_object_set_new(o, "name",
			    r->kind == ACME_SEGMENT_CHAIN ? json_string(hash)
							  : bytes_json(name));
	if (r->kind == ACME_SEGMENT_CERT) {
		json_object_set_new(o, "keys", keys_json(r));
		json_object_set_new(o, "names", names_json(r));
		json_object_set_new(
		    o, "not_after",
		    json_string(now_text(r->not_after * 1000, 0, at)));
	} else if (r->kind == ACME_SEGMENT_NAME) {
		json_object_set_new(o, "certificate", bytes_json(body));
	} else if (r->kind == ACME_SEGMENT_CHAIN) {
		json_object_set_new(o, "certificates",
				    json_integer(acme_segment_chain_count(r)));
	}
	json_object_set_new(o, "size", json_integer(r->size));
	return o;
}

static const char *text_of(const json_t *object, const char *key)
{
	return ctl_clean(json_string_value(json_object_get(object, key)));
}

static void print_record(const struct ctl *ctl, const json_t *o)
{
	const char *until = json_string_value(json_object_get(o, "not_after"));
	char when[WHEN_TEXT];
	size_t i;
	json_t *item;

	printf("%-5s %s", text_of(o, "kind"), text_of(o, "name"));
	if (until)
		printf(" expires %s", when_of(until, when));
	if (json_is_string(json_object_get(o, "certificate")))
		printf(" -> %s", text_of(o, "certificate"));
	putchar('\n');
	json_array_foreach(json_object_get(o, "keys"), i, item)
	    printf("      %s serial %s\n", text_of(item, "type"),
		   text_of(item, "serial"));
	if (ctl->names)
		json_array_foreach(json_object_get(o, "names"), i, item)
		    printf("      %s\n", ctl_clean(json_string_value(item)));
}

static void print_header(const struct ctl *ctl, const struct acme_segment *s)
{
	uint32_t beat = acme_segment_heartbeat(s);
	char when[WHEN_TEXT];
	json_t *o = json_pack("{s:I,s:I,s:I}", "epoch",
			      (json_int_t)acme_segment_epoch(s), "changes",
			      (json_int_t)acme_segment_changes(s), "heartbeat",
			      (json_int_t)beat);

	if (ctl->json)
		ctl_print_json(o);
	else
		printf("epoch %u, changes %u, last sign of the agent %s\n",
		       acme_segment_epoch(s), acme_segment_changes(s),
		       beat ? when_text((int64_t)beat * 1000, when) : "never");
	json_decref(o);
}

/* All records, through a buffer that is wiped: it holds keys. */
static enum ctl_exit print_records(const struct ctl *ctl,
				   const struct acme_segment *s)
{
	struct acme_segment_cursor cursor = { 0 };
	struct acme_segment_record record;
	struct secret buf = SECRET_NONE;
	struct err e = { 0 };
	enum acme_segment_result rc;
	enum ctl_exit result = CTL_OK;

	if (secret_alloc(&buf, ACME_SEGMENT_RECORD_MAX, &e))
		return ctl_fail(&e);
	for (;;) {
		rc = acme_segment_next(s, &cursor, buf.ptr, buf.len, &record);
		if (rc == ACME_SEGMENT_OK) {
			json_t *o = record_json(&record);
			if (ctl->json)
				ctl_print_json(o);
			else
				print_record(ctl, o);
			json_decref(o);
			continue;
		}
		if (rc == ACME_SEGMENT_ABSENT)
			break;
		ctl_say("a record: %s", acme_segment_result_text(rc));
		result = CTL_FAILED;
		if (rc != ACME_SEGMENT_DAMAGED || cursor.root == 0)
			break;
	}
	secret_free(&buf);
	return result;
}

static enum ctl_exit dump(const struct ctl *ctl, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct acme_segment s;
	enum ctl_exit rc = CTL_FAILED;

	if (fd < 0) {
		ctl_say("%s: %s", path, strerror(errno));
		return CTL_FAILED;
	}
	enum acme_segment_result attached = acme_segment_attach(&s, fd);
	if (attached) {
		ctl_say("%s: %s", path, acme_segment_result_text(attached));
	} else {
		print_header(ctl, &s);
		rc = print_records(ctl, &s);
		acme_segment_detach(&s);
	}
	close(fd);
	return rc;
}

static enum ctl_exit run(const struct ctl *ctl)
{
	const char *slash = strrchr(ctl->socket, '/');
	int folder = slash ? (int)(slash - ctl->socket) + 1 : 0;
	char *path = ctl->argc
			 ? mem_strdup(ctl->argv[0])
			 : mem_printf("%.*ssegment.1", folder, ctl->socket);

	secret_no_dumps();
	enum ctl_exit rc = dump(ctl, path);
	free(path);
	return rc;
}

const struct subcommand SEGMENT = {
	.name = "segment",
	.args = "[FILE]",
	.most = 1,
	.options = "socket json names",
	.run = run,
	.help = "Show what nginx finds in the shared segment; never keys",
	.more =
	    "FILE is the one beside the socket when it is not named. Needs the "
	    "right to read\nit, and no agent.",
};
