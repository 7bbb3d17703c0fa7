
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The file in which the agent publishes: how the master comes by it.
 *
 * It lies beside the agent's socket and is readable by its owner only.  The
 * master, which is root where keys are kept from the workers' user, opens it
 * for reading before it forks, and workers inherit the descriptor.  It is
 * opened anew at each reload and by the new binary of an upgrade, and closed
 * with the cycle that it belongs to.
 *
 * Who comes first makes the file: if nginx starts before the agent ever did,
 * the master leaves an empty one that belongs to the owner of the directory.
 * The agent fills it in place, and workers attach as soon as it has: no reload
 * is needed.
 *
 * The directory may belong to the agent, which root does not have to trust, so
 * nothing in it is followed, and nothing is opened that is no plain file.
 */


#include "ngx_http_acme_bridge.h"


#define NGX_HTTP_ACME_BRIDGE_SEGMENT  "segment.1"


static ngx_fd_t ngx_http_acme_bridge_segment_file(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf);
static ngx_int_t ngx_http_acme_bridge_segment_create(ngx_cycle_t *cycle,
    ngx_fd_t dir, struct stat *st);
static ngx_int_t ngx_http_acme_bridge_segment_attach(
    ngx_http_acme_bridge_main_conf_t *bmcf, ngx_log_t *log);
static void ngx_http_acme_bridge_segment_cleanup(void *data);


void
ngx_http_acme_bridge_segment_open(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    ngx_pool_cleanup_t  *cln;

    bmcf->separated = (geteuid() == 0);

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return;
    }

    bmcf->segment.fd = ngx_http_acme_bridge_segment_file(cycle, bmcf);

    if (bmcf->segment.fd == -1) {
        return;
    }

    cln->handler = ngx_http_acme_bridge_segment_cleanup;
    cln->data = &bmcf->segment;

    if (ngx_http_acme_bridge_segment_attach(bmcf, cycle->log) == NGX_AGAIN) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "acme: nothing was published in \"%V/"
                      NGX_HTTP_ACME_BRIDGE_SEGMENT "\" yet",
                      &bmcf->run_dir);
    }
}


static ngx_fd_t
ngx_http_acme_bridge_segment_file(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    ngx_fd_t     dir, fd;
    ngx_uint_t   tries;
    struct stat  st, dst;

    dir = ngx_http_acme_bridge_run_dir(cycle, bmcf, &dst);
    if (dir == -1) {
        return -1;
    }

    for (tries = 0; /* void */ ; tries++) {

        fd = openat(dir, NGX_HTTP_ACME_BRIDGE_SEGMENT,
                    O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

        if (fd != -1 || ngx_errno != NGX_ENOENT || !bmcf->used || tries) {
            break;
        }

        if (ngx_http_acme_bridge_segment_create(cycle, dir, &dst) != NGX_OK) {
            break;
        }
    }

    if (fd == -1 && (ngx_errno != NGX_ENOENT || bmcf->used)) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "acme: cannot open \"%V/" NGX_HTTP_ACME_BRIDGE_SEGMENT
                      "\", no certificates from there", &bmcf->run_dir);
    }

    (void) ngx_close_file(dir);

    if (fd == -1) {
        return -1;
    }

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)
        || (st.st_uid != 0 && st.st_uid != dst.st_uid
            && st.st_uid != geteuid()))
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "acme: \"%V/" NGX_HTTP_ACME_BRIDGE_SEGMENT "\" is no "
                      "plain file of the directory's owner, not used",
                      &bmcf->run_dir);
        (void) ngx_close_file(fd);
        return -1;
    }

    if (st.st_mode & (S_IROTH|S_IWOTH|S_IWGRP)) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "acme: \"%V/" NGX_HTTP_ACME_BRIDGE_SEGMENT "\" holds "
                      "keys, but its mode is %04uxo",
                      &bmcf->run_dir, (ngx_uint_t) (st.st_mode & 07777));
    }

    return fd;
}


/*
 * The agent's run directory, made if it is not there and the configuration
 * says that it is needed.  With "launch" it belongs to the workers' user, as
 * whom the agent then runs; else whoever starts the agent gives it away.
 */

