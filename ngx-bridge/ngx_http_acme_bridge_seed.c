
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A second, tiny module in the same file, loaded in front of
 * ngx_http_ssl_module so that its merge runs just before.
 *
 * nginx creates an SSL_CTX only for servers in which ssl_certificate is
 * defined, and it asks no more than that the lists of certificates and keys
 * exist.  So a server with acme_certificate gets two empty lists if it has
 * none, and $acme_certificate and $acme_certificate_key, which configurations
 * for nginx's own ACME module name there, are taken out of lists that have
 * them.  Static certificates stay, and nginx loads them as it always does; the
 * certificate callback of the bridge decides later what is served.
 *
 * It is also the place that notices other modules which install a certificate
 * callback: the SSL_CTX has room for one only.
 */


#include "ngx_http_acme_bridge.h"


typedef struct {
    ngx_command_t  *cmd;
    char         *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
} ngx_http_acme_bridge_watch_t;


static char *ngx_http_acme_bridge_seed(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_uint_t ngx_http_acme_bridge_is_variable(ngx_str_t *value,
    const char *name);
static ngx_int_t ngx_http_acme_bridge_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static char *ngx_http_acme_bridge_foreign(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_acme_bridge_unwatch(void *data);


static ngx_http_module_t  ngx_http_acme_bridge_seed_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    ngx_http_acme_bridge_seed,             /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_acme_bridge_seed_module = {
    NGX_MODULE_V1,
    &ngx_http_acme_bridge_seed_module_ctx, /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* those watched while a configuration is parsed; nginx parses one at a time */

static ngx_array_t  *ngx_http_acme_bridge_watched;


static char *
ngx_http_acme_bridge_seed(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_str_t                         *cert, *key, *s;
    ngx_uint_t                         i, ours, key_ours;
    ngx_array_t                       *certs, *keys;
    ngx_http_ssl_srv_conf_t           *sscf, *prev;
    ngx_http_acme_bridge_srv_conf_t   *bscf;
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_acme_bridge_module);
    bscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_acme_bridge_module);
    sscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ssl_module);

    prev = bmcf->http[ngx_http_ssl_module.ctx_index];

    certs = (sscf->certificates != NGX_CONF_UNSET_PTR) ? sscf->certificates
                                                       : prev->certificates;
    keys = (sscf->certificate_keys != NGX_CONF_UNSET_PTR)
           ? sscf->certificate_keys : prev->certificate_keys;

    if (certs == NGX_CONF_UNSET_PTR) {
        certs = NULL;
    }

    if (keys == NGX_CONF_UNSET_PTR) {
        keys = NULL;
    }

    ours = (bscf->issuer.len && certs == NULL);

    for (i = 0; certs && i < certs->nelts; i++) {
        cert = certs->elts;

        if (ngx_http_acme_bridge_is_variable(&cert[i], "acme_certificate")) {
            ours = 1;
        }
    }

    if (!ours || (certs && (keys == NULL || keys->nelts < certs->nelts))) {
        /* nothing to do, or something that nginx will complain about */
        return NGX_CONF_OK;
    }

    sscf->certificates = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    sscf->certificate_keys = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));

    if (sscf->certificates == NULL || sscf->certificate_keys == NULL) {
        return NGX_CONF_ERROR;
    }

    bscf->orphan = !bscf->issuer.len;

    for (i = 0; certs && i < certs->nelts; i++) {

        cert = certs->elts;
        key = keys->elts;

        ours = ngx_http_acme_bridge_is_variable(&cert[i], "acme_certificate");
        key_ours = ngx_http_acme_bridge_is_variable(&key[i],
                                                    "acme_certificate_key");

        if (ours != key_ours) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"$acme_certificate\" and \"$acme_certificate_key\" "
                          "belong together, but certificate \"%V\" has "
                          "the key \"%V\"", &cert[i],
                          &key[i]);
            return NGX_CONF_ERROR;
        }

        if (ours) {
            continue;
        }

        s = ngx_array_push(sscf->certificates);
        if (s == NULL) {
            return NGX_CONF_ERROR;
        }

        *s = cert[i];

        s = ngx_array_push(sscf->certificate_keys);
        if (s == NULL) {
            return NGX_CONF_ERROR;
        }

        *s = key[i];
    }

    return NGX_CONF_OK;
}


