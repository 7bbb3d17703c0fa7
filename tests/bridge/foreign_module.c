/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for any module that installs a certificate callback, as lua does with
 * ssl_certificate_by_lua_block: a directive, and a callback that refuses.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

static char *set_flag(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static void *create_conf(ngx_conf_t *cf);
static char *merge_conf(ngx_conf_t *cf, void *parent, void *child);

static ngx_command_t commands[] = {
	{ ngx_string("ssl_certificate_by_foreign"),
	  NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_CONF_NOARGS, set_flag,
	  NGX_HTTP_SRV_CONF_OFFSET, 0, NULL },
	ngx_null_command
};

static ngx_http_module_t ctx = { NULL, NULL,	    NULL,	NULL,
				 create_conf, merge_conf, NULL, NULL };

ngx_module_t foreign_module = { NGX_MODULE_V1,
				&ctx,
				commands,
				NGX_HTTP_MODULE,
				NULL,
				NULL,
				NULL,
				NULL,
				NULL,
				NULL,
				NULL,
				NGX_MODULE_V1_PADDING };

static char *set_flag(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	*(ngx_flag_t *)conf = 1;
	return NGX_CONF_OK;
}

static void *create_conf(ngx_conf_t *cf)
{
	ngx_flag_t *conf = ngx_palloc(cf->pool, sizeof *conf);

	if (conf)
		*conf = NGX_CONF_UNSET;
	return conf;
}

static int refuse(ngx_ssl_conn_t *ssl, void *arg)
{
	return 0;
}

static char *merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
	ngx_flag_t *prev = parent, *conf = child;
	ngx_http_ssl_srv_conf_t *ssl =
		ngx_http_conf_get_module_srv_conf(cf, ngx_http_ssl_module);

	ngx_conf_merge_value(*conf, *prev, 0);
	if (*conf && ssl->ssl.ctx)
		SSL_CTX_set_cert_cb(ssl->ssl.ctx, refuse, NULL);
	return NGX_CONF_OK;
}

#pragma GCC visibility push(default)
ngx_module_t *ngx_modules[] = { &foreign_module, NULL };
char *ngx_module_names[] = { "foreign_module", NULL };
char *ngx_module_order[] = { NULL };
