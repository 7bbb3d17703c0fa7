/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared segment: its layout, and the reader.
 *
 * The agent is the only writer of one file that never changes its inode; nginx
 * workers, acmectl and the agent itself read it with the functions below. The
 * protocol, the reason for each ordering and what a crash leaves are in
 * docs/segment.md.
 *
 *   0            4096          space                      anywhere above 4096
 *   +------------+-- ... --+---+------+-----------------+-- ... --+--------+
 *   | header     |         | space    | index: slots    |         | record |
 *   | root ------+-------->| key, n   | tag | at -------+-------->| CRC... |
 *   +------------+-- ... --+---+------+-----------------+-- ... --+--------+
 *
 * Only the header page is mapped; everything else is read with pread, so a file
 * that grows needs no new mapping, one that was damaged raises no SIGBUS, and
 * a record can be checked after it was copied and cannot change any more.
 *
 * A reader trusts nothing: each offset, length and checksum is verified, and
 * after reading it looks whether the slot and the root still say the same. It
 * takes no lock and writes nothing, and there is no state in the file that
 * would make it wait.
 *
 * C99 and C++11, GCC or Clang, libc only. All functions are static inline and
 * may be called by any thread at any time; a `struct acme_segment` is constant
 * between attach and detach. Compile with _FILE_OFFSET_BITS=64 where off_t
 * would have 32 bits, and with _GNU_SOURCE or _XOPEN_SOURCE >= 500.
 */
#ifndef ACME_SEGMENT_H
#define ACME_SEGMENT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- layout -------------------------------------------------------------- */

/* All numbers are in the byte order of the machine; the magic tells. */
#define ACME_SEGMENT_MAGIC       0x474d4341u /* "ACMG" */
#define ACME_SEGMENT_SPACE_MAGIC 0x43505341u /* "ASPC" */
#define ACME_SEGMENT_LAYOUT      1u    /* major; in the file's name, too */
#define ACME_SEGMENT_HEADER      4096u /* bytes of the header page */
#define ACME_SEGMENT_UNIT        8u    /* offsets count in these */
#define ACME_SEGMENT_PROBE       128u  /* slots from home to the last */
#define ACME_SEGMENT_SLOTS_MAX   (1u << 27)
#define ACME_SEGMENT_NAME_MAX    512u       /* bytes of a record's name */
#define ACME_SEGMENT_RECORD_MAX  (1u << 20) /* bytes of a whole record */
#define ACME_SEGMENT_TRIES       16         /* looks before "again" */

/*
 * The header page, mapped by everybody. The words are only ever compared for
 * equality, except the heartbeat.
 *
 *   magic     release-stored last when the file is made, acquire-loaded first:
 *             whoever sees it sees the constant fields.
 *   root      where the active space is, in units; 0: none yet. Release store
 *             after the whole space was written, acquire load: whoever sees the
 *             offset sees the space and all records that its slots name.
 *   switches  moves after each store to root, so that a root which came back
 *             to an old value is noticed. Release store; acquire load before
 *             root, and again (after an acquire fence) when all is read.
 *   epoch     moves after certificates, chains or names changed. Release store
 *             after the slots; acquire load: whoever sees the new epoch finds
 *             the new records.
 *   changes   like epoch, for a change of any kind; moves last.
 *   heartbeat Unix seconds, modulo 2^32; relaxed. Says that a writer lives,
 *             orders nothing.
 */
struct acme_segment_header {
	uint32_t magic;
	uint32_t layout;
	uint32_t header_size; /* ACME_SEGMENT_HEADER */
	uint32_t unit;        /* ACME_SEGMENT_UNIT */
	uint8_t boot_id[16];  /* of the boot in which a writer last opened it */
	uint8_t constant[32]; /* zero */
	uint32_t root;
	uint32_t switches;
	uint32_t epoch;
	uint32_t changes;
	uint32_t heartbeat;
	uint8_t words[4012]; /* zero; later minors put words here */
};

/* Precedes an index; constant as long as root names it. The slots follow. */
struct acme_segment_space {
	uint32_t magic;
	uint32_t crc;   /* CRC-32C of the rest of this struct */
	uint32_t slots; /* a power of two */
	uint32_t generation;
	uint8_t key[16]; /* SipHash key: names come from the network */
	uint8_t reserved[32];
};

/*
 * One slot of the index (open addressing, linear, at most half full, never
 * more than ACME_SEGMENT_PROBE away from home, never moved). `at` is the word
 * that publishes: one release store. `tag`, the upper half of the hash, only
 * changes while `at` is EMPTY or DEAD.
 */
struct acme_segment_slot {
	uint32_t tag;
	uint32_t at; /* the record, in units, or one of these: */
};

enum {
	ACME_SEGMENT_EMPTY = 0, /* never used: the search ends here */
	ACME_SEGMENT_DEAD = 1,  /* was removed: the search goes on */
};

/* A record: this head, the name, the body. Never changes while a slot names
 * it; starts at a multiple of the unit. */
struct acme_segment_head {
	uint32_t size; /* bytes of the whole record */
	uint32_t crc;  /* CRC-32C of everything behind this field */
	uint16_t kind; /* enum acme_segment_kind */
	uint16_t name_len;
	uint32_t body_len;
	uint64_t version;   /* CERT: which version; compared for equality */
	int64_t not_before; /* CERT: Unix seconds, else 0 */
	int64_t not_after;
};

