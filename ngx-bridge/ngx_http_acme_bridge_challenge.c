
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Answers to http-01 (RFC 8555, section 8.3), from tokens in the segment.
 *
 * In the POST_READ phase, so before rewrites, redirects and access rules, for
 * whatever server and listener the request came to: nothing needs to be
 * configured for it.  A token that is not in the segment is none of our
 * business, and the request goes on as if we were not here.
 */


#include "ngx_http_acme_bridge.h"


#define NGX_HTTP_ACME_BRIDGE_TOKEN_MAX  256
#define NGX_HTTP_ACME_BRIDGE_LOOKS      4


static ngx_int_t ngx_http_acme_bridge_challenge(ngx_http_request_t *r);
static ngx_uint_t ngx_http_acme_bridge_is_token(ngx_str_t *token);
static ngx_int_t ngx_http_acme_bridge_find_token(ngx_http_request_t *r,
    struct acme_segment *map, ngx_str_t *token, ngx_str_t *text);


static ngx_str_t  ngx_http_acme_bridge_prefix =
    ngx_string("/.well-known/acme-challenge/");

static ngx_str_t  ngx_http_acme_bridge_text_plain = ngx_string("text/plain");


ngx_int_t
ngx_http_acme_bridge_challenge_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_acme_bridge_challenge;

    return NGX_OK;
}


static ngx_int_t
ngx_http_acme_bridge_challenge(ngx_http_request_t *r)
{
    ngx_str_t                          token, *prefix;
    ngx_int_t                          rc;
    ngx_http_complex_value_t           cv;
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    prefix = &ngx_http_acme_bridge_prefix;

    if (r->uri.len <= prefix->len
        || ngx_memcmp(r->uri.data, prefix->data, prefix->len) != 0
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        || r != r->main)
    {
        return NGX_DECLINED;
    }

    token.len = r->uri.len - prefix->len;
    token.data = r->uri.data + prefix->len;

    if (!ngx_http_acme_bridge_is_token(&token)) {
        return NGX_DECLINED;
    }

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_acme_bridge_module);

    if (ngx_http_acme_bridge_segment_ready(bmcf, r->connection->log)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    rc = ngx_http_acme_bridge_find_token(r, &bmcf->segment.map, &token,
                                         &cv.value);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "acme: http-01 challenge answered");

    r->keepalive = 0;

    rc = ngx_http_send_response(r, NGX_HTTP_OK,
                                &ngx_http_acme_bridge_text_plain, &cv);

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


/* base64url, as RFC 8555 has it; nothing else is ever looked up */

static ngx_uint_t
ngx_http_acme_bridge_is_token(ngx_str_t *token)
{
    u_char  *p, *last, ch;

    if (token->len > NGX_HTTP_ACME_BRIDGE_TOKEN_MAX) {
        return 0;
    }

    last = token->data + token->len;

    for (p = token->data; p < last; p++) {

        ch = *p | 0x20;

        if ((ch < 'a' || ch > 'z') && (*p < '0' || *p > '9')
            && *p != '-' && *p != '_')
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_acme_bridge_find_token(ngx_http_request_t *r,
    struct acme_segment *map, ngx_str_t *token, ngx_str_t *text)
{
    u_char                       buf[1024];
    ngx_uint_t                   n;
    enum acme_segment_result     rc;
    struct acme_segment_record   record;

    for (n = 0; n < NGX_HTTP_ACME_BRIDGE_LOOKS; n++) {

        rc = acme_segment_find(map, ACME_SEGMENT_TOKEN, token->data,
                               token->len, buf, sizeof(buf), &record);

        if (rc != ACME_SEGMENT_AGAIN) {
            break;
        }
    }

    if (rc == ACME_SEGMENT_ABSENT) {
        return NGX_DECLINED;
    }

    if (rc != ACME_SEGMENT_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "acme: token \"%V\" cannot be read: %s",
                      token, acme_segment_result_text(rc));
        return NGX_DECLINED;
    }

    text->len = record.body_len;
    text->data = ngx_pnalloc(r->pool, record.body_len);
    if (text->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(text->data, record.body, record.body_len);

    return NGX_OK;
}
