/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment's reader over a file of arbitrary bytes: whatever they are, it
 * ends, stays inside its buffers and returns one of its results.
 *
 * A random file has no valid checksum, so the target repairs those that it can
 * reach (space and records) when the last byte of the input is odd; then the
 * bounds behind the checksums are tried as well.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <acme/segment.h>

static volatile unsigned char sink;

static void touch(const unsigned char *p, size_t len)
{
	unsigned char sum = 0;

	for (size_t i = 0; i < len; i++)
		sum ^= p[i];
	sink = sum;
}

static void use(const struct acme_segment_record *r)
{
	struct acme_segment_entry entry;
	struct acme_segment_bytes a, b;

	touch(r->name, r->name_len);
	touch(r->body, r->body_len);
	for (uint32_t i = 0; acme_segment_cert(r, i, &entry) && i < 64; i++) {
		touch(entry.leaf.ptr, entry.leaf.len);
		touch(entry.key.ptr, entry.key.len);
	}
	for (uint32_t i = 0; acme_segment_cert_name(r, i, &a) && i < 64; i++)
		touch(a.ptr, a.len);
	for (uint32_t i = 0; acme_segment_chain(r, i, &a) && i < 64; i++)
		touch(a.ptr, a.len);
	if (acme_segment_alpn(r, &a, &b)) {
		touch(a.ptr, a.len);
		touch(b.ptr, b.len);
	}
}

static void repair_record(uint8_t *file, size_t size, uint64_t at)
{
	struct acme_segment_head h;

	if (at + sizeof h > size)
		return;
	memcpy(&h, file + at, sizeof h);
	if (h.size < sizeof h || h.size > size - at)
		return;
	h.crc = acme_segment_crc32c(0, file + at + 8, h.size - 8);
	memcpy(file + at, &h, sizeof h);
}

static void repair(uint8_t *file, size_t size)
{
	struct acme_segment_header head;
	struct acme_segment_space space;
	struct acme_segment_slot slot;

	memcpy(&head, file, sizeof head);
	head.magic = ACME_SEGMENT_MAGIC;
	head.layout = ACME_SEGMENT_LAYOUT;
	head.header_size = ACME_SEGMENT_HEADER;
	head.unit = ACME_SEGMENT_UNIT;
	memcpy(file, &head, sizeof head);
	uint64_t at = (uint64_t)head.root * ACME_SEGMENT_UNIT;
	if (at + sizeof space > size)
		return;
	memcpy(&space, file + at, sizeof space);
	space.magic = ACME_SEGMENT_SPACE_MAGIC;
	space.crc = acme_segment_crc32c(
	    0, (uint8_t *)&space + offsetof(struct acme_segment_space, slots),
	    sizeof space - offsetof(struct acme_segment_space, slots));
	memcpy(file + at, &space, sizeof space);
	at += sizeof space;
	for (uint32_t i = 0; i < space.slots && i < 4096; i++) {
		if (at + sizeof slot > size)
			return;
		memcpy(&slot, file + at, sizeof slot);
		repair_record(file, size,
			      (uint64_t)slot.at * ACME_SEGMENT_UNIT);
		at += sizeof slot;
	}
}

static void read_all(const struct acme_segment *s, uint8_t *buf, size_t cap)
{
	struct acme_segment_cursor cursor = { 0 };
	struct acme_segment_record r;
	enum acme_segment_result rc;
	uint64_t chain = 1;

	for (int i = 0; i < 4096; i++) {
		rc = acme_segment_next(s, &cursor, buf, cap, &r);
		if (rc == ACME_SEGMENT_OK)
			use(&r);
		else if (rc != ACME_SEGMENT_DAMAGED)
			break;
	}
	for (uint32_t kind = 0; kind < 7; kind++)
		if (acme_segment_find(s, kind, "a.test", 6, buf, cap, &r) ==
		    ACME_SEGMENT_OK)
			use(&r);
	acme_segment_find_name(s, "WWW.a.test.", 11, buf, cap, &r);
	acme_segment_find_chain(s, chain, buf, cap, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acme_segment s;
	uint8_t *file, *buf;
	int fd;

	if (size == 0 || size > 1 << 20)
		return 0;
	fd = memfd_create("segment", MFD_CLOEXEC);
	file = malloc(size);
	if (fd < 0 || !file)
		abort();
	memcpy(file, data, size);
	int fix = data[size - 1] & 1;
	if (fix && size >= ACME_SEGMENT_HEADER)
		repair(file, size);
	if (write(fd, file, size) != (ssize_t)size)
		abort();
	free(file);
	if (acme_segment_attach(&s, fd) == ACME_SEGMENT_OK) {
		for (size_t cap = 16; cap <= 1 << 16; cap *= 16) {
			buf = malloc(cap);
			if (!buf)
				abort();
			read_all(&s, buf, cap);
			free(buf);
		}
	}
	acme_segment_detach(&s);
	close(fd);
	return 0;
}
