
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * From the segment to objects of OpenSSL: looks a certificate up, reads it and
 * its chains, and parses them.
 *
 * Certificate and chain are two records, so a chain may be gone when it is
 * looked up, together with the version that named it; then all is read once
 * more, a bounded number of times.  What was read is wiped: it holds keys.
 */


#include "ngx_http_acme_bridge.h"


#define NGX_HTTP_ACME_BRIDGE_TRIES   4

/* enough for most */
#define NGX_HTTP_ACME_BRIDGE_BUFFER  8192


typedef struct {
    u_char                      small[NGX_HTTP_ACME_BRIDGE_BUFFER];
    u_char                     *data;
    size_t                      size;
    struct acme_segment_record  record;
} ngx_http_acme_bridge_buffer_t;


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
static void ngx_http_acme_bridge_pair_free(ngx_http_acme_bridge_pair_t *pair);


/* OK without a bundle: there is no other version than the one we know */

enum acme_segment_result
ngx_http_acme_bridge_bundle_find(ngx_http_acme_bridge_srv_conf_t *bscf,
    ngx_http_acme_bridge_find_t *find)
{
    ngx_uint_t                      tries;
    struct acme_segment            *map;
    enum acme_segment_result        rc;
    ngx_http_acme_bridge_buffer_t   buf;

    map = &bscf->main->segment.map;
    tries = 0;

    do {
        find->bundle = NULL;
        find->error = "cannot be read";

        rc = ngx_http_acme_bridge_read(map, ACME_SEGMENT_CERT, bscf->name.str.data,
                                       bscf->name.str.len, &buf);

        find->found = (rc == ACME_SEGMENT_OK);

        if (!find->found) {
            continue;
        }

        find->version = buf.record.version;

        if (!ngx_http_acme_bridge_known(bscf, find->version)) {
            rc = ngx_http_acme_bridge_parse(map, &buf.record, &find->bundle,
                                            &find->error);
        }

        ngx_http_acme_bridge_wipe(&buf);

    } while (rc == ACME_SEGMENT_AGAIN
             && ++tries < NGX_HTTP_ACME_BRIDGE_TRIES);

    return rc;
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

        type = ngx_http_acme_bridge_key_type(pair->key);

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

ngx_uint_t
ngx_http_acme_bridge_key_type(EVP_PKEY *key)
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