/* Name and body of each kind. A reader passes over kinds it does not know. */
enum acme_segment_kind {
	ACME_SEGMENT_CERT = 1,  /* identity -> keys and leaves of all types */
	ACME_SEGMENT_CHAIN = 2, /* 8 bytes of hash -> intermediates */
	ACME_SEGMENT_NAME = 3,  /* server name or "*.parent" -> identity */
	ACME_SEGMENT_TOKEN = 4, /* http-01 token -> key authorization */
	ACME_SEGMENT_ALPN = 5,  /* server name -> acme-tls/1 certificate */
};

/* Key types, as they stand in a CERT. */
enum acme_segment_key {
	ACME_SEGMENT_ECDSA_256 = 1,
	ACME_SEGMENT_ECDSA_384 = 2,
	ACME_SEGMENT_ECDSA_521 = 3,
	ACME_SEGMENT_RSA_2048 = 4,
	ACME_SEGMENT_RSA_3072 = 5,
	ACME_SEGMENT_RSA_4096 = 6,
};

/*
 * Body of a CERT: cert_head, `entries` times cert_entry, then for each entry
 * its leaf and its key, then the server names, each behind one byte of length.
 * Body of a CHAIN: count (32 bits), `count` lengths (32 bits), the DERs.
 * Body of an ALPN: length of the certificate, length of the key (32 bits
 * each), the two DERs. Keys are PKCS#8. Bodies need no alignment.
 */
struct acme_segment_cert_head {
	uint32_t entries;
	uint32_t names_len; /* bytes */
};

struct acme_segment_cert_entry {
	uint32_t type; /* enum acme_segment_key */
	uint32_t leaf_len;
	uint32_t key_len;
	uint32_t reserved;
	uint64_t chain; /* the name of a CHAIN; 0: no intermediates */
};

/* ---- reader: types ------------------------------------------------------- */

/* What the reader's functions return. */
enum acme_segment_result {
	ACME_SEGMENT_OK = 0,    /* found, done */
	ACME_SEGMENT_ABSENT,    /* there is none; or the end of a list */
	ACME_SEGMENT_TOO_SMALL, /* the buffer; record->size says what is needed
				 */
	ACME_SEGMENT_AGAIN,     /* changed too fast under us: keep what you
				   have and look again at the next occasion */
	ACME_SEGMENT_DAMAGED,   /* this record or space fails its checks */
	ACME_SEGMENT_NOT_READY, /* attach: the writer has not made it yet */
	ACME_SEGMENT_FOREIGN,   /* attach: not a segment, or another layout */
	ACME_SEGMENT_IO         /* a system call failed, see errno */
};

/* An attached segment. The descriptor stays the caller's and must outlive it.
 */
struct acme_segment {
	const struct acme_segment_header *header;
	int fd;
	int reserved;
};

/* A record that was found; name and body lie in the caller's buffer. */
struct acme_segment_record {
	const unsigned char *name;
	const unsigned char *body;
	uint64_t version;
	int64_t not_before; /* Unix seconds */
	int64_t not_after;
	uint32_t kind;
	uint32_t name_len;
	uint32_t body_len;
	uint32_t size; /* bytes of the whole record */
};

/* Bytes inside a record. */
struct acme_segment_bytes {
	const unsigned char *ptr;
	size_t len;
};

/* One key type of a CERT. */
struct acme_segment_entry {
	struct acme_segment_bytes leaf; /* DER certificate */
	struct acme_segment_bytes key;  /* DER PKCS#8 */
	uint64_t chain;                 /* for acme_segment_find_chain; or 0 */
	uint32_t type;                  /* enum acme_segment_key */
	uint32_t reserved;
};

/* Where a walk over all records stands. Zero it to start. */
struct acme_segment_cursor {
	uint32_t root;
	uint32_t switches;
	uint32_t slots;
	uint32_t next;  /* index of the slot to be looked at */
	uint32_t first; /* what `slot` holds */
	uint32_t count;
	struct acme_segment_slot slot[64];
};

/* ---- reader: what to call ------------------------------------------------ */

/*
 * Maps the header page of `fd` and checks it. OK, NOT_READY (empty file, or
 * one that is being made: call again later), FOREIGN, IO. On failure `s` is
 * detached.
 */
static inline enum acme_segment_result
acme_segment_attach(struct acme_segment *s, int fd);

/* Unmaps; does not close the descriptor. Twice is harmless. */
static inline void acme_segment_detach(struct acme_segment *s);

/* "found", "absent", ... for log lines. */
static inline const char *
acme_segment_result_text(enum acme_segment_result result);
static inline const char *acme_segment_kind_text(uint32_t kind);
static inline const char *acme_segment_key_text(uint32_t type);

/* The words. Look up again what you hold when epoch is not what it was. */
static inline uint32_t acme_segment_epoch(const struct acme_segment *s);
static inline uint32_t acme_segment_changes(const struct acme_segment *s);
/* Unix seconds of the last sign of life of a writer, 0 if there was none. */
static inline uint32_t acme_segment_heartbeat(const struct acme_segment *s);

/*
 * Looks a record up and copies it into `buf` (4 KiB fit most certificates of
 * one key type; ACME_SEGMENT_RECORD_MAX fits all). OK, ABSENT, TOO_SMALL,
 * AGAIN, DAMAGED, IO. An answer is one that was true at some moment during the
 * call; whatever was published before the call is found.
 */
