/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The second half of fake_ca.h: from bytes on a connection to a request, and
 * what the CA does about it. */

/* ---- requests ---- */

struct fake_request {
	enum fake_place place;
	int id; /* -1: none */
	char url[256];
	json_t *header, *payload; /* NULL: none */
};

static inline int fake_account_of(struct fake *f, const json_t *jwk, bool make)
{
	char *text = json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS);
	int free_at = -1;

	for (int i = FAKE_ACCOUNTS; i-- > 0;) {
		if (!f->accounts[i])
			free_at = i;
		else if (!strcmp(f->accounts[i], text)) {
			free(text);
			return i;
		}
	}
	if (!make) {
		free(text);
		return -1;
	}
	assert_true(free_at >= 0);
	f->accounts[free_at] = mem_strdup(text);
	free(text);
	return free_at;
}

static inline void fake_new_account(struct fake *f, struct fake_request *q,
                                    struct fake_reply *r)
{
	const json_t *jwk = json_object_get(q->header, "jwk");
	char url[128];
	int old = fake_account_of(f, jwk, false);
	int id = fake_account_of(f, jwk, true);

	if (f->terms &&
	    !json_is_true(json_object_get(q->payload, "termsOfServiceAgreed"))) {
		fake_error(r, 403, "userActionRequired", "agree first");
		return;
	}
	buf_addf(&r->head, "Location: %s\r\n",
	         fake_url(f, FAKE_ACCOUNT, id, url));
	fake_json(r, old < 0 ? 201 : 200, json_pack("{s:s}", "status", "valid"));
}

static inline void fake_new_order(struct fake *f, struct fake_request *q,
                                  struct fake_reply *r)
{
	int id = (int)f->order_count++;
	struct fake_order *o = &f->orders[id];
	const json_t *ids = json_object_get(q->payload, "identifiers"), *one;
	char url[128];
	size_t i;

	assert_true(id < FAKE_ORDERS);
	o->status = "pending";
	o->polls_left = f->pending_polls;
	json_array_foreach(ids, i, one)
	{
		struct fake_authz *a = &o->authz[o->count++];
		snprintf(a->name, sizeof a->name, "%s",
		         json_string_value(json_object_get(one, "value")));
		a->status = f->valid_already ? "valid" : "pending";
		a->challenged = -1;
	}
	buf_addf(&r->head, "Location: %s\r\n",
	         fake_url(f, FAKE_ORDER, id, url));
	fake_json(r, 201, fake_order_json(f, id));
}

/* True if nonce and signer are as they must be. */
static inline bool fake_admits(struct fake *f, struct fake_request *q,
                               struct fake_reply *r)
{
	const char *nonce =
		json_string_value(json_object_get(q->header, "nonce"));
	const char *kid = json_string_value(json_object_get(q->header, "kid"));
	const char *url = json_string_value(json_object_get(q->header, "url"));
	unsigned n = nonce ? (unsigned)atoll(nonce + 5) : 0;
	bool good = nonce && n < FAKE_NONCES && f->nonces[n];

	assert_non_null(url);
	assert_string_equal(url, q->url);
	f->last_had_jwk = json_object_get(q->header, "jwk") != NULL;
	assert_int_equal(f->last_had_jwk, kid == NULL);
	if (good)
		f->nonces[n] = 0;
	if (!good || f->bad_nonces > 0) {
		f->bad_nonces -= f->bad_nonces > 0;
		fake_error(r, 400, "badNonce", "stale");
		return false;
	}
	if (!kid)
		return true;
	const char *slash = strrchr(kid, '/');
	int id = slash ? (int)atoll(slash + 1) : -1;
	if (id < 0 || id >= FAKE_ACCOUNTS || !f->accounts[id]) {
		fake_error(r, 400, "accountDoesNotExist", "who?");
		return false;
	}
	return true;
}

static inline bool fake_known(struct fake *f, const struct fake_request *q)
{
	int order = q->place == FAKE_AUTHZ       ? q->id / FAKE_NAMES
	            : q->place == FAKE_CHALLENGE ? q->id / 4 / FAKE_NAMES
	                                         : q->id;

	return order >= 0 && order < (int)f->order_count;
}

