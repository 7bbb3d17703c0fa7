
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A self-signed certificate, for servers that asked for one with
 * "acme_placeholder on" and have no other yet.  A worker makes one when the
 * first handshake needs it, and all its servers share it.  It goes into single
 * connections only, never into an SSL_CTX, where it could outlive its purpose.
 */


#include "ngx_http_acme_bridge.h"


#define NGX_HTTP_ACME_BRIDGE_PLACEHOLDER_NAME  "acme-agent placeholder"
#define NGX_HTTP_ACME_BRIDGE_PLACEHOLDER_DAYS  3650


static EVP_PKEY *ngx_http_acme_bridge_placeholder_key(void);
static X509 *ngx_http_acme_bridge_placeholder_leaf(EVP_PKEY *key);
static void ngx_http_acme_bridge_placeholder_cleanup(void *data);


ngx_http_acme_bridge_bundle_t *
ngx_http_acme_bridge_placeholder(ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_log_t *log)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_acme_bridge_pair_t    *pair;
    ngx_http_acme_bridge_bundle_t  *bundle;

    if (bmcf->placeholder) {
        return bmcf->placeholder;
    }

    cln = ngx_pool_cleanup_add(ngx_cycle->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    bundle = ngx_calloc(sizeof(ngx_http_acme_bridge_bundle_t), log);
    if (bundle == NULL) {
        return NULL;
    }

    bundle->n = 1;

    pair = &bundle->pairs[0];

    pair->chain = sk_X509_new_null();
    pair->key = ngx_http_acme_bridge_placeholder_key();
    pair->leaf = pair->key ? ngx_http_acme_bridge_placeholder_leaf(pair->key)
                           : NULL;

    if (pair->leaf == NULL || pair->chain == NULL) {
        ngx_ssl_error(NGX_LOG_ERR, log, 0, "cannot make a placeholder");
        ngx_http_acme_bridge_bundle_free(bundle);
        return NULL;
    }

    cln->handler = ngx_http_acme_bridge_placeholder_cleanup;
    cln->data = bmcf;

    bmcf->placeholder = bundle;

    return bundle;
}


static EVP_PKEY *
ngx_http_acme_bridge_placeholder_key(void)
{
    EVP_PKEY      *key;
    EVP_PKEY_CTX  *ctx;

    key = NULL;

    ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    if (ctx == NULL) {
        return NULL;
    }

    if (EVP_PKEY_keygen_init(ctx) <= 0
        || EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1)
           <= 0
        || EVP_PKEY_keygen(ctx, &key) <= 0)
    {
        key = NULL;
    }

    EVP_PKEY_CTX_free(ctx);

    return key;
}


static X509 *
ngx_http_acme_bridge_placeholder_leaf(EVP_PKEY *key)
{
    X509       *x509;
    X509_NAME  *name;

    x509 = X509_new();
    name = X509_NAME_new();

    if (x509 == NULL || name == NULL
        || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                  (const u_char *) NGX_HTTP_ACME_BRIDGE_PLACEHOLDER_NAME,
                  -1, -1, 0) == 0
        || X509_set_version(x509, 2) == 0
        || ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 0
        || X509_set_subject_name(x509, name) == 0
        || X509_set_issuer_name(x509, name) == 0
        || X509_gmtime_adj(X509_getm_notBefore(x509), -86400) == NULL
        || X509_time_adj_ex(X509_getm_notAfter(x509),
                  NGX_HTTP_ACME_BRIDGE_PLACEHOLDER_DAYS, 0, NULL) == NULL
        || X509_set_pubkey(x509, key) == 0
        || X509_sign(x509, key, EVP_sha256()) == 0)
    {
        X509_free(x509);
        x509 = NULL;
    }

    X509_NAME_free(name);

    return x509;
}


static void
ngx_http_acme_bridge_placeholder_cleanup(void *data)
{
    ngx_http_acme_bridge_main_conf_t *bmcf = data;

    ngx_http_acme_bridge_bundle_free(bmcf->placeholder);
    bmcf->placeholder = NULL;
}