static inline enum acme_segment_result
acme_segment_find(const struct acme_segment *s, uint32_t kind, const void *name,
		  size_t len, void *buf, size_t cap,
		  struct acme_segment_record *record);

/* The intermediates that a CERT's entry names. */
static inline enum acme_segment_result
acme_segment_find_chain(const struct acme_segment *s, uint64_t chain, void *buf,
			size_t cap, struct acme_segment_record *record);

/* The NAME for a host as a client sent it: any case, one trailing dot; exact,
 * then "*.parent". */
static inline enum acme_segment_result
acme_segment_find_name(const struct acme_segment *s, const char *host,
		       size_t len, void *buf, size_t cap,
		       struct acme_segment_record *record);

/*
 * Walks over all records of the space that was active when the walk started,
 * in no order. OK, ABSENT (the end), TOO_SMALL (call again with more), DAMAGED
 * (this one, or the index; call again for the next), AGAIN (the space was
 * replaced: zero the cursor and start anew), IO. What changes during the walk
 * may be seen or not.
 */
static inline enum acme_segment_result
acme_segment_next(const struct acme_segment *s, struct acme_segment_cursor *c,
		  void *buf, size_t cap, struct acme_segment_record *record);

/*
 * What is in a body. They return 1 and fill in `out`, or 0 if there is no
 * `i`-th or the body is not well formed. Count from 0 until 0 is returned.
 */
static inline int acme_segment_cert(const struct acme_segment_record *cert,
				    uint32_t i, struct acme_segment_entry *out);
static inline int acme_segment_cert_name(const struct acme_segment_record *cert,
					 uint32_t i,
					 struct acme_segment_bytes *out);
static inline int acme_segment_chain(const struct acme_segment_record *chain,
				     uint32_t i,
				     struct acme_segment_bytes *out);
static inline int acme_segment_alpn(const struct acme_segment_record *alpn,
				    struct acme_segment_bytes *cert,
				    struct acme_segment_bytes *key);
/* How many; 0 if the body is not well formed. */
static inline uint32_t
acme_segment_cert_count(const struct acme_segment_record *cert);
static inline uint32_t
acme_segment_chain_count(const struct acme_segment_record *chain);

/* ---- checksum and hash --------------------------------------------------- */

/* CRC-32C (Castagnoli). Start with 0; feed the result in to go on. */
static inline uint32_t acme_segment_crc32c(uint32_t crc, const void *bytes,
					   size_t len);

/* SipHash-2-4 of the name; the kind is mixed into the key. */
static inline uint64_t acme_segment_hash(const uint8_t key[16], uint32_t kind,
					 const void *bytes, size_t len);

/* ---- reader: how it works ------------------------------------------------ */

/*
 * Orders what was read from the file before what is read after. The reads go
 * through pread, which the compiler and ThreadSanitizer treat as opaque; the
 * fence is for the processor.
 */