static inline void fake_own(struct fake *f, struct fake_request *q,
                            struct fake_reply *r)
{
	char type[32];

	switch (q->place) {
	case FAKE_DIRECTORY:
		fake_directory(f, r);
		return;
	case FAKE_NONCE:
		r->status = 200;
		return;
	case FAKE_NEW_ACCOUNT:
		fake_new_account(f, q, r);
		return;
	case FAKE_ACCOUNT:
		fake_json(r, 200, json_pack("{s:s}", "status", "valid"));
		return;
	case FAKE_NEW_ORDER:
		fake_new_order(f, q, r);
		return;
	case FAKE_REVOKE:
		r->status = 200;
		return;
	case FAKE_ORDER:
	case FAKE_AUTHZ:
	case FAKE_CHALLENGE:
	case FAKE_FINALIZE:
	case FAKE_CERT:
	case FAKE_NOWHERE:
	case FAKE_PLACES:
		break;
	}
	if (q->place == FAKE_NOWHERE || !fake_known(f, q)) {
		fake_error(r, 404, "malformed", "no such thing");
		/* as CAs do it: a 404 of no registered type */
		buf_reset(&r->body);
		buf_adds(&r->body, "{\"detail\":\"no such thing\"}");
		return;
	}
	if (q->place == FAKE_ORDER) {
		fake_advance(f, &f->orders[q->id]);
		json_t *o = fake_order_json(f, q->id);
		if (!strcmp(f->orders[q->id].status, "invalid") && !f->silent)
			json_object_set_new(
				o, "error",
				json_pack("{s:s,s:s}", "type",
			                  "urn:ietf:params:acme:error:"
			                  "unauthorized",
			                  "detail", "the order failed"));
		fake_json(r, 200, o);
	} else if (q->place == FAKE_AUTHZ) {
		fake_json(r, 200, fake_authz_json(f, q->id));
	} else if (q->place == FAKE_CHALLENGE) {
		assert_true(json_is_object(q->payload));
		fake_challenged(f, q->id);
		fake_json(r, 200,
		          fake_challenge_json(f, q->id / 4, q->id % 4,
		                              fake_type(f, q->id % 4, type)));
	} else if (q->place == FAKE_FINALIZE) {
		if (fake_finalize(f, q->id, q->payload, r))
			fake_json(r, 200, fake_order_json(f, q->id));
	} else {
		r->status = 200;
		buf_adds(&r->body, f->orders[q->id].cert);
	}
}

/* ---- HTTP ---- */

static inline json_t *fake_part(const json_t *jws, const char *key)
{
	struct buf text = BUF_INIT(256 << 10);
	const char *b64 = json_string_value(json_object_get(jws, key));
	json_t *o = NULL;

	assert_non_null(b64);
	assert_int_equal(b64url_decode(&text, str_of(b64)), 0);
	if (text.len)
		assert_non_null(o = json_loadb(text.ptr, text.len, 0, NULL));
	buf_free(&text);
	return o;
}

