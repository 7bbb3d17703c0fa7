
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The certificate callback, which OpenSSL calls in each full handshake when
 * the server is known and before a certificate is chosen.
 *
 * A certificate that did not change costs what a static file costs: it lies in
 * the SSL_CTX, each SSL got it when it was made, and three comparisons show
 * that it is still right:
 *
 *   epoch == seen   nothing was published since we looked
 *   exact           the SSL_CTX holds this version, and no key type beside it
 *   leaf            this SSL was made after the version was put there: between
 *                   accept() and the end of a slow ClientHello many may come
 *
 * After the epoch has moved, the first handshake looks up, parses and checks
 * the new version.  All key types are tried on a scratch SSL before any is
 * applied.  The version replaces the one in the SSL_CTX in place, if its key
 * types cover those that are there: OpenSSL cannot remove one.  Otherwise, and
 * for an SSL that was made too early, it is put into the SSL itself, which
 * costs some microseconds.
 *
 * A version that cannot be read or used leaves the one before where it is.
 *
 * SSL_set_SSL_CTX() with a bare context is no way: under TLS 1.2 ALPN and
 * ciphers would be lost.
 */


#include "ngx_http_acme_bridge.h"


static int ngx_http_acme_bridge_cert_slow(ngx_ssl_conn_t *ssl_conn,
    ngx_http_acme_bridge_srv_conf_t *bscf) __attribute__((noinline));
static void ngx_http_acme_bridge_look(ngx_http_acme_bridge_srv_conf_t *bscf,
    uint32_t epoch, ngx_log_t *log);
static ngx_int_t ngx_http_acme_bridge_take(
    ngx_http_acme_bridge_srv_conf_t *bscf, uint32_t epoch, ngx_log_t *log);
static void ngx_http_acme_bridge_refuse(
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_acme_bridge_find_t *find,
    ngx_log_t *log);
static ngx_int_t ngx_http_acme_bridge_apply(ngx_ssl_conn_t *ssl_conn,
    ngx_http_acme_bridge_bundle_t *bundle);
static ngx_int_t ngx_http_acme_bridge_try(
    ngx_http_acme_bridge_srv_conf_t *bscf,
    ngx_http_acme_bridge_bundle_t *bundle);
static void ngx_http_acme_bridge_install(
    ngx_http_acme_bridge_srv_conf_t *bscf);
static ngx_uint_t ngx_http_acme_bridge_ctx_types(SSL_CTX *ctx);
static void ngx_http_acme_bridge_cert_cleanup(void *data);


int
ngx_http_acme_bridge_cert_cb(ngx_ssl_conn_t *ssl_conn, void *arg)
{
    ngx_http_acme_bridge_srv_conf_t *bscf = arg;

    if (ngx_http_acme_bridge_load(bscf->epoch) == bscf->seen
        && bscf->exact
        && SSL_get_certificate(ssl_conn) == bscf->leaf)
    {
        return 1;
    }

    return ngx_http_acme_bridge_cert_slow(ssl_conn, bscf);
}


static int
ngx_http_acme_bridge_cert_slow(ngx_ssl_conn_t *ssl_conn,
    ngx_http_acme_bridge_srv_conf_t *bscf)
{
    uint32_t                        epoch;
    ngx_int_t                       rc;
    ngx_connection_t               *c;
    ngx_http_acme_bridge_bundle_t  *bundle;

    c = ngx_ssl_get_connection(ssl_conn);

    if (c->ssl->handshaked) {
        return 0;
    }

    rc = ngx_http_acme_bridge_segment_ready(bscf->main, c->log);

    if (rc == NGX_OK) {
        epoch = ngx_http_acme_bridge_load(bscf->epoch);

        if (!bscf->looked || bscf->seen != epoch) {
            ngx_http_acme_bridge_look(bscf, epoch, c->log);

            if (bscf->exact && bscf->seen == epoch
                && SSL_get_certificate(ssl_conn) == bscf->leaf)
            {
                /* something else was published */
                return 1;
            }
        }
    }

    bundle = bscf->bundle;

    if (bundle == NULL) {

        if (bscf->ssl->certificate_values) {
            return ngx_http_ssl_certificate(ssl_conn, bscf->ssl);
        }

        if (bscf->types) {

            /* the static ones, at no cost unless there may be news */

            bscf->leaf = SSL_CTX_get0_certificate(bscf->ctx);
            bscf->exact = (rc == NGX_DECLINED || bscf->looked);

            return 1;
        }

        if (bscf->placeholder) {
            bundle = ngx_http_acme_bridge_placeholder(bscf->main, c->log);
        }
    }

    if (bundle) {

        if (ngx_http_acme_bridge_apply(ssl_conn, bundle) != NGX_OK) {
            ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                          "acme certificate \"%V\" cannot be served",
                          &bscf->name.str);
            return 0;
        }

        return 1;
    }

    if (!bscf->rejected) {
        bscf->rejected = 1;

        if (bscf->orphan) {
            ngx_log_error(NGX_LOG_WARN, c->log, 0,
                          "\"$acme_certificate\" in a server without "
                          "\"acme_certificate\", handshakes are rejected");
        } else {
            ngx_log_error(NGX_LOG_WARN, c->log, 0,
                          "acme certificate \"%V\" was not published yet, "
                          "handshakes are rejected until then", &bscf->name.str);
        }
    }

    c->ssl->handshake_rejected = 1;

    return 0;
}


