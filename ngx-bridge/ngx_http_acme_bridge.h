
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the bridge know of each other.
 *
 *   module       directives, configuration, start of master and workers
 *   names        which identifiers, and under which name the agent knows them
 *   seed         makes nginx accept servers without "ssl_certificate"
 *   segment      the file in which the agent publishes, and look-ups in it
 *   bundle       from there to objects of OpenSSL
 *   certificate  the certificate callback
 *   placeholder  a self-signed certificate for the time before the first one
 *   challenge    answers to http-01
 *   declare      tells the agent what nginx.conf asks for
 *   launch       starts an agent where the configuration says so
 */


#ifndef _NGX_HTTP_ACME_BRIDGE_H_INCLUDED_
#define _NGX_HTTP_ACME_BRIDGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <acme/segment.h>


#if !(NGX_HTTP_SSL)
#error "the bridge needs nginx with --with-http_ssl_module"
#endif


#define NGX_HTTP_ACME_BRIDGE_RUN_DIR   "/run/acme-agent"
#define NGX_HTTP_ACME_BRIDGE_SOCKET    NGX_HTTP_ACME_BRIDGE_RUN_DIR           \
                                       "/control.sock"

#ifndef NGX_HTTP_ACME_BRIDGE_AGENT
#define NGX_HTTP_ACME_BRIDGE_AGENT     "/usr/sbin/acme-agent"
#endif

#define NGX_HTTP_ACME_BRIDGE_OFF       0
#define NGX_HTTP_ACME_BRIDGE_SERVICE   1
#define NGX_HTTP_ACME_BRIDGE_LAUNCH    2

/* more key types than that are not in one certificate */
#define NGX_HTTP_ACME_BRIDGE_PAIRS     8


/* the segment, as one configuration cycle sees it */

typedef struct {
    struct acme_segment                map;
    int                                fd;
    unsigned                           attached:1;
    unsigned                           reported:1;
} ngx_http_acme_bridge_segment_t;


/* a certificate with its chain and its key, parsed */

typedef struct {
    X509                              *leaf;
    EVP_PKEY                          *key;
    STACK_OF(X509)                    *chain;
} ngx_http_acme_bridge_pair_t;


/* all key types of one version of a certificate */

typedef struct {
    uint64_t                           version;
    ngx_uint_t                         types;     /* bits, by key type */
    ngx_uint_t                         n;
    ngx_http_acme_bridge_pair_t        pairs[NGX_HTTP_ACME_BRIDGE_PAIRS];
} ngx_http_acme_bridge_bundle_t;


typedef struct {
    ngx_uint_t                         mode;
    ngx_str_t                          socket;    /* path of the agent's */
    ngx_str_t                          run_dir;   /* where it stands */
    ngx_str_t                          program;   /* "launch" only */
    ngx_str_t                          config;
    u_char                            *file;
    ngx_uint_t                         line;

    ngx_uint_t                         used;      /* any directive of ours */
    ngx_uint_t                         separated; /* the master is root */
    void                             **http;      /* srv_conf of http{} */
    ngx_array_t                        servers;   /* of ..._srv_conf_t *,
                                                     those with an SSL_CTX */
    ngx_array_t                        wanted;    /* of ..._srv_conf_t *,
                                                     one for each name */
    ngx_rbtree_t                       names;     /* of these, by name */
    ngx_rbtree_t                       sets;      /* and by what they want */
    ngx_rbtree_node_t                  sentinel;

    ngx_http_acme_bridge_segment_t     segment;
    ngx_http_acme_bridge_bundle_t     *placeholder;
} ngx_http_acme_bridge_main_conf_t;


