
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


/* a chain may vanish between two reads, with the version that named it */
#define NGX_HTTP_ACME_BRIDGE_TRIES   4

/* enough for most; a static one, so that it is on no heap */
#define NGX_HTTP_ACME_BRIDGE_BUFFER  8192


typedef struct {
    u_char                      small[NGX_HTTP_ACME_BRIDGE_BUFFER];
    u_char                     *data;
    size_t                      size;
    struct acme_segment_record  record;
} ngx_http_acme_bridge_buffer_t;


static int ngx_http_acme_bridge_cert_slow(ngx_ssl_conn_t *ssl_conn,
    ngx_http_acme_bridge_srv_conf_t *bscf);
static void ngx_http_acme_bridge_look(ngx_http_acme_bridge_srv_conf_t *bscf,
    uint32_t epoch, ngx_log_t *log);
static ngx_int_t ngx_http_acme_bridge_take(
    ngx_http_acme_bridge_srv_conf_t *bscf, uint32_t epoch, ngx_log_t *log);
static ngx_uint_t ngx_http_acme_bridge_known(
    ngx_http_acme_bridge_srv_conf_t *bscf, uint64_t version);
static enum acme_segment_result ngx_http_acme_bridge_read(
    struct acme_segment *map, uint32_t kind, const void *name, size_t len,
    ngx_http_acme_bridge_buffer_t *buf);
static void ngx_http_acme_bridge_wipe(ngx_http_acme_bridge_buffer_t *buf);
static enum acme_segment_result ngx_http_acme_bridge_parse(
    struct acme_segment *map, struct acme_segment_record *record,
    ngx_http_acme_bridge_bundle_t **out, const char **error);
static enum acme_segment_result ngx_http_acme_bridge_parse_pair(
    struct acme_segment *map, struct acme_segment_entry *entry,
    ngx_http_acme_bridge_pair_t *pair, const char **error);
static enum acme_segment_result ngx_http_acme_bridge_parse_chain(
    struct acme_segment *map, uint64_t chain, STACK_OF(X509) *sk,
    const char **error);
static X509 *ngx_http_acme_bridge_d2i(struct acme_segment_bytes *der);
static ngx_uint_t ngx_http_acme_bridge_type(EVP_PKEY *key);
static void ngx_http_acme_bridge_pair_free(ngx_http_acme_bridge_pair_t *pair);
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
                          &bscf->name);
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
                          "handshakes are rejected until then", &bscf->name);
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

    if (bscf->name.len) {
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
    ngx_uint_t                      tries, found;
    const char                     *error;
    struct acme_segment            *map;
    enum acme_segment_result        rc;
    ngx_http_acme_bridge_buffer_t   buf;
    ngx_http_acme_bridge_bundle_t  *bundle;

    map = &bscf->main->segment.map;
    bundle = NULL;
    tries = 0;

    do {
        error = "cannot be read";

        rc = ngx_http_acme_bridge_read(map, ACME_SEGMENT_CERT, bscf->name.data,
                                       bscf->name.len, &buf);

        found = (rc == ACME_SEGMENT_OK);

        bscf->unreadable = found ? 0 : bscf->unreadable;

        if (found && ngx_http_acme_bridge_known(bscf, buf.record.version)) {
            ngx_http_acme_bridge_wipe(&buf);
            return NGX_OK;
        }

        if (found) {
            rc = ngx_http_acme_bridge_parse(map, &buf.record, &bundle, &error);
        }

        ngx_http_acme_bridge_wipe(&buf);

    } while (rc == ACME_SEGMENT_AGAIN
             && ++tries < NGX_HTTP_ACME_BRIDGE_TRIES);

    if (rc == ACME_SEGMENT_AGAIN) {

        if (!found || acme_segment_epoch(map) != epoch) {
            return NGX_AGAIN;
        }

        /* nobody replaced it under us, so its chain really is missing */
    }

    if (rc == ACME_SEGMENT_ABSENT) {
        /* withdrawn, or never there: what we have is better than nothing */
        return NGX_DECLINED;
    }

    if (rc == ACME_SEGMENT_OK) {

        if (ngx_http_acme_bridge_try(bscf, bundle) == NGX_OK) {

            ngx_http_acme_bridge_bundle_free(bscf->bundle);
            bscf->bundle = bundle;
            bscf->unusable = 0;
            bscf->unreadable = 0;

            ngx_http_acme_bridge_install(bscf);

            ngx_log_error(NGX_LOG_INFO, log, 0,
                          "acme certificate \"%V\": serving version %016xL",
                          &bscf->name, bundle->version);

            return NGX_OK;
        }

        error = "is not accepted by OpenSSL";
        ngx_http_acme_bridge_bundle_free(bundle);
    }

    if (found) {
        bscf->unusable = 1;
        bscf->refused = buf.record.version;

    } else if (bscf->unreadable) {
        return NGX_ERROR;

    } else {
        bscf->unreadable = 1;
    }

    ngx_ssl_error(NGX_LOG_ERR, log, 0,
                  "acme certificate \"%V\": what was published %s, %s",
                  &bscf->name, error,
                  bscf->bundle ? "still serving the one before"
                               : "and there is none before it");

    return NGX_ERROR;
}