/*
 * Brings bscf->bundle up to date with the segment.  If the agent is faster
 * than we are, "seen" stays as it was, and the next handshake looks again.
 */

static void
ngx_http_acme_bridge_look(ngx_http_acme_bridge_srv_conf_t *bscf, uint32_t epoch,
    ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = NGX_DECLINED;

    if (bscf->name.str.len) {
        rc = ngx_http_acme_bridge_take(bscf, epoch, log);
        ERR_clear_error();
    }

    if (rc == NGX_AGAIN) {
        return;
    }

    bscf->looked = 1;
    bscf->seen = epoch;
}


static ngx_int_t
ngx_http_acme_bridge_take(ngx_http_acme_bridge_srv_conf_t *bscf, uint32_t epoch,
    ngx_log_t *log)
{
    enum acme_segment_result     rc;
    ngx_http_acme_bridge_find_t  find;

    rc = ngx_http_acme_bridge_bundle_find(bscf, &find);

    if (find.found) {
        bscf->unreadable = 0;
    }

    if (rc == ACME_SEGMENT_AGAIN) {

        if (!find.found
            || acme_segment_epoch(&bscf->main->segment.map) != epoch)
        {
            return NGX_AGAIN;
        }

        /* nobody replaced it under us, so its chain really is missing */
    }

    if (rc == ACME_SEGMENT_ABSENT) {
        /* withdrawn, or never there: what we have is better than nothing */
        return NGX_DECLINED;
    }

    if (rc == ACME_SEGMENT_OK) {

        if (find.bundle == NULL) {
            return NGX_OK;
        }

        if (ngx_http_acme_bridge_try(bscf, find.bundle) == NGX_OK) {

            ngx_http_acme_bridge_bundle_free(bscf->bundle);
            bscf->bundle = find.bundle;
            bscf->unusable = 0;

            ngx_http_acme_bridge_install(bscf);

            ngx_log_error(NGX_LOG_INFO, log, 0,
                          "acme certificate \"%V\": serving version %016xL",
                          &bscf->name.str, find.version);

            return NGX_OK;
        }

        find.error = "is not accepted by OpenSSL";
        ngx_http_acme_bridge_bundle_free(find.bundle);
    }

    ngx_http_acme_bridge_refuse(bscf, &find, log);

    return NGX_ERROR;
}


/* says so once for each version, or once while there is none to be read */

static void
ngx_http_acme_bridge_refuse(ngx_http_acme_bridge_srv_conf_t *bscf,
    ngx_http_acme_bridge_find_t *find, ngx_log_t *log)
{
    if (find->found) {
        bscf->unusable = 1;
        bscf->refused = find->version;

    } else if (bscf->unreadable) {
        return;

    } else {
        bscf->unreadable = 1;
    }

    ngx_ssl_error(NGX_LOG_ERR, log, 0,
                  "acme certificate \"%V\": what was published %s, %s",
                  &bscf->name.str, find->error,
                  bscf->bundle ? "still serving the one before"
                               : "and there is none before it");
}


