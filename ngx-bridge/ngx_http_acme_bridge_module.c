
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The module itself: directives, their configuration, and what happens at the
 * start of the master and of each worker.
 *
 *   acme_agent unix:PATH | off | launch [AGENT [CONFIG]] [unix:PATH];   http
 *   acme_certificate ISSUER [NAME...] [key=ALG[:SIZE][,ALG...]];        server
 *   acme_placeholder on | off;                                  http, server
 *
 * Nothing here has side effects while a configuration is parsed: nginx parses
 * it for -t and -s as well.  All of them wait for init_module, which runs in
 * the master at start and at each reload, before workers are forked.  Whatever
 * goes wrong there is logged and no more: an error that is returned to nginx
 * on reload would end a master that serves.
 */


#include "ngx_http_acme_bridge.h"

#include <sys/prctl.h>


static ngx_int_t ngx_http_acme_bridge_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_acme_bridge_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_acme_bridge_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_acme_bridge_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_acme_bridge_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_acme_bridge_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_acme_bridge_agent(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_acme_bridge_socket(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_acme_bridge_main_conf_t *bmcf);
static ngx_int_t ngx_http_acme_bridge_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_acme_bridge_init_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_acme_bridge_commands[] = {

    { ngx_string("acme_agent"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1234,
      ngx_http_acme_bridge_agent,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("acme_certificate"),
      NGX_HTTP_SRV_CONF|NGX_CONF_1MORE,
      ngx_http_acme_bridge_certificate,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("acme_placeholder"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_acme_bridge_srv_conf_t, placeholder),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_acme_bridge_module_ctx = {
    ngx_http_acme_bridge_preconfiguration,   /* preconfiguration */
    ngx_http_acme_bridge_postconfiguration,  /* postconfiguration */

    ngx_http_acme_bridge_create_main_conf,   /* create main configuration */
    ngx_http_acme_bridge_init_main_conf,     /* init main configuration */

    ngx_http_acme_bridge_create_srv_conf,    /* create server configuration */
    ngx_http_acme_bridge_merge_srv_conf,     /* merge server configuration */

    NULL,                                    /* create location configuration */
    NULL                                     /* merge location configuration */
};


ngx_module_t  ngx_http_acme_bridge_module = {
    NGX_MODULE_V1,
    &ngx_http_acme_bridge_module_ctx,        /* module context */
    ngx_http_acme_bridge_commands,           /* module directives */
    NGX_HTTP_MODULE,                         /* module type */
    NULL,                                    /* init master */
    ngx_http_acme_bridge_init_module,        /* init module */
    ngx_http_acme_bridge_init_process,       /* init process */
    NULL,                                    /* init thread */
    NULL,                                    /* exit thread */
    NULL,                                    /* exit process */
    NULL,                                    /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what servers read before there is a segment */

static const uint32_t  ngx_http_acme_bridge_no_epoch;


static ngx_int_t
ngx_http_acme_bridge_preconfiguration(ngx_conf_t *cf)
{
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_acme_bridge_module);
    bmcf->http = ((ngx_http_conf_ctx_t *) cf->ctx)->srv_conf;

    if (ngx_http_acme_bridge_add_variables(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_acme_bridge_watch_foreign(cf);
}


static ngx_int_t
ngx_http_acme_bridge_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                          s;
    ngx_http_ssl_srv_conf_t            *sscf;
    ngx_http_core_srv_conf_t          **cscfp;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_acme_bridge_srv_conf_t    *bscf;
    ngx_http_acme_bridge_main_conf_t   *bmcf;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_acme_bridge_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    cscfp = cmcf->servers.elts;

    for (s = 0; s < cmcf->servers.nelts; s++) {

        bscf = cscfp[s]->ctx->srv_conf[ngx_http_acme_bridge_module.ctx_index];
        sscf = cscfp[s]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

        bscf->main = bmcf;
        bscf->ssl = sscf;

        if (bscf->issuer.len
            && ngx_http_acme_bridge_identify(cf, bmcf, bscf, cscfp[s])
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!bscf->issuer.len && !bscf->orphan) {
            continue;
        }

        if (ngx_http_acme_bridge_cert_init(cf, bscf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (bmcf->mode == NGX_HTTP_ACME_BRIDGE_OFF) {
        return NGX_OK;
    }

    return ngx_http_acme_bridge_challenge_init(cf);
}


static void *
ngx_http_acme_bridge_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    bmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_acme_bridge_main_conf_t));
    if (bmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&bmcf->servers, cf->pool, 4, sizeof(void *)) != NGX_OK) {
        return NULL;
    }

    if (ngx_array_init(&bmcf->wanted, cf->pool, 4, sizeof(void *)) != NGX_OK) {
        return NULL;
    }

    ngx_rbtree_init(&bmcf->names, &bmcf->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&bmcf->sets, &bmcf->sentinel,
                    ngx_str_rbtree_insert_value);

    bmcf->mode = NGX_CONF_UNSET_UINT;
    bmcf->segment.fd = -1;

    return bmcf;
}


static char *
ngx_http_acme_bridge_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_acme_bridge_main_conf_t *bmcf = conf;

    u_char  *p;

    if (bmcf->mode != NGX_CONF_UNSET_UINT) {
        bmcf->used = 1;
    }

    ngx_conf_init_uint_value(bmcf->mode, NGX_HTTP_ACME_BRIDGE_SERVICE);

    if (bmcf->socket.data == NULL) {
        ngx_str_set(&bmcf->socket, NGX_HTTP_ACME_BRIDGE_SOCKET);
    }

    for (p = bmcf->socket.data + bmcf->socket.len - 1; *p != '/'; p--) {
        /* void */
    }

    bmcf->run_dir.len = ngx_max(p - bmcf->socket.data, 1);
    bmcf->run_dir.data = ngx_pnalloc(cf->pool, bmcf->run_dir.len + 1);
    if (bmcf->run_dir.data == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn(bmcf->run_dir.data, bmcf->socket.data,
                       bmcf->run_dir.len + 1);

    return NGX_CONF_OK;
}


static void *
ngx_http_acme_bridge_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_acme_bridge_srv_conf_t  *bscf;

    bscf = ngx_pcalloc(cf->pool, sizeof(ngx_http_acme_bridge_srv_conf_t));
    if (bscf == NULL) {
        return NULL;
    }

    bscf->epoch = &ngx_http_acme_bridge_no_epoch;
    bscf->placeholder = NGX_CONF_UNSET;

    return bscf;
}


static char *
ngx_http_acme_bridge_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_acme_bridge_srv_conf_t *prev = parent;
    ngx_http_acme_bridge_srv_conf_t *conf = child;

    ngx_conf_merge_value(conf->placeholder, prev->placeholder, 0);
    ngx_conf_merge_str_value(conf->foreign, prev->foreign, "");

    return NGX_CONF_OK;
}


static char *
ngx_http_acme_bridge_agent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_acme_bridge_main_conf_t *bmcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, n;

    if (bmcf->mode != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = cf->args->nelts;

    bmcf->file = cf->conf_file->file.name.data;
    bmcf->line = cf->conf_file->line;

    if (n > 1 && ngx_strncmp(value[n - 1].data, "unix:", 5) == 0) {

        n--;

        if (ngx_http_acme_bridge_socket(cf, &value[n], bmcf) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }

        if (n == 1) {
            bmcf->mode = NGX_HTTP_ACME_BRIDGE_SERVICE;
            return NGX_CONF_OK;
        }
    }

    if (n == 2 && cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0)
    {
        bmcf->mode = NGX_HTTP_ACME_BRIDGE_OFF;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "launch") != 0 || n > 4) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"acme_agent\", "
                           "expected \"unix:PATH\", \"off\" or "
                           "\"launch [AGENT [CONFIG]] [unix:PATH]\"",
                           &value[ngx_min(n, 4) == n ? 1 : 4]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < n; i++) {
        if (value[i].data[0] != '/') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "path \"%V\" in \"acme_agent\" is not absolute",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    bmcf->mode = NGX_HTTP_ACME_BRIDGE_LAUNCH;
    ngx_str_set(&bmcf->program, NGX_HTTP_ACME_BRIDGE_AGENT);

    if (n > 2) {
        bmcf->program = value[2];
    }

    if (n > 3) {
        bmcf->config = value[3];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_acme_bridge_socket(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    size_t  max;

    bmcf->socket.len = value->len - 5;
    bmcf->socket.data = value->data + 5;

    max = sizeof(((struct sockaddr_un *) 0)->sun_path) - 1;

    if (bmcf->socket.len > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "path of the agent's socket \"%V\" has %uz bytes, "
                           "at most %uz are possible",
                           &bmcf->socket, bmcf->socket.len, max);
        return NGX_CONF_ERROR;
    }

    if (bmcf->socket.len < 2 || bmcf->socket.data[0] != '/'
        || bmcf->socket.data[bmcf->socket.len - 1] == '/')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "path of the agent's socket \"%V\" is not absolute",
                           &bmcf->socket);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_acme_bridge_init_module(ngx_cycle_t *cycle)
{
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    bmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_acme_bridge_module);

    if (ngx_test_config || bmcf == NULL
        || bmcf->mode == NGX_HTTP_ACME_BRIDGE_OFF)
    {
        return NGX_OK;
    }

    if (bmcf->mode == NGX_HTTP_ACME_BRIDGE_LAUNCH) {
        ngx_http_acme_bridge_launch(cycle, bmcf);
    }

    ngx_http_acme_bridge_segment_open(cycle, bmcf);

    ngx_http_acme_bridge_declare(cycle, bmcf);

    return NGX_OK;
}


/*
 * nginx makes its workers dumpable again after it changed their user, and then
 * every process of that user may attach to them and read keys.  Where the
 * master is root, that is taken back, in the cache processes as well (they
 * hold the descriptor).  Who wants cores says so with worker_rlimit_core.
 */

static ngx_int_t
ngx_http_acme_bridge_init_process(ngx_cycle_t *cycle)
{
    ngx_core_conf_t                   *ccf;
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    bmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_acme_bridge_module);

    if (bmcf == NULL || bmcf->segment.fd == -1 || !bmcf->separated
        || ngx_process == NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->rlimit_core != NGX_CONF_UNSET) {
        return NGX_OK;
    }

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "prctl(PR_SET_DUMPABLE) failed");
    }

    return NGX_OK;
}