/* "$NAME", "${NAME}", either of them behind "data:" */

static ngx_uint_t
ngx_http_acme_bridge_is_variable(ngx_str_t *value, const char *name)
{
    size_t   len;
    u_char  *p;

    p = value->data;
    len = value->len;

    if (len > 5 && ngx_strncmp(p, "data:", 5) == 0) {
        p += 5;
        len -= 5;
    }

    if (len < 2 || *p != '$') {
        return 0;
    }

    p++;
    len--;

    if (len > 2 && p[0] == '{' && p[len - 1] == '}') {
        p++;
        len -= 2;
    }

    return len == ngx_strlen(name) && ngx_strncmp(p, name, len) == 0;
}


ngx_int_t
ngx_http_acme_bridge_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    static ngx_str_t  names[] = {
        ngx_string("acme_certificate"),
        ngx_string("acme_certificate_key"),
        ngx_null_string
    };

    for (i = 0; names[i].len; i++) {

        var = ngx_http_add_variable(cf, &names[i], 0);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_acme_bridge_variable;
    }

    return NGX_OK;
}


/* they have a meaning in ssl_certificate only; keys do not go anywhere else */

static ngx_int_t
ngx_http_acme_bridge_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    v->not_found = 1;

    return NGX_OK;
}


/*
 * There is no way to ask an SSL_CTX whether it has a certificate callback, so
 * for the time of parsing we stand in for the handler of the directives that
 * install one.  Undone by a cleanup of the pool that nginx destroys at the end
 * of parsing, successful or not.
 */

ngx_int_t
ngx_http_acme_bridge_watch_foreign(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_array_t                   *watched;
    ngx_command_t                 *cmd;
    ngx_pool_cleanup_t            *cln;
    ngx_http_acme_bridge_watch_t  *watch;

    static const char  prefix[] = "ssl_certificate_by_";

    watched = ngx_array_create(cf->temp_pool, 2,
                               sizeof(ngx_http_acme_bridge_watch_t));
    if (watched == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->temp_pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_acme_bridge_unwatch;
    cln->data = watched;

    ngx_http_acme_bridge_watched = watched;

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (cf->cycle->modules[i]->type != NGX_HTTP_MODULE) {
            continue;
        }

        cmd = cf->cycle->modules[i]->commands;

        for ( /* void */ ; cmd && cmd->name.len; cmd++) {

            if (cmd->set == ngx_http_acme_bridge_foreign
                || ngx_strncmp(cmd->name.data, prefix, sizeof(prefix) - 1)
                   != 0)
            {
                continue;
            }

            watch = ngx_array_push(watched);
            if (watch == NULL) {
                return NGX_ERROR;
            }

            watch->cmd = cmd;
            watch->set = cmd->set;
            cmd->set = ngx_http_acme_bridge_foreign;
        }
    }

    return NGX_OK;
}


static char *
ngx_http_acme_bridge_foreign(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t                        i;
    ngx_http_acme_bridge_watch_t     *watch;
    ngx_http_acme_bridge_srv_conf_t  *bscf;

    bscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_acme_bridge_module);
    bscf->foreign = cmd->name;

    watch = ngx_http_acme_bridge_watched->elts;

    for (i = 0; i < ngx_http_acme_bridge_watched->nelts; i++) {
        if (watch[i].cmd == cmd) {
            return watch[i].set(cf, cmd, conf);
        }
    }

    return NGX_CONF_ERROR;
}


static void
ngx_http_acme_bridge_unwatch(void *data)
{
    ngx_array_t *watched = data;

    ngx_uint_t                     i;
    ngx_http_acme_bridge_watch_t  *watch;

    watch = watched->elts;

    for (i = 0; i < watched->nelts; i++) {
        watch[i].cmd->set = watch[i].set;
    }
}