ngx_fd_t
ngx_http_acme_bridge_run_dir(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, struct stat *st)
{
    u_char           *path;
    ngx_fd_t          fd;
    ngx_uint_t        made;
    ngx_core_conf_t  *ccf;

    path = bmcf->run_dir.data;
    made = 0;

    if (bmcf->used && mkdir((char *) path, 0755) == 0) {
        made = 1;
    }

    fd = open((char *) path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1 || fstat(fd, st) == -1) {

        if (ngx_errno != NGX_ENOENT || bmcf->used) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                          "acme: cannot open directory \"%s\"", path);
        }

        goto failed;
    }

    if (made) {

        ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                               ngx_core_module);

        if (geteuid() == 0 && bmcf->mode == NGX_HTTP_ACME_BRIDGE_LAUNCH) {
            st->st_uid = ccf->user;
            st->st_gid = ccf->group;
        }

        if (fchown(fd, st->st_uid, st->st_gid) == -1
            || fchmod(fd, 0755) == -1)
        {
            ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                          "acme: cannot give away directory \"%s\"", path);
            goto failed;
        }

    } else if (st->st_mode & S_IWOTH) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "acme: directory \"%s\" is writable by others, not used",
                      path);
        goto failed;
    }

    return fd;

failed:

    if (fd != -1) {
        (void) ngx_close_file(fd);
    }

    return -1;
}


static ngx_int_t
ngx_http_acme_bridge_segment_create(ngx_cycle_t *cycle, ngx_fd_t dir,
    struct stat *st)
{
    ngx_fd_t  fd;

    fd = openat(dir, NGX_HTTP_ACME_BRIDGE_SEGMENT,
                O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == -1) {
        return (ngx_errno == NGX_EEXIST) ? NGX_OK : NGX_ERROR;
    }

    if (fchmod(fd, 0600) == -1
        || (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) == -1))
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "acme: cannot give away \""
                      NGX_HTTP_ACME_BRIDGE_SEGMENT "\"");
    }

    (void) ngx_close_file(fd);

    return NGX_OK;
}


/* NGX_AGAIN: not yet; NGX_DECLINED: there will not be one in this cycle */

ngx_int_t
ngx_http_acme_bridge_segment_ready(ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_log_t *log)
{
    if (bmcf->segment.attached) {
        return NGX_OK;
    }

    if (bmcf->segment.fd == -1) {
        return NGX_DECLINED;
    }

    return ngx_http_acme_bridge_segment_attach(bmcf, log);
}


static ngx_int_t
ngx_http_acme_bridge_segment_attach(ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_log_t *log)
{
    ngx_uint_t                         i;
    enum acme_segment_result           rc;
    ngx_http_acme_bridge_segment_t    *segment;
    ngx_http_acme_bridge_srv_conf_t  **server;

    segment = &bmcf->segment;

    rc = acme_segment_attach(&segment->map, segment->fd);

    if (rc == ACME_SEGMENT_NOT_READY) {
        return NGX_AGAIN;
    }

    if (rc != ACME_SEGMENT_OK) {

        if (!segment->reported) {
            segment->reported = 1;

            ngx_log_error(NGX_LOG_ERR, log,
                          (rc == ACME_SEGMENT_IO) ? ngx_errno : 0,
                          "acme: \"%V/" NGX_HTTP_ACME_BRIDGE_SEGMENT "\" can"
                          "not be used: %s", &bmcf->run_dir,
                          acme_segment_result_text(rc));
        }

        /* it may yet be made good in place */

        return NGX_ERROR;
    }

    segment->attached = 1;

    server = bmcf->servers.elts;

    for (i = 0; i < bmcf->servers.nelts; i++) {
        server[i]->epoch = &segment->map.header->epoch;
    }

    return NGX_OK;
}


static void
ngx_http_acme_bridge_segment_cleanup(void *data)
{
    ngx_http_acme_bridge_segment_t *segment = data;

    acme_segment_detach(&segment->map);
    segment->attached = 0;

    (void) ngx_close_file(segment->fd);
    segment->fd = -1;
}
