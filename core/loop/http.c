/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libcurl, driven by the loop.
 *
 * There is one multi handle. curl tells which sockets and which timer it wants
 * to hear of (on_want_socket, on_want_timer); libuv tells when (on_socket,
 * on_timer); after each of those the exchanges that are over are taken out and
 * delivered. No callback of a caller ever runs inside curl, so callers may
 * start and cancel calls there as they like, and curl's timer never fires
 * within curl_multi_add_handle, so none runs inside http_start either.
 *
 * Costs: connections, resolved names and the parsed CA file live in the multi
 * handle, TLS sessions in the share, easy handles and buffers in the pool of
 * calls. Look-ups run on threads of curl's own (its threaded resolver).
 *
 * Redirects are followed here and not by curl, so that each target is judged by
 * the same function as the first URL.
 */
#include "loop/http.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "loop/http_call.h"
#include "loop/turn.h"

enum {
	POOL = 8,
	HOST_CONNECTIONS = 4,
	CONNECTIONS = 32,
	CA_CACHE_SECONDS = 600, /* until a changed CA file is noticed */
	CA_DOUBT_SECONDS = 1,   /* likewise, after a certificate was refused */
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	CURLSH *share;
	uv_timer_t timer;
	char *user_agent;
	struct http_call *calls; /* running */
	struct http_call *pool;  /* idle, linked by next */
	int pooled;
	int64_t doubt_until; /* see CA_DOUBT_SECONDS */
};

struct http_socket {
	uv_poll_t uv;
	struct http_client *client;
	curl_socket_t fd;
	int bits;
};

static void deliver_done(struct http_client *client);

/* --- between curl and libuv --------------------------------------------- */

static void act(struct http_client *client, curl_socket_t fd, int mask)
{
	int running;
	uint64_t began = turn_begin();

	curl_multi_socket_action(client->multi, fd, mask, &running);
	turn_end(client->loop, "curl", began);
	deliver_done(client);
}

