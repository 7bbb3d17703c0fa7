/* SPDX-License-Identifier: Apache-2.0 */
/* Key authorizations and the two digests of them that challenges publish. */
#include "acme/key_authorization.h"

#include <string.h>

#include "base/b64.h"

enum { KEY_AUTHORIZATION_MAX = 1024 };

int key_authorization(const char *token, const char *thumbprint,
                      struct buf *out)
{
	return buf_addf(out, "%s.%s", token, thumbprint);
}

void key_authorization_alpn(const char *token, const char *thumbprint,
                            uint8_t out[SHA256_LEN])
{
	struct buf text = BUF_INIT(KEY_AUTHORIZATION_MAX);

	key_authorization(token, thumbprint, &text);
	sha256(text.ptr, text.len, out);
	buf_free(&text);
}

char *key_authorization_dns(const char *token, const char *thumbprint,
                            char out[KEY_AUTHORIZATION_DNS])
{
	struct buf text = BUF_INIT(KEY_AUTHORIZATION_DNS);
	uint8_t sum[SHA256_LEN];

	key_authorization_alpn(token, thumbprint, sum);
	b64url_add(&text, sum, sizeof sum);
	memcpy(out, text.ptr, KEY_AUTHORIZATION_DNS);
	buf_free(&text);
	return out;
}