static inline void fake_send(int fd, const void *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static inline void fake_answer(struct fake *f, int fd, struct fake_reply *r,
                               bool cut, bool head)
{
	struct buf out = BUF_INIT(1 << 20);

	buf_addf(&out, "HTTP/1.1 %d Because\r\n", r->status);
	if (!f->no_nonces) {
		f->next_nonce++;
		assert_true(f->next_nonce < FAKE_NONCES);
		f->nonces[f->next_nonce] = 1;
		buf_addf(&out, "Replay-Nonce: nonce%u\r\n", f->next_nonce);
	}
	buf_addf(&out, "%sContent-Type: application/json\r\n"
	         "Content-Length: %zu\r\n\r\n",
	         r->head.ptr ? r->head.ptr : "", r->body.len + cut * 100);
	if (!head && r->body.len)
		buf_add(&out, r->body.ptr, r->body.len);
	fake_send(fd, out.ptr, out.len);
	buf_free(&out);
}

static inline void fake_place_of(struct fake *f, const char *path,
                                 struct fake_request *q)
{
	const char *slash = strchr(path + 1, '/');
	size_t len = slash ? (size_t)(slash - path - 1) : strlen(path + 1);

	q->place = FAKE_NOWHERE;
	q->id = slash ? (int)atoll(slash + 1) : -1;
	for (int i = 0; i < FAKE_NOWHERE; i++)
		if (strlen(FAKE_PATHS[i]) == len &&
		    !strncmp(FAKE_PATHS[i], path + 1, len))
			q->place = (enum fake_place)i;
	snprintf(q->url, sizeof q->url, "%s%s", f->base, path);
}

/* One whole request. False: the connection ends. */
static inline bool fake_serve(struct fake_conn *c, char *head, struct str body)
{
	struct fake *f = c->fake;
	char method[8], path[200];
	struct fake_request q = { 0 };
	struct fake_reply r = { 0, BUF_INIT(4096), BUF_INIT(256 << 10) };

	assert_int_equal(sscanf(head, "%7s %199s", method, path), 2);
	fake_place_of(f, path, &q);
	f->count[q.place]++;
	if (f->heard)
		f->heard(f->arg, q.place, q.id);
	bool post = !strcmp(method, "POST");
	if (post) {
		json_t *jws = json_loadb(body.ptr, body.len, 0, NULL);
		assert_non_null(jws);
		q.header = fake_part(jws, "protected");
		q.payload = fake_part(jws, "payload");
		json_decref(jws);
		if (q.payload) {
			char *text = json_dumps(q.payload, JSON_COMPACT);
			snprintf(f->last_payload, sizeof f->last_payload, "%s",
			         text);
			free(text);
		}
	}
	struct fake_saying *said = fake_said(f, q.place);
	if (said) {
		r.status = said->status;
		buf_adds(&r.head, said->headers);
		buf_adds(&r.body, said->body);
	} else if (!post || fake_admits(f, &q, &r)) {
		fake_own(f, &q, &r);
	}
	bool cut = said && said->cut;
	fake_answer(f, c->fd, &r, cut, !strcmp(method, "HEAD"));
	json_decref(q.header);
	json_decref(q.payload);
	buf_free(&r.head);
	buf_free(&r.body);
	return !cut;
}

static inline void fake_conn_end(struct fake_conn *c)
{
	fdwatch_cancel(&c->watch);
	close(c->fd);
	buf_free(&c->in);
	*c = (struct fake_conn){ 0 };
}

static inline void fake_readable(void *arg, int fd, unsigned events)
{
	struct fake_conn *c = arg;
	char bytes[16384];
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fake_conn_end(c);
		return;
	}
	buf_add(&c->in, bytes, (size_t)n);
	char *end = strstr(c->in.ptr, "\r\n\r\n");
	if (!end)
		return;
	char *length = strcasestr(c->in.ptr, "Content-Length:");
	size_t head = (size_t)(end + 4 - c->in.ptr);
	size_t body = length && length < end ? (size_t)atoll(length + 15) : 0;
	if (c->in.len < head + body)
		return;
	if (!fake_serve(c, c->in.ptr,
	                (struct str){ c->in.ptr + head, body })) {
		fake_conn_end(c);
		return;
	}
	buf_reset(&c->in);
}

static inline void fake_accept(void *arg, int fd, unsigned events)
{
	struct fake *f = arg;
	struct err e;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (conn < 0)
		return;
	for (int i = 0; i < FAKE_CONNS; i++) {
		struct fake_conn *c = &f->conns[i];
		if (c->fake)
			continue;
		*c = (struct fake_conn){ .fake = f, .fd = conn,
			                 .in = BUF_INIT(1 << 20) };
		assert_int_equal(fdwatch_start(f->loop, conn, FDWATCH_READ,
		                               fake_readable, c, &c->watch,
		                               &e),
		                 0);
		return;
	}
	fail_msg("too many connections");
}