static void on_socket(uv_poll_t *uv, int status, int bits)
{
	struct http_socket *s = uv->data; /* lives until this turn ends */
	int mask = 0;

	if (status < 0)
		mask |= CURL_CSELECT_ERR;
	if (bits & UV_READABLE)
		mask |= CURL_CSELECT_IN;
	if (bits & UV_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	act(s->client, s->fd, mask);
	/* libuv stops after an error; curl believes that we go on. */
	if (status < 0 && !uv_is_closing((uv_handle_t *)uv))
		uv_poll_start(uv, s->bits, on_socket);
}

static void on_socket_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct http_socket *socket_new(struct http_client *client,
                                      curl_socket_t fd)
{
	struct http_socket *s = mem_alloc(sizeof *s);

	s->client = client;
	s->fd = fd;
	if (uv_poll_init_socket(turn_uv(client->loop), &s->uv, fd) < 0) {
		free(s);
		return NULL;
	}
	s->uv.data = s;
	curl_multi_assign(client->multi, fd, s);
	return s;
}

static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                          void *assigned)
{
	struct http_client *client = arg;
	struct http_socket *s = assigned;
	(void)easy;

	if (what == CURL_POLL_REMOVE) {
		if (!s)
			return 0;
		curl_multi_assign(client->multi, fd, NULL);
		uv_close((uv_handle_t *)&s->uv, on_socket_closed);
		return 0;
	}
	if (!s && !(s = socket_new(client, fd)))
		return 0; /* the time-outs of the call will end it */
	s->bits = (what & CURL_POLL_IN ? UV_READABLE : 0) |
	          (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	uv_poll_start(&s->uv, s->bits, on_socket);
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_want_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client *client = arg;
	(void)multi;

	if (ms < 0) {
		uv_timer_stop(&client->timer);
		return 0;
	}
	uv_update_time(turn_uv(client->loop));
	uv_timer_start(&client->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

/* --- the client --------------------------------------------------------- */

/* curl's global state is counted by curl itself. */
static void must_curl(bool good)
{
	turn_must(good ? 0 : UV_ENOMEM, "curl");
}

#define SET(option, value) curl_multi_setopt(client->multi, option, value)

struct http_client *http_client_new(struct loop *loop,
                                    const struct http_client_options *options)
{
	static const struct http_client_options none;
	struct http_client *client = mem_alloc(sizeof *client);

	if (!options)
		options = &none;
	must_curl(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	client->loop = loop;
	client->multi = curl_multi_init();
	client->share = curl_share_init();
	must_curl(client->multi && client->share);
	client->user_agent =
		mem_strdup(options->user_agent ? options->user_agent :
	                                         "acme-agent/" ACME_VERSION);
	uv_timer_init(turn_uv(loop), &client->timer);
	client->timer.data = client;
	curl_share_setopt(client->share, CURLSHOPT_SHARE,
	                  CURL_LOCK_DATA_SSL_SESSION);
	SET(CURLMOPT_SOCKETFUNCTION, on_want_socket);
	SET(CURLMOPT_SOCKETDATA, client);
	SET(CURLMOPT_TIMERFUNCTION, on_want_timer);
	SET(CURLMOPT_TIMERDATA, client);
	SET(CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	SET(CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)(options->host_connections > 0 ? options->host_connections :
	                                           HOST_CONNECTIONS));
	SET(CURLMOPT_MAXCONNECTS,
	    (long)(options->connections > 0 ? options->connections :
	                                      CONNECTIONS));
	turn_hold(loop);
	return client;
}

static void call_free(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	http_answer_free(call);
	arena_reset(&call->mem);
	free(call);
}

static void on_client_closed(uv_handle_t *timer)
{
	struct http_client *client = timer->data;

	free(client->user_agent);
	free(client);
}

void http_client_free(struct http_client **slot)
{
	struct http_client *client = *slot;

	if (!client)
		return;
	while (client->calls) {
		struct http_call *call = client->calls;
		http_cancel(&call);
	}
	while (client->pool) {
		struct http_call *call = client->pool;
		client->pool = call->next;
		call_free(call);
	}
	curl_multi_cleanup(client->multi);
	curl_share_cleanup(client->share);
	curl_global_cleanup();
	uv_close((uv_handle_t *)&client->timer, on_client_closed);
	turn_release(client->loop);
	*slot = NULL;
}

/* --- a call ------------------------------------------------------------- */

static struct http_call *call_take(struct http_client *client)
{
	struct http_call *call = client->pool;

	if (call) {
		client->pool = call->next;
		client->pooled--;
	} else {
		call = mem_alloc(sizeof *call);
		call->easy = curl_easy_init();
		must_curl(call->easy != NULL);
		curl_easy_setopt(call->easy, CURLOPT_SHARE, client->share);
	}
	call->client = client;
	call->next = client->calls;
	call->back = &client->calls;
	if (call->next)
		call->next->back = &call->next;
	client->calls = call;
	turn_hold(client->loop);
	return call;
}

/* Takes the call off the list and away from curl; from now on it is unknown to
 * its owner. Its answer can still be read. */
static void call_end(struct http_call *call)
{
	*call->back = call->next;
	if (call->next)
		call->next->back = call->back;
	call->next = NULL;
	call->back = NULL;
	after_cancel(&call->deadline);
	if (call->added)
		curl_multi_remove_handle(call->client->multi, call->easy);
	call->added = false;
	turn_release(call->client->loop);
}

static void call_recycle(struct http_call *call)
{
	struct http_client *client = call->client;

	if (client->pooled == POOL) {
		call_free(call);
		return;
	}
	arena_reset(&call->mem);
	http_answer_reset(call);
	curl_easy_reset(call->easy);
	call->headers = NULL;
	call->redirects = 0;
	memset(&call->req, 0, sizeof call->req);
	call->next = client->pool;
	client->pool = call;
	client->pooled++;
}

/* Who corrects a CA file after an error must not wait for the cache. */
static long ca_cache_seconds(const struct http_client *client)
{
	return now_mono() < client->doubt_until ? CA_DOUBT_SECONDS :
	                                          CA_CACHE_SECONDS;
}

static void call_send(struct http_call *call)
{
	http_answer_reset(call);
	http_setup_easy(call, call->client->user_agent,
	                ca_cache_seconds(call->client));
	call->added = true;
	must_curl(curl_multi_add_handle(call->client->multi, call->easy) ==
	          CURLM_OK);
}

static void deliver(struct http_call *call, const struct http_response *res)
{
	struct loop *loop = call->client->loop;

	call_end(call);
	uint64_t began = turn_begin();
	call->fn(call->arg, res, res ? NULL : &call->err);
	turn_end(loop, "http", began);
	call_recycle(call);
}

static void on_refused(void *arg)
{
	struct http_call *call = arg;

	call->deadline = NULL;
	deliver(call, NULL);
}

static void on_deadline(void *arg)
{
	struct http_call *call = arg;

	call->deadline = NULL;
	http_words_deadline(call);
	deliver(call, NULL);
}

struct http_call *http_start(struct http_client *client,
                             const struct http_request *req, http_fn *fn,
                             void *arg)
{
	struct http_call *call = call_take(client);

	call->fn = fn;
	call->arg = arg;
	call->began = now_mono();
	if (http_setup_copy(call, req, &call->err)) {
		call->deadline = after_start(client->loop, 0, on_refused, call);
		return call;
	}
	call->deadline = after_start(client->loop, call->req.timeout_ms,
	                             on_deadline, call);
	call_send(call);
	return call;
}

void http_cancel(struct http_call **slot)
{
	struct http_call *call = *slot;

	if (!call)
		return;
	*slot = NULL;
	call_end(call);
	call_recycle(call);
}

/* --- the end of a call -------------------------------------------------- */

static bool is_redirect(const struct http_call *call, long status)
{
	if (!call->req.follow || (strcmp(call->req.method, "GET") &&
	                          strcmp(call->req.method, "HEAD")))
		return false;
	return status == 301 || status == 302 || status == 303 ||
	       status == 307 || status == 308;
}

/* Where the answer sends us; NULL if it is the answer. */
static const char *redirect_of(struct http_call *call)
{
	long status = 0;
	char *url = NULL;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!is_redirect(call, status))
		return NULL;
	curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &url);
	return url;
}

static void follow(struct http_call *call, const char *url)
{
	struct http_url from = call->url;

	if (http_setup_redirect(call, url, &call->err)) {
		err_in(&call->err, "%s", from.host);
		deliver(call, NULL);
		return;
	}
	curl_multi_remove_handle(call->client->multi, call->easy);
	curl_easy_reset(call->easy);
	call_send(call);
}

static void call_done(struct http_call *call, CURLcode code)
{
	struct http_response res;
	const char *url;

	if (code == CURLE_PEER_FAILED_VERIFICATION)
		call->client->doubt_until =
			now_mono() + CA_CACHE_SECONDS * INT64_C(1000);
	if (code != CURLE_OK) {
		http_words_failed(call, code);
		deliver(call, NULL);
	} else if ((url = redirect_of(call))) {
		follow(call, url);
	} else {
		http_answer_read(call, &res);
		deliver(call, &res);
	}
}

static void deliver_done(struct http_client *client)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left))) {
		struct http_call *call = NULL;
		if (msg->msg != CURLMSG_DONE)
			continue;
		CURLcode code = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		call_done(call, code);
	}
}
