/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets by reference (credential.h): in a file, in the environment, or handed
 * over by the service manager. The content passes through wiped memory only,
 * and no message repeats it.
 */
#include "plugin/credential.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { CREDENTIAL_MAX = 64 << 10 };

static const char *after_word(const char *reference, const char *word)
{
	size_t len = strlen(word);

	return strncmp(reference, word, len) == 0 ? reference + len : NULL;
}

bool credential_is_literal(const char *reference)
{
	return !after_word(reference, "file:") &&
	       !after_word(reference, "env:") &&
	       !after_word(reference, "credential:");
}

static int keep(struct str s, struct secret *out, struct err *e)
{
	if (s.len == 0)
		return err_set(e, ERR_INVALID, "the secret is empty");
	if (s.len > CREDENTIAL_MAX)
		return err_set(e, ERR_INVALID, "the secret has over %d bytes",
			       CREDENTIAL_MAX);
	if (memchr(s.ptr, '\0', s.len))
		return err_set(e, ERR_INVALID, "the secret holds a NUL byte");
	return secret_copy(out, s.ptr, s.len, e);
}

static int from_file(const char *path, struct secret *out, struct err *e)
{
	struct buf content = BUF_INIT(CREDENTIAL_MAX + 2);

	if (*path != '/')
		return err_set(e, ERR_INVALID,
			       "file: expected an absolute path");
	int rc = file_read(path, &content, e);
	if (rc == 0) {
		struct str s = buf_str(&content);
		if (s.len && s.ptr[s.len - 1] == '\n')
			s.len--;
		if (s.len && s.ptr[s.len - 1] == '\r')
			s.len--;
		rc = keep(s, out, e);
		if (rc < 0)
			err_in(e, "%s", path);
	}
	buf_free(&content);
	return rc;
}

static int from_env(const char *name, struct secret *out, struct err *e)
{
	const char *value = *name ? getenv(name) : NULL;

	if (!value)
		return err_set(e, ERR_ABSENT,
			       "env:%s: there is no such "
			       "variable in the agent's environment",
			       name);
	int rc = keep(str_of(value), out, e);
	return rc < 0 ? err_in(e, "env:%s", name) : 0;
}

static int from_credential(const char *name, struct secret *out, struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	if (!*name || *name == '.' || strchr(name, '/'))
		return err_set(e, ERR_INVALID,
			       "credential: expected a name without '/'");
	if (!dir || *dir != '/')
		return err_set(e, ERR_ABSENT,
			       "credential:%s: the service manager gave no "
			       "credentials (LoadCredential= in the unit)",
			       name);
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof path)
		return err_set(e, ERR_INVALID, "credential: name too long");
	return from_file(path, out, e);
}

int credential_read(const char *reference, struct secret *out, struct err *e)
{
	const char *rest;

	*out = SECRET_NONE;
	if ((rest = after_word(reference, "file:")))
		return from_file(rest, out, e);
	if ((rest = after_word(reference, "env:")))
		return from_env(rest, out, e);
	if ((rest = after_word(reference, "credential:")))
		return from_credential(rest, out, e);
	return keep(str_of(reference), out, e);
}