/* whether there is nothing to be done about this version */

static ngx_uint_t
ngx_http_acme_bridge_known(ngx_http_acme_bridge_srv_conf_t *bscf,
    uint64_t version)
{
    if (bscf->bundle && bscf->bundle->version == version) {
        return 1;
    }

    return bscf->unusable && bscf->refused == version;
}


/* on failure there is nothing to wipe, and buf->data is NULL */

static enum acme_segment_result
ngx_http_acme_bridge_read(struct acme_segment *map, uint32_t kind,
    const void *name, size_t len, ngx_http_acme_bridge_buffer_t *buf)
{
    ngx_uint_t                tries;
    enum acme_segment_result  rc;

    buf->data = buf->small;
    buf->size = sizeof(buf->small);

    for (tries = 0; tries < NGX_HTTP_ACME_BRIDGE_TRIES; tries++) {

        rc = acme_segment_find(map, kind, name, len, buf->data, buf->size,
                               &buf->record);

        if (rc == ACME_SEGMENT_OK) {
            return rc;
        }

        ngx_http_acme_bridge_wipe(buf);

        if (rc != ACME_SEGMENT_TOO_SMALL) {
            return rc;
        }

        buf->size = buf->record.size;
        buf->data = (buf->size <= ACME_SEGMENT_RECORD_MAX)
                    ? ngx_alloc(buf->size, ngx_cycle->log) : NULL;

        if (buf->data == NULL) {
            return ACME_SEGMENT_IO;
        }
    }

    ngx_http_acme_bridge_wipe(buf);

    return ACME_SEGMENT_AGAIN;
}


static void
ngx_http_acme_bridge_wipe(ngx_http_acme_bridge_buffer_t *buf)
{
    if (buf->data == NULL) {
        return;
    }

    OPENSSL_cleanse(buf->data, buf->size);

    if (buf->data != buf->small) {
        ngx_free(buf->data);
    }

    buf->data = NULL;
}


static enum acme_segment_result
ngx_http_acme_bridge_parse(struct acme_segment *map,
    struct acme_segment_record *record, ngx_http_acme_bridge_bundle_t **out,
    const char **error)
{
    uint32_t                        i;
    ngx_uint_t                      type;
    struct acme_segment_entry       entry;
    enum acme_segment_result        rc;
    ngx_http_acme_bridge_pair_t    *pair;
    ngx_http_acme_bridge_bundle_t  *bundle;

    if (acme_segment_cert_count(record) == 0) {
        *error = "is malformed";
        return ACME_SEGMENT_DAMAGED;
    }

    bundle = ngx_calloc(sizeof(ngx_http_acme_bridge_bundle_t), ngx_cycle->log);
    if (bundle == NULL) {
        return ACME_SEGMENT_IO;
    }

    bundle->version = record->version;

    for (i = 0; acme_segment_cert(record, i, &entry); i++) {

        if (bundle->n == NGX_HTTP_ACME_BRIDGE_PAIRS) {
            break;
        }

        pair = &bundle->pairs[bundle->n];

        rc = ngx_http_acme_bridge_parse_pair(map, &entry, pair, error);

        if (rc != ACME_SEGMENT_OK) {
            bundle->n++;
            ngx_http_acme_bridge_bundle_free(bundle);
            return rc;
        }

        type = ngx_http_acme_bridge_type(pair->key);

        if (bundle->types & type) {

            /* OpenSSL has one place for each; the first one wins */

            ngx_http_acme_bridge_pair_free(pair);
            continue;
        }

        bundle->types |= type;
        bundle->n++;
    }

    *out = bundle;

    return ACME_SEGMENT_OK;
}