static inline void acme_segment__fence(void)
{
#if !defined(__SANITIZE_THREAD__)
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

static inline uint32_t acme_segment__load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint32_t acme_segment__get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* Reads up to `len` bytes; fewer at the end of the file, -1 on an error. */
static inline ssize_t acme_segment__pread(int fd, void *buf, size_t len,
					  uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		off_t at = (off_t)(offset + done);
		ssize_t n;

		if (at < 0 || (uint64_t)at != offset + done) {
			errno = EOVERFLOW;
			return -1;
		}
		n = pread(fd, (unsigned char *)buf + done, len - done, at);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* All of `len` bytes: OK, DAMAGED (the file ends before), IO. */
static inline enum acme_segment_result
acme_segment__read(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n = acme_segment__pread(fd, buf, len, offset);

	if (n < 0)
		return ACME_SEGMENT_IO;
	return (size_t)n == len ? ACME_SEGMENT_OK : ACME_SEGMENT_DAMAGED;
}

/* The register before and after: not inverted. */
static inline uint32_t acme_segment__crc_table(uint32_t crc,
					       const unsigned char *p,
					       size_t len)
{
	static const uint32_t table[256] = {
		0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f,
		0x35f1141c, 0x26a1e7e8, 0xd4ca64eb, 0x8ad958cf, 0x78b2dbcc,
		0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27,
		0x5e133c24, 0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b,
		0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384, 0x9a879fa0,
		0x68ec1ca3, 0x7bbcef57, 0x89d76c54, 0x5d1d08bf, 0xaf768bbc,
		0xbc267848, 0x4e4dfb4b, 0x20bd8ede, 0xd2d60ddd, 0xc186fe29,
		0x33ed7d2a, 0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
		0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5, 0x6dfe410e,
		0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa, 0x30e349b1, 0xc288cab2,
		0xd1d83946, 0x23b3ba45, 0xf779deae, 0x05125dad, 0x1642ae59,
		0xe4292d5a, 0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a,
		0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595, 0x417b1dbc,
		0xb3109ebf, 0xa0406d4b, 0x522bee48, 0x86e18aa3, 0x748a09a0,
		0x67dafa54, 0x95b17957, 0xcba24573, 0x39c9c670, 0x2a993584,
		0xd8f2b687, 0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
		0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927, 0x96bf4dcc,
		0x64d4cecf, 0x77843d3b, 0x85efbe38, 0xdbfc821c, 0x2997011f,
		0x3ac7f2eb, 0xc8ac71e8, 0x1c661503, 0xee0d9600, 0xfd5d65f4,
		0x0f36e6f7, 0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096,
		0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789, 0xeb1fcbad,
		0x197448ae, 0x0a24bb5a, 0xf84f3859, 0x2c855cb2, 0xdeeedfb1,
		0xcdbe2c45, 0x3fd5af46, 0x7198540d, 0x83f3d70e, 0x90a324fa,
		0x62c8a7f9, 0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
		0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36, 0x3cdb9bdd,
		0xceb018de, 0xdde0eb2a, 0x2f8b6829, 0x82f63b78, 0x709db87b,
		0x63cd4b8f, 0x91a6c88c, 0x456cac67, 0xb7072f64, 0xa457dc90,
		0x563c5f93, 0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043,
		0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c, 0x92a8fc17,
		0x60c37f14, 0x73938ce0, 0x81f80fe3, 0x55326b08, 0xa759e80b,
		0xb4091bff, 0x466298fc, 0x1871a4d8, 0xea1a27db, 0xf94ad42f,
		0x0b21572c, 0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
		0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652, 0x65d122b9,
		0x97baa1ba, 0x84ea524e, 0x7681d14d, 0x2892ed69, 0xdaf96e6a,
		0xc9a99d9e, 0x3bc21e9d, 0xef087a76, 0x1d63f975, 0x0e330a81,
		0xfc588982, 0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d,
		0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622, 0x38cc2a06,
		0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2, 0xff56bd19, 0x0d3d3e1a,
		0x1e6dcdee, 0xec064eed, 0xc38d26c4, 0x31e6a5c7, 0x22b65633,
		0xd0ddd530, 0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
		0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff, 0x8ecee914,
		0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0, 0xd3d3e1ab, 0x21b862a8,
		0x32e8915c, 0xc083125f, 0x144976b4, 0xe622f5b7, 0xf5720643,
		0x07198540, 0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90,
		0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f, 0xe330a81a,
		0x115b2b19, 0x020bd8ed, 0xf0605bee, 0x24aa3f05, 0xd6c1bc06,
		0xc5914ff2, 0x37faccf1, 0x69e9f0d5, 0x9b8273d6, 0x88d28022,
		0x7ab90321, 0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
		0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81, 0x34f4f86a,
		0xc69f7b69, 0xd5cf889d, 0x27a40b9e, 0x79b737ba, 0x8bdcb4b9,
		0x988c474d, 0x6ae7c44e, 0xbe2da0a5, 0x4c4623a6, 0x5f16d052,
		0xad7d5351,
	};
	while (len-- > 0)
		crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
	return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
/* The processor's instruction, where there is one (since 2008). */
__attribute__((target("sse4.2"))) static inline uint32_t
acme_segment__crc_sse42(uint32_t crc, const unsigned char *p, size_t len)
{
	unsigned long long wide = crc, word;

	for (; len >= sizeof word; len -= sizeof word, p += sizeof word) {
		memcpy(&word, p, sizeof word);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	while (len-- > 0)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

static inline uint32_t acme_segment_crc32c(uint32_t crc, const void *bytes,
					   size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;

#if defined(__x86_64__) && defined(__GNUC__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~acme_segment__crc_sse42(~crc, p, len);
#endif
	return ~acme_segment__crc_table(~crc, p, len);
}

static inline uint64_t acme_segment__get64le(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline uint64_t acme_segment__rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void acme_segment__sipround(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = acme_segment__rotl(v[1], 13) ^ v[0];
	v[3] = acme_segment__rotl(v[3], 16) ^ v[2];
	v[0] = acme_segment__rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = acme_segment__rotl(v[1], 17) ^ v[2];
	v[3] = acme_segment__rotl(v[3], 21) ^ v[0];
	v[2] = acme_segment__rotl(v[2], 32);
}

static inline uint64_t acme_segment_hash(const uint8_t key[16], uint32_t kind,
					 const void *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	uint64_t k0 = acme_segment__get64le(key);
	uint64_t k1 = acme_segment__get64le(key + 8) ^ kind;
	uint64_t v[4], m = (uint64_t)len << 56;
	size_t left = len;
	unsigned i;

	v[0] = k0 ^ 0x736f6d6570736575u;
	v[1] = k1 ^ 0x646f72616e646f6du;
	v[2] = k0 ^ 0x6c7967656e657261u;
	v[3] = k1 ^ 0x7465646279746573u;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t word = acme_segment__get64le(p);

		v[3] ^= word;
		acme_segment__sipround(v);
		acme_segment__sipround(v);
		v[0] ^= word;
	}
	for (i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	v[3] ^= m;
	acme_segment__sipround(v);
	acme_segment__sipround(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		acme_segment__sipround(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline void acme_segment_detach(struct acme_segment *s)
{
	if (s->header)
		munmap((void *)(uintptr_t)s->header, ACME_SEGMENT_HEADER);
	s->header = NULL;
	s->fd = -1;
}

static inline enum acme_segment_result
acme_segment__check_header(const struct acme_segment_header *h)
{
	uint32_t magic = acme_segment__load(&h->magic);

	if (magic == 0)
		return ACME_SEGMENT_NOT_READY;
	if (magic != ACME_SEGMENT_MAGIC || h->layout != ACME_SEGMENT_LAYOUT ||
	    h->header_size != ACME_SEGMENT_HEADER ||
	    h->unit != ACME_SEGMENT_UNIT)
		return ACME_SEGMENT_FOREIGN;
	return ACME_SEGMENT_OK;
}

static inline enum acme_segment_result
acme_segment_attach(struct acme_segment *s, int fd)
{
	enum acme_segment_result rc;
	struct stat st;
	void *page;

	s->header = NULL;
	s->fd = -1;
	s->reserved = 0;
	if (fstat(fd, &st) < 0)
		return ACME_SEGMENT_IO;
	if (!S_ISREG(st.st_mode))
		return ACME_SEGMENT_FOREIGN;
	if (st.st_size == 0)
		return ACME_SEGMENT_NOT_READY;
	if (st.st_size < (off_t)ACME_SEGMENT_HEADER)
		return ACME_SEGMENT_FOREIGN;
	page = mmap(NULL, ACME_SEGMENT_HEADER, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return ACME_SEGMENT_IO;
	s->header = (const struct acme_segment_header *)page;
	s->fd = fd;
	rc = acme_segment__check_header(s->header);
	if (rc != ACME_SEGMENT_OK)
		acme_segment_detach(s);
	return rc;
}

static inline uint32_t acme_segment_epoch(const struct acme_segment *s)
{
	return acme_segment__load(&s->header->epoch);
}

static inline uint32_t acme_segment_changes(const struct acme_segment *s)
{
	return acme_segment__load(&s->header->changes);
}

static inline uint32_t acme_segment_heartbeat(const struct acme_segment *s)
{
	return __atomic_load_n(&s->header->heartbeat, __ATOMIC_RELAXED);
}

/* Head and lengths make sense; the name is bounded by the size. */
static inline int acme_segment__head_ok(const struct acme_segment_head *h)
{
	return h->size <= ACME_SEGMENT_RECORD_MAX &&
	       h->name_len <= ACME_SEGMENT_NAME_MAX &&
	       h->body_len <= ACME_SEGMENT_RECORD_MAX &&
	       h->size == sizeof *h + h->name_len + h->body_len;
}

/* Checks a record of which `have` bytes lie in `buf`, and opens it. */
static inline enum acme_segment_result
acme_segment__open(const unsigned char *buf, size_t have,
		   struct acme_segment_record *r)
{
	const size_t skip = offsetof(struct acme_segment_head, kind);
	struct acme_segment_head h;

	if (have < sizeof h)
		return ACME_SEGMENT_DAMAGED;
	memcpy(&h, buf, sizeof h);
	if (!acme_segment__head_ok(&h))
		return ACME_SEGMENT_DAMAGED;
	r->size = h.size;
	if (have < h.size)
		return ACME_SEGMENT_TOO_SMALL;
	if (acme_segment_crc32c(0, buf + skip, h.size - skip) != h.crc)
		return ACME_SEGMENT_DAMAGED;
	r->name = buf + sizeof h;
	r->body = r->name + h.name_len;
	r->version = h.version;
	r->not_before = h.not_before;
	r->not_after = h.not_after;
	r->kind = h.kind;
	r->name_len = h.name_len;
	r->body_len = h.body_len;
	return ACME_SEGMENT_OK;
}

/* Copies the record at `at` (in units): OK, TOO_SMALL, DAMAGED, IO. */
static inline enum acme_segment_result
acme_segment__record(int fd, uint32_t at, void *buf, size_t cap,
		     struct acme_segment_record *r)
{
	const uint64_t offset = (uint64_t)at * ACME_SEGMENT_UNIT;
	const size_t first = cap < 4096 ? cap : 4096; /* mostly all of it */
	enum acme_segment_result rc;
	ssize_t n;

	memset(r, 0, sizeof *r);
	r->size = sizeof(struct acme_segment_head);
	if (cap < sizeof(struct acme_segment_head))
		return ACME_SEGMENT_TOO_SMALL;
	if (offset < ACME_SEGMENT_HEADER)
		return ACME_SEGMENT_DAMAGED;
	n = acme_segment__pread(fd, buf, first, offset);
	if (n < 0)
		return ACME_SEGMENT_IO;
	rc = acme_segment__open((unsigned char *)buf, (size_t)n, r);
	if (rc != ACME_SEGMENT_TOO_SMALL || r->size > cap)
		return rc;
	/* Larger than what was read: take the rest, open the whole. */
	rc = acme_segment__read(fd, (unsigned char *)buf + n,
				r->size - (size_t)n, offset + (uint64_t)n);
	if (rc != ACME_SEGMENT_OK)
		return rc;
	rc = acme_segment__open((unsigned char *)buf, r->size, r);
	return rc == ACME_SEGMENT_TOO_SMALL ? ACME_SEGMENT_DAMAGED : rc;
}

/* Reads and checks the head of the space at `root` (in units). */
static inline enum acme_segment_result
acme_segment__space(int fd, uint32_t root, struct acme_segment_space *space)
{
	const size_t skip = offsetof(struct acme_segment_space, slots);
	const uint64_t offset = (uint64_t)root * ACME_SEGMENT_UNIT;
	enum acme_segment_result rc;

	if (offset < ACME_SEGMENT_HEADER)
		return ACME_SEGMENT_DAMAGED;
	rc = acme_segment__read(fd, space, sizeof *space, offset);
	if (rc != ACME_SEGMENT_OK)
		return rc;
	if (space->magic != ACME_SEGMENT_SPACE_MAGIC || space->slots == 0 ||
	    space->slots > ACME_SEGMENT_SLOTS_MAX ||
	    (space->slots & (space->slots - 1)) != 0 ||
	    space->crc !=
		acme_segment_crc32c(0, (const unsigned char *)space + skip,
				    sizeof *space - skip))
		return ACME_SEGMENT_DAMAGED;
	return ACME_SEGMENT_OK;
}

/* Reads `count` slots from `first` on; the caller keeps them in the index. */
static inline enum acme_segment_result
acme_segment__slots(int fd, uint32_t root, uint32_t first, uint32_t count,
		    struct acme_segment_slot *slot)
{
	const uint64_t offset = (uint64_t)root * ACME_SEGMENT_UNIT +
				sizeof(struct acme_segment_space) +
				(uint64_t)first * sizeof *slot;

	return acme_segment__read(fd, slot, count * sizeof *slot, offset);
}

/* Whether the slot still holds `at`: OK, AGAIN if not. */
static inline enum acme_segment_result
acme_segment__same(int fd, uint32_t root, uint32_t i, uint32_t at)
{
	struct acme_segment_slot now;
	enum acme_segment_result rc;

	acme_segment__fence();
	rc = acme_segment__slots(fd, root, i, 1, &now);
	if (rc != ACME_SEGMENT_OK)
		return rc;
	return now.at == at ? ACME_SEGMENT_OK : ACME_SEGMENT_AGAIN;
}

/* What is searched, and where the answer goes. */
struct acme_segment__query {
	const void *name;
	size_t len;
	void *buf;
	size_t cap;
	struct acme_segment_record *record;
	uint32_t kind;
	uint32_t root;
};

/* A slot with the right tag: OK if it is ours, ABSENT if another's, or what
 * went wrong. A record only counts if its slot still names it afterwards. */
static inline enum acme_segment_result
acme_segment__try(int fd, const struct acme_segment__query *q, uint32_t i,
		  uint32_t at)
{
	struct acme_segment_record *r = q->record;
	enum acme_segment_result rc, same;

	rc = acme_segment__record(fd, at, q->buf, q->cap, r);
	same = acme_segment__same(fd, q->root, i, at);
	if (same != ACME_SEGMENT_OK)
		return same;
	if (rc != ACME_SEGMENT_OK)
		return rc;
	if (r->kind == q->kind && r->name_len == q->len &&
	    (q->len == 0 || memcmp(r->name, q->name, q->len) == 0))
		return ACME_SEGMENT_OK;
	return ACME_SEGMENT_ABSENT;
}

/* Searches one space, from the hash's home to the first empty slot. */
static inline enum acme_segment_result
acme_segment__probe(int fd, const struct acme_segment__query *q)
{
	struct acme_segment_space space;
	struct acme_segment_slot slot[16];
	enum acme_segment_result rc;
	uint32_t home, tag, done, first, count, i;
	uint64_t hash;

	rc = acme_segment__space(fd, q->root, &space);
	if (rc != ACME_SEGMENT_OK)
		return rc;
	hash = acme_segment_hash(space.key, q->kind, q->name, q->len);
	tag = (uint32_t)(hash >> 32);
	home = (uint32_t)hash & (space.slots - 1);
	for (done = 0; done < ACME_SEGMENT_PROBE && done < space.slots;
	     done += count) {
		first = (home + done) & (space.slots - 1);
		count = space.slots - first < 16 ? space.slots - first : 16;
		rc = acme_segment__slots(fd, q->root, first, count, slot);
		if (rc != ACME_SEGMENT_OK)
			return rc;
		acme_segment__fence();
		for (i = 0; i < count; i++) {
			if (slot[i].at == ACME_SEGMENT_EMPTY)
				return ACME_SEGMENT_ABSENT;
			if (slot[i].at == ACME_SEGMENT_DEAD ||
			    slot[i].tag != tag)
				continue;
			rc = acme_segment__try(fd, q, first + i, slot[i].at);
			if (rc != ACME_SEGMENT_ABSENT)
				return rc;
		}
	}
	return ACME_SEGMENT_ABSENT;
}

/* Whether root is what it was, and was all the time. */
static inline int acme_segment__stayed(const struct acme_segment *s,
				       uint32_t root, uint32_t switches)
{
	acme_segment__fence();
	return acme_segment__load(&s->header->root) == root &&
	       acme_segment__load(&s->header->switches) == switches;
}

static inline enum acme_segment_result
acme_segment_find(const struct acme_segment *s, uint32_t kind, const void *name,
		  size_t len, void *buf, size_t cap,
		  struct acme_segment_record *record)
{
	struct acme_segment__query q;
	enum acme_segment_result rc;
	uint32_t switches;
	int i;

	memset(record, 0, sizeof *record);
	if (len > ACME_SEGMENT_NAME_MAX)
		return ACME_SEGMENT_ABSENT;
	q.name = name;
	q.len = len;
	q.buf = buf;
	q.cap = cap;
	q.record = record;
	q.kind = kind;
	for (i = 0; i < ACME_SEGMENT_TRIES; i++) {
		switches = acme_segment__load(&s->header->switches);
		q.root = acme_segment__load(&s->header->root);
		rc = q.root ? acme_segment__probe(s->fd, &q)
			    : ACME_SEGMENT_ABSENT;
		if (!acme_segment__stayed(s, q.root, switches))
			continue; /* the space may have gone under us */
		if (rc != ACME_SEGMENT_AGAIN)
			return rc;
	}
	return ACME_SEGMENT_AGAIN;
}

static inline enum acme_segment_result
acme_segment_find_chain(const struct acme_segment *s, uint64_t chain, void *buf,
			size_t cap, struct acme_segment_record *record)
{
	return acme_segment_find(s, ACME_SEGMENT_CHAIN, &chain, sizeof chain,
				 buf, cap, record);
}

static inline enum acme_segment_result
acme_segment_find_name(const struct acme_segment *s, const char *host,
		       size_t len, void *buf, size_t cap,
		       struct acme_segment_record *record)
{
	char name[256];
	enum acme_segment_result rc;
	size_t i, dot;

	memset(record, 0, sizeof *record);
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len >= sizeof name)
		return ACME_SEGMENT_ABSENT;
	for (i = 0, dot = len; i < len; i++) {
		name[i] = host[i];
		if (host[i] >= 'A' && host[i] <= 'Z')
			name[i] = (char)(host[i] - 'A' + 'a');
		if (host[i] == '.' && dot == len)
			dot = i;
	}
	rc = acme_segment_find(s, ACME_SEGMENT_NAME, name, len, buf, cap,
			       record);
	if (rc != ACME_SEGMENT_ABSENT || dot == 0 || dot == len)
		return rc;
	name[dot - 1] = '*';
	return acme_segment_find(s, ACME_SEGMENT_NAME, name + dot - 1,
				 len - dot + 1, buf, cap, record);
}

/* Starts a walk, or sees that the space of one that goes on has gone. */
static inline enum acme_segment_result
acme_segment__walk(const struct acme_segment *s, struct acme_segment_cursor *c)
{
	struct acme_segment_space space;
	enum acme_segment_result rc = ACME_SEGMENT_OK;

	if (c->root == 0) {
		c->switches = acme_segment__load(&s->header->switches);
		c->root = acme_segment__load(&s->header->root);
		if (c->root == 0)
			return ACME_SEGMENT_ABSENT;
		rc = acme_segment__space(s->fd, c->root, &space);
		if (rc == ACME_SEGMENT_OK)
			c->slots = space.slots;
	}
	if (!acme_segment__stayed(s, c->root, c->switches))
		rc = ACME_SEGMENT_AGAIN;
	return rc;
}

/* Has the slot that is next in `c->slot`; ABSENT at the end. */
static inline enum acme_segment_result
acme_segment__fill(const struct acme_segment *s, struct acme_segment_cursor *c)
{
	const uint32_t room = sizeof c->slot / sizeof c->slot[0];
	enum acme_segment_result rc;

	if (c->next >= c->slots)
		return ACME_SEGMENT_ABSENT;
	if (c->next - c->first < c->count)
		return ACME_SEGMENT_OK;
	c->first = c->next;
	c->count = c->slots - c->next < room ? c->slots - c->next : room;
	rc = acme_segment__slots(s->fd, c->root, c->first, c->count, c->slot);
	if (rc != ACME_SEGMENT_OK) {
		c->count = 0;
		c->next = c->slots; /* no endless walk over a short file */
	}
	return rc;
}

/* Reads the record that slot c->next names; if the slot has changed meanwhile,
 * AGAIN after noting what it holds now. */
static inline enum acme_segment_result
acme_segment__visit(const struct acme_segment *s, struct acme_segment_cursor *c,
		    void *buf, size_t cap, struct acme_segment_record *r)
{
	struct acme_segment_slot *slot = &c->slot[c->next - c->first];
	enum acme_segment_result rc, same;

	rc = acme_segment__record(s->fd, slot->at, buf, cap, r);
	same = acme_segment__same(s->fd, c->root, c->next, slot->at);
	if (same != ACME_SEGMENT_AGAIN)
		return same == ACME_SEGMENT_OK ? rc : same;
	same = acme_segment__slots(s->fd, c->root, c->next, 1, slot);
	return same == ACME_SEGMENT_OK ? ACME_SEGMENT_AGAIN : same;
}

static inline enum acme_segment_result
acme_segment_next(const struct acme_segment *s, struct acme_segment_cursor *c,
		  void *buf, size_t cap, struct acme_segment_record *record)
{
	enum acme_segment_result rc, gone;
	int tries = ACME_SEGMENT_TRIES;

	memset(record, 0, sizeof *record);
	rc = acme_segment__walk(s, c);
	while (rc == ACME_SEGMENT_OK) {
		rc = acme_segment__fill(s, c);
		if (rc != ACME_SEGMENT_OK)
			break;
		if (c->slot[c->next - c->first].at <= ACME_SEGMENT_DEAD) {
			c->next++;
			continue;
		}
		rc = acme_segment__visit(s, c, buf, cap, record);
		if (rc == ACME_SEGMENT_AGAIN && tries-- > 0)
			rc = ACME_SEGMENT_OK;
		else
			break;
	}
	if (c->root == 0)
		return rc;
	gone = acme_segment__walk(s, c);
	if (gone != ACME_SEGMENT_OK)
		return gone;
	if (rc == ACME_SEGMENT_OK || rc == ACME_SEGMENT_DAMAGED)
		c->next++;
	return rc;
}

/* The table of a CERT: 1 and its head if all lengths add up to the body. */
static inline int acme_segment__cert_head(const struct acme_segment_record *r,
					  struct acme_segment_cert_head *head)
{
	struct acme_segment_cert_entry entry;
	uint64_t need;
	uint32_t i;

	if (r->kind != ACME_SEGMENT_CERT || r->body_len < sizeof *head)
		return 0;
	memcpy(head, r->body, sizeof *head);
	if (head->entries > (r->body_len - sizeof *head) / sizeof entry)
		return 0;
	need = sizeof *head + head->entries * sizeof entry +
	       (uint64_t)head->names_len;
	for (i = 0; i < head->entries; i++) {
		memcpy(&entry, r->body + sizeof *head + i * sizeof entry,
		       sizeof entry);
		need += (uint64_t)entry.leaf_len + entry.key_len;
	}
	return need == r->body_len;
}

static inline uint32_t
acme_segment_cert_count(const struct acme_segment_record *cert)
{
	struct acme_segment_cert_head head;

	return acme_segment__cert_head(cert, &head) ? head.entries : 0;
}

static inline int acme_segment_cert(const struct acme_segment_record *cert,
				    uint32_t i, struct acme_segment_entry *out)
{
	struct acme_segment_cert_head head;
	struct acme_segment_cert_entry entry;
	const unsigned char *table, *data;
	uint32_t k;

	if (!acme_segment__cert_head(cert, &head) || i >= head.entries)
		return 0;
	table = cert->body + sizeof head;
	data = table + head.entries * sizeof entry;
	for (k = 0; k < i; k++) {
		memcpy(&entry, table + k * sizeof entry, sizeof entry);
		data += entry.leaf_len;
		data += entry.key_len;
	}
	memcpy(&entry, table + i * sizeof entry, sizeof entry);
	out->leaf.ptr = data;
	out->leaf.len = entry.leaf_len;
	out->key.ptr = data + entry.leaf_len;
	out->key.len = entry.key_len;
	out->chain = entry.chain;
	out->type = entry.type;
	out->reserved = 0;
	return 1;
}

static inline int acme_segment_cert_name(const struct acme_segment_record *cert,
					 uint32_t i,
					 struct acme_segment_bytes *out)
{
	struct acme_segment_cert_head head;
	const unsigned char *p, *end;

	if (!acme_segment__cert_head(cert, &head))
		return 0;
	end = cert->body + cert->body_len;
	for (p = end - head.names_len; p < end; p += 1 + *p) {
		if (*p >= end - p)
			return 0;
		if (i-- == 0) {
			out->ptr = p + 1;
			out->len = *p;
			return 1;
		}
	}
	return 0;
}

static inline uint32_t
acme_segment_chain_count(const struct acme_segment_record *chain)
{
	uint64_t need = 4;
	uint32_t count, i;

	if (chain->kind != ACME_SEGMENT_CHAIN || chain->body_len < 4)
		return 0;
	count = acme_segment__get32(chain->body);
	if (count > (chain->body_len - 4) / 4)
		return 0;
	for (i = 0; i < count; i++)
		need += 4 + (uint64_t)acme_segment__get32(chain->body + 4 +
							  4 * (size_t)i);
	return need == chain->body_len ? count : 0;
}

static inline int acme_segment_chain(const struct acme_segment_record *chain,
				     uint32_t i, struct acme_segment_bytes *out)
{
	uint32_t count = acme_segment_chain_count(chain), k;
	const unsigned char *p;

	if (i >= count)
		return 0;
	p = chain->body + 4 + 4 * (size_t)count;
	for (k = 0; k < i; k++)
		p += acme_segment__get32(chain->body + 4 + 4 * (size_t)k);
	out->ptr = p;
	out->len = acme_segment__get32(chain->body + 4 + 4 * (size_t)i);
	return 1;
}

static inline int acme_segment_alpn(const struct acme_segment_record *alpn,
				    struct acme_segment_bytes *cert,
				    struct acme_segment_bytes *key)
{
	uint64_t cert_len, key_len;

	if (alpn->kind != ACME_SEGMENT_ALPN || alpn->body_len < 8)
		return 0;
	cert_len = acme_segment__get32(alpn->body);
	key_len = acme_segment__get32(alpn->body + 4);
	if (8 + cert_len + key_len != alpn->body_len)
		return 0;
	cert->ptr = alpn->body + 8;
	cert->len = (size_t)cert_len;
	key->ptr = cert->ptr + cert_len;
	key->len = (size_t)key_len;
	return 1;
}

static inline const char *
acme_segment_result_text(enum acme_segment_result result)
{
	static const char *const text[] = { "found",
					    "absent",
					    "buffer too small",
					    "changing, try again",
					    "damaged",
					    "not ready",
					    "not a segment of this layout",
					    "input/output error" };

	return (unsigned)result < sizeof text / sizeof text[0] ? text[result]
							       : "unknown";
}

static inline const char *acme_segment_kind_text(uint32_t kind)
{
	static const char *const text[] = { "unknown", "cert",  "chain",
					    "name",    "token", "alpn" };

	return text[kind < sizeof text / sizeof text[0] ? kind : 0];
}

static inline const char *acme_segment_key_text(uint32_t type)
{
	static const char *const text[] = { "unknown",   "ecdsa:256",
					    "ecdsa:384", "ecdsa:521",
					    "rsa:2048",  "rsa:3072",
					    "rsa:4096" };

	return text[type < sizeof text / sizeof text[0] ? type : 0];
}

#ifdef __cplusplus
}
#endif

#endif /* ACME_SEGMENT_H */
