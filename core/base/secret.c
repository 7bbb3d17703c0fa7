/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret memory from mmap, so that MADV_DONTDUMP and MADV_WIPEONFORK can be said
 * of it. mlock is tried and not insisted upon: a small RLIMIT_MEMLOCK must not
 * stop certificates; docs/security.md speaks about swap.
 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int secret_alloc(struct secret *s, size_t len, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*s = SECRET_NONE;
	if (len > SECRET_MAX)
		return err_set(e, ERR_NOSPACE, "secret of %zu bytes", len);
	size_t mapped = (len + 1 + page - 1) / page * page;
	void *ptr = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ptr == MAP_FAILED)
		return err_set(e, ERR_NOSPACE, "secret memory: %s",
		               strerrordesc_np(errno));
	(void)madvise(ptr, mapped, MADV_DONTDUMP);
	(void)madvise(ptr, mapped, MADV_WIPEONFORK);
	(void)mlock(ptr, mapped);
	*s = (struct secret){ .ptr = ptr, .len = len, .mapped = mapped };
	return 0;
}

int secret_copy(struct secret *s, const void *bytes, size_t len, struct err *e)
{
	int rc = secret_alloc(s, len, e);

	if (rc == 0 && len)
		memcpy(s->ptr, bytes, len);
	return rc;
}

void secret_free(struct secret *s)
{
	if (s->ptr) {
		explicit_bzero(s->ptr, s->mapped);
		munmap(s->ptr, s->mapped);
	}
	*s = SECRET_NONE;
}

void secret_no_dumps(void)
{
	struct rlimit none = { 0, 0 };

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}