static enum acme_segment_result
ngx_http_acme_bridge_parse_pair(struct acme_segment *map,
    struct acme_segment_entry *entry, ngx_http_acme_bridge_pair_t *pair,
    const char **error)
{
    const u_char  *p;

    pair->chain = sk_X509_new_null();
    if (pair->chain == NULL) {
        return ACME_SEGMENT_IO;
    }

    pair->leaf = ngx_http_acme_bridge_d2i(&entry->leaf);
    if (pair->leaf == NULL) {
        *error = "has a malformed certificate";
        return ACME_SEGMENT_DAMAGED;
    }

    p = entry->key.ptr;

    pair->key = d2i_AutoPrivateKey(NULL, &p, (long) entry->key.len);
    if (pair->key == NULL) {
        *error = "has a malformed key";
        return ACME_SEGMENT_DAMAGED;
    }

    if (X509_check_private_key(pair->leaf, pair->key) != 1) {
        *error = "has a key that does not belong to the certificate";
        return ACME_SEGMENT_DAMAGED;
    }

    if (entry->chain == 0) {
        return ACME_SEGMENT_OK;
    }

    return ngx_http_acme_bridge_parse_chain(map, entry->chain, pair->chain,
                                            error);
}


static enum acme_segment_result
ngx_http_acme_bridge_parse_chain(struct acme_segment *map, uint64_t chain,
    STACK_OF(X509) *sk, const char **error)
{
    X509                           *x509;
    uint32_t                        i;
    struct acme_segment_bytes       der;
    enum acme_segment_result        rc;
    ngx_http_acme_bridge_buffer_t   buf;

    rc = ngx_http_acme_bridge_read(map, ACME_SEGMENT_CHAIN, &chain,
                                   sizeof(chain), &buf);

    if (rc != ACME_SEGMENT_OK) {
        *error = "has a chain that cannot be read";

        /* a record is published after its chain: it must have been replaced */

        return (rc == ACME_SEGMENT_ABSENT) ? ACME_SEGMENT_AGAIN : rc;
    }

    for (i = 0; acme_segment_chain(&buf.record, i, &der); i++) {

        x509 = ngx_http_acme_bridge_d2i(&der);

        if (x509 == NULL || sk_X509_push(sk, x509) == 0) {
            X509_free(x509);
            i = 0;
            break;
        }
    }

    ngx_http_acme_bridge_wipe(&buf);

    if (i == 0) {
        *error = "has a malformed chain";
        return ACME_SEGMENT_DAMAGED;
    }

    return ACME_SEGMENT_OK;
}


static X509 *
ngx_http_acme_bridge_d2i(struct acme_segment_bytes *der)
{
    X509          *x509;
    const u_char  *p;

    p = der->ptr;

    x509 = d2i_X509(NULL, &p, (long) der->len);

    if (x509 && p != der->ptr + der->len) {
        X509_free(x509);
        return NULL;
    }

    return x509;
}


/* one bit for each place that OpenSSL has */

static ngx_uint_t
ngx_http_acme_bridge_type(EVP_PKEY *key)
{
    switch (EVP_PKEY_base_id(key)) {

    case EVP_PKEY_RSA:
        return 0x01;

    case EVP_PKEY_EC:
        return 0x02;

#ifdef EVP_PKEY_RSA_PSS
    case EVP_PKEY_RSA_PSS:
        return 0x04;
#endif

#ifdef EVP_PKEY_ED25519
    case EVP_PKEY_ED25519:
        return 0x08;
#endif

#ifdef EVP_PKEY_ED448
    case EVP_PKEY_ED448:
        return 0x10;
#endif

    default:
        return 0x80;
    }
}


static void
ngx_http_acme_bridge_pair_free(ngx_http_acme_bridge_pair_t *pair)
{
    X509_free(pair->leaf);
    EVP_PKEY_free(pair->key);
    sk_X509_pop_free(pair->chain, X509_free);

    ngx_memzero(pair, sizeof(ngx_http_acme_bridge_pair_t));
}


void
ngx_http_acme_bridge_bundle_free(ngx_http_acme_bridge_bundle_t *bundle)
{
    ngx_uint_t  i;

    if (bundle == NULL) {
        return;
    }

    for (i = 0; i < bundle->n; i++) {
        ngx_http_acme_bridge_pair_free(&bundle->pairs[i]);
    }

    ngx_free(bundle);
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

        types |= key ? ngx_http_acme_bridge_type(key) : 0x80;
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