typedef struct {

    /* read in each full handshake, so together */

    const uint32_t                    *epoch;     /* of the segment */
    X509                              *leaf;      /* current in the SSL_CTX */
    uint32_t                           seen;      /* epoch of the last look */
    unsigned                           exact:1;   /* the SSL_CTX holds what is
                                                     to be served, no more */

    /* the rest belongs to the slow path */

    unsigned                           looked:1;  /* "seen" is valid */
    unsigned                           rejected:1;   /* was logged */
    unsigned                           unreadable:1; /* was logged */
    unsigned                           unusable:1;   /* "refused" is valid */
    unsigned                           orphan:1;  /* "$acme_certificate", but
                                                     no "acme_certificate" */
    ngx_flag_t                         placeholder;
    SSL_CTX                           *ctx;
    ngx_http_ssl_srv_conf_t           *ssl;
    ngx_http_acme_bridge_main_conf_t  *main;
    ngx_http_acme_bridge_bundle_t     *bundle;    /* to be served */
    ngx_uint_t                         types;     /* in the SSL_CTX */
    uint64_t                           refused;   /* this version was bad */

    /* configuration */

    ngx_str_node_t                     name;      /* how the agent calls it */
    ngx_str_node_t                     set;       /* what makes it another */
    ngx_str_t                          issuer;
    ngx_array_t                       *ids;       /* of ngx_str_t */
    ngx_array_t                       *keys;      /* of ngx_str_t */
    ngx_str_t                          foreign;   /* somebody else's directive
                                                     for certificates */
    u_char                            *file;
    ngx_uint_t                         line;
} ngx_http_acme_bridge_srv_conf_t;


/* what a look-up of a certificate brought */

typedef struct {
    ngx_http_acme_bridge_bundle_t     *bundle;
    const char                        *error;     /* why there is none */
    uint64_t                           version;   /* if it was found */
    ngx_uint_t                         found;
} ngx_http_acme_bridge_find_t;


/* whoever sees a new epoch finds the new records */
#define ngx_http_acme_bridge_load(word)                                       \
    __atomic_load_n(word, __ATOMIC_ACQUIRE)


/* module */

extern ngx_module_t  ngx_http_acme_bridge_module;
extern ngx_module_t  ngx_http_acme_bridge_seed_module;


/* names */

char *ngx_http_acme_bridge_certificate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_acme_bridge_identify(ngx_conf_t *cf,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_core_srv_conf_t *cscf);


/* seed */

ngx_int_t ngx_http_acme_bridge_add_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_acme_bridge_watch_foreign(ngx_conf_t *cf);


/* segment */

void ngx_http_acme_bridge_segment_open(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf);
ngx_int_t ngx_http_acme_bridge_segment_ready(
    ngx_http_acme_bridge_main_conf_t *bmcf, ngx_log_t *log);
ngx_fd_t ngx_http_acme_bridge_run_dir(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, struct stat *st);


/* bundle */

enum acme_segment_result ngx_http_acme_bridge_bundle_find(
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_acme_bridge_find_t *find);
void ngx_http_acme_bridge_bundle_free(ngx_http_acme_bridge_bundle_t *bundle);
ngx_uint_t ngx_http_acme_bridge_key_type(EVP_PKEY *key);


/* certificate */

int ngx_http_acme_bridge_cert_cb(ngx_ssl_conn_t *ssl_conn, void *arg);
ngx_int_t ngx_http_acme_bridge_cert_init(ngx_conf_t *cf,
    ngx_http_acme_bridge_srv_conf_t *bscf);


/* placeholder */

ngx_http_acme_bridge_bundle_t *ngx_http_acme_bridge_placeholder(
    ngx_http_acme_bridge_main_conf_t *bmcf, ngx_log_t *log);


/* challenge */

ngx_int_t ngx_http_acme_bridge_challenge_init(ngx_conf_t *cf);


/* declare */

void ngx_http_acme_bridge_declare(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf);
ngx_msec_t ngx_http_acme_bridge_now(void);
int ngx_http_acme_bridge_connect(ngx_str_t *path, ngx_msec_t deadline);


/* launch */

void ngx_http_acme_bridge_launch(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf);


#endif /* _NGX_HTTP_ACME_BRIDGE_H_INCLUDED_ */