static ngx_int_t
ngx_http_acme_bridge_apply(ngx_ssl_conn_t *ssl_conn,
    ngx_http_acme_bridge_bundle_t *bundle)
{
    ngx_uint_t                    i;
    ngx_http_acme_bridge_pair_t  *pair;

    SSL_certs_clear(ssl_conn);

    for (i = 0; i < bundle->n; i++) {
        pair = &bundle->pairs[i];

        if (SSL_use_cert_and_key(ssl_conn, pair->leaf, pair->key, pair->chain,
                                 1)
            != 1)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_acme_bridge_try(ngx_http_acme_bridge_srv_conf_t *bscf,
    ngx_http_acme_bridge_bundle_t *bundle)
{
    SSL        *scratch;
    ngx_int_t   rc;

    scratch = SSL_new(bscf->ctx);
    if (scratch == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_acme_bridge_apply(scratch, bundle);

    SSL_free(scratch);

    return rc;
}


/* puts a tried bundle into the SSL_CTX, if nothing else would remain there */

static void
ngx_http_acme_bridge_install(ngx_http_acme_bridge_srv_conf_t *bscf)
{
    ngx_uint_t                      i;
    ngx_http_acme_bridge_pair_t    *pair;
    ngx_http_acme_bridge_bundle_t  *bundle;

    bundle = bscf->bundle;

    bscf->exact = 0;
    bscf->leaf = NULL;

    if (bscf->types & ~bundle->types) {
        return;
    }

#if (nginx_version >= 1029001)

    if (bscf->ssl->certificate_compression) {
        /* OpenSSL keeps compressed copies of what was in the SSL_CTX */
        return;
    }

#endif

    bscf->types = bundle->types;

    for (i = 0; i < bundle->n; i++) {
        pair = &bundle->pairs[i];

        if (SSL_CTX_use_cert_and_key(bscf->ctx, pair->leaf, pair->key,
                                     pair->chain, 1)
            != 1)
        {
            return;
        }
    }

    bscf->leaf = SSL_CTX_get0_certificate(bscf->ctx);
    bscf->exact = 1;
}


/* takes over a server whose configuration is complete */

ngx_int_t
ngx_http_acme_bridge_cert_init(ngx_conf_t *cf,
    ngx_http_acme_bridge_srv_conf_t *bscf)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_acme_bridge_srv_conf_t  **server;

    bscf->ctx = bscf->ssl->ssl.ctx;

    if (bscf->ctx == NULL) {
        return NGX_OK;
    }

    if (bscf->foreign.len && bscf->issuer.len) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"acme_certificate\" in %s:%ui takes the place of "
                      "\"%V\", which is not called in this server",
                      bscf->file, bscf->line, &bscf->foreign);
    }

    if (bscf->orphan) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"$acme_certificate\" is used in a server without "
                      "\"acme_certificate\"");
    }

    if (bscf->ssl->certificate_values == NULL) {
        bscf->types = ngx_http_acme_bridge_ctx_types(bscf->ctx);
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_acme_bridge_cert_cleanup;
    cln->data = bscf;

    server = ngx_array_push(&bscf->main->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }

    *server = bscf;

    SSL_CTX_set_cert_cb(bscf->ctx, ngx_http_acme_bridge_cert_cb, bscf);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_acme_bridge_ctx_types(SSL_CTX *ctx)
{
    long         op;
    X509        *x509, *current;
    EVP_PKEY    *key;
    ngx_uint_t   types;

    current = SSL_CTX_get0_certificate(ctx);

    if (current == NULL) {
        return 0;
    }

    types = 0;
    op = SSL_CERT_SET_FIRST;

    while (SSL_CTX_set_current_cert(ctx, op)) {

        x509 = SSL_CTX_get0_certificate(ctx);
        key = x509 ? X509_get0_pubkey(x509) : NULL;

        types |= key ? ngx_http_acme_bridge_key_type(key) : 0x80;
        op = SSL_CERT_SET_NEXT;
    }

    SSL_CTX_select_current_cert(ctx, current);
    ERR_clear_error();

    return types;
}


static void
ngx_http_acme_bridge_cert_cleanup(void *data)
{
    ngx_http_acme_bridge_srv_conf_t *bscf = data;

    ngx_http_acme_bridge_bundle_free(bscf->bundle);
    bscf->bundle = NULL;
}
