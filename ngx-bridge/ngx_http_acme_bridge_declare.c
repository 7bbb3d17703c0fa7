
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tells the agent which certificates nginx.conf asks for.  Runs in the master
 * at start and at each reload, as one line of JSON on the agent's socket:
 *
 *   {"id":1,"method":"declare","params":{"owner":"PREFIX|CONF",
 *    "certificates":[{"name":"example.com","issuer":"le",
 *      "identifiers":["example.com"],"key":["ecdsa:256"]}]}}
 *
 * It replaces all that this owner declared before.  The master waits for the
 * answer a fifth of a second at most, connecting included.
 *
 * An agent that starts after nginx learns of it, too: the same line is left in
 * the run directory as declared/HASH.json, HASH being 16 hex digits of the
 * owner's SHA-256.  The agent reads those at its start, and when they change
 * without a word from us, if they belong to root or to itself.  The file also
 * shows us that a configuration from which the last acme_certificate has gone
 * must be declared once more, as empty.
 */


#include "ngx_http_acme_bridge.h"

#include <poll.h>
#include <sys/un.h>


#define NGX_HTTP_ACME_BRIDGE_WAIT      200      /* milliseconds */
#define NGX_HTTP_ACME_BRIDGE_ANSWER    4096
#define NGX_HTTP_ACME_BRIDGE_DECLARED  "declared"


typedef struct {
    ngx_str_t  owner;
    ngx_str_t  line;
    u_char     file[sizeof("0123456789abcdef.json")];
} ngx_http_acme_bridge_declaration_t;


static ngx_int_t ngx_http_acme_bridge_owner(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_declaration_t *d);
static ngx_int_t ngx_http_acme_bridge_line(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_declaration_t *d);
static u_char *ngx_http_acme_bridge_list(u_char *p, const char *name,
    ngx_array_t *list);
static u_char *ngx_http_acme_bridge_string(u_char *p, ngx_str_t *value);
static ngx_uint_t ngx_http_acme_bridge_is_utf8(ngx_str_t *value);
static ngx_int_t ngx_http_acme_bridge_keep(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_declaration_t *d);
static ngx_int_t ngx_http_acme_bridge_write(ngx_fd_t dir, struct stat *st,
    ngx_http_acme_bridge_declaration_t *d);
static ngx_int_t ngx_http_acme_bridge_exchange(int fd, ngx_str_t *line,
    ngx_msec_t deadline, u_char *answer);
static ngx_int_t ngx_http_acme_bridge_wait(int fd, short events,
    ngx_msec_t deadline);
static void ngx_http_acme_bridge_judge(ngx_cycle_t *cycle, u_char *answer);
static u_char *ngx_http_acme_bridge_member(u_char *text, const char *name,
    ngx_str_t *value);


void
ngx_http_acme_bridge_declare(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    int                                  fd;
    u_char                              *answer;
    ngx_int_t                            rc;
    ngx_msec_t                           deadline;
    ngx_http_acme_bridge_declaration_t   d;

    if (ngx_http_acme_bridge_owner(cycle, &d) != NGX_OK
        || ngx_http_acme_bridge_line(cycle, bmcf, &d) != NGX_OK)
    {
        return;
    }

    answer = ngx_pnalloc(cycle->pool, NGX_HTTP_ACME_BRIDGE_ANSWER);
    if (answer == NULL) {
        return;
    }

    if (ngx_http_acme_bridge_keep(cycle, bmcf, &d) == NGX_DECLINED) {
        /* nothing to say, nothing to take back */
        return;
    }

    deadline = ngx_http_acme_bridge_now() + NGX_HTTP_ACME_BRIDGE_WAIT;

    fd = ngx_http_acme_bridge_connect(&bmcf->socket, deadline);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, ngx_errno,
                      "acme: no agent at \"%V\" now, it will learn of "
                      "%ui certificate(s) when it starts",
                      &bmcf->socket, bmcf->wanted.nelts);
        return;
    }

    rc = ngx_http_acme_bridge_exchange(fd, &d.line, deadline, answer);

    if (rc == NGX_OK) {
        ngx_http_acme_bridge_judge(cycle, answer);

    } else {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "acme: the agent at \"%V\" did not answer to the "
                      "declaration of %ui certificate(s) within %d ms",
                      &bmcf->socket, bmcf->wanted.nelts,
                      NGX_HTTP_ACME_BRIDGE_WAIT);
    }

    (void) close(fd);
}


static ngx_int_t
ngx_http_acme_bridge_owner(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_declaration_t *d)
{
    u_char  *p, digest[EVP_MAX_MD_SIZE];

    d->owner.len = cycle->prefix.len + 1 + cycle->conf_file.len;

    p = ngx_pnalloc(cycle->pool, d->owner.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    d->owner.data = p;

    p = ngx_cpymem(p, cycle->prefix.data, cycle->prefix.len);
    *p++ = '|';
    ngx_memcpy(p, cycle->conf_file.data, cycle->conf_file.len);

    if (EVP_Digest(d->owner.data, d->owner.len, digest, NULL, EVP_sha256(),
                   NULL)
        == 0)
    {
        ngx_ssl_error(NGX_LOG_ERR, cycle->log, 0, "EVP_Digest() failed");
        return NGX_ERROR;
    }

    p = ngx_hex_dump(d->file, digest, 8);
    ngx_memcpy(p, ".json", sizeof(".json"));

    return NGX_OK;
}


static ngx_int_t
ngx_http_acme_bridge_line(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_declaration_t *d)
{
    size_t                             len;
    u_char                            *p;
    ngx_str_t                         *s;
    ngx_uint_t                         i, k;
    ngx_http_acme_bridge_srv_conf_t  **wanted;

    /* each byte of a string may become six; 128 for what stands around */

    len = 128 + d->owner.len * 6;
    wanted = bmcf->wanted.elts;

    for (i = 0; i < bmcf->wanted.nelts; i++) {

        len += 128 + (wanted[i]->name.str.len + wanted[i]->issuer.len) * 6;

        s = wanted[i]->ids->elts;
        for (k = 0; k < wanted[i]->ids->nelts; k++) {
            len += 3 + s[k].len * 6;
        }

        s = wanted[i]->keys->elts;
        for (k = 0; k < wanted[i]->keys->nelts; k++) {
            len += 3 + s[k].len * 6;
        }
    }

    p = ngx_pnalloc(cycle->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    d->line.data = p;

    p = ngx_sprintf(p, "{\"id\":1,\"method\":\"declare\","
                       "\"params\":{\"owner\":");
    p = ngx_http_acme_bridge_string(p, &d->owner);
    p = ngx_sprintf(p, ",\"certificates\":[");

    for (i = 0; i < bmcf->wanted.nelts; i++) {

        p = ngx_sprintf(p, "%s{\"name\":", i ? "," : "");
        p = ngx_http_acme_bridge_string(p, &wanted[i]->name.str);
        p = ngx_sprintf(p, ",\"issuer\":");
        p = ngx_http_acme_bridge_string(p, &wanted[i]->issuer);
        p = ngx_http_acme_bridge_list(p, "identifiers", wanted[i]->ids);
        p = ngx_http_acme_bridge_list(p, "key", wanted[i]->keys);
        *p++ = '}';
    }

    p = ngx_sprintf(p, "]}}\n");

    d->line.len = p - d->line.data;

    return NGX_OK;
}


static u_char *
ngx_http_acme_bridge_list(u_char *p, const char *name, ngx_array_t *list)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    p = ngx_sprintf(p, ",\"%s\":[", name);

    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (i) {
            *p++ = ',';
        }

        p = ngx_http_acme_bridge_string(p, &s[i]);
    }

    *p++ = ']';

    return p;
}


/* bytes that are no UTF-8 (paths may have them) become U+0080 to U+00FF */

static u_char *
ngx_http_acme_bridge_string(u_char *p, ngx_str_t *value)
{
    u_char      *s, *last;
    ngx_uint_t   utf8;

    utf8 = ngx_http_acme_bridge_is_utf8(value);
    last = value->data + value->len;

    *p++ = '"';

    for (s = value->data; s < last; s++) {

        if (*s == '"' || *s == '\\') {
            *p++ = '\\';
            *p++ = *s;

        } else if (*s < 0x20 || *s == 0x7f || (*s >= 0x80 && !utf8)) {
            p = ngx_sprintf(p, "\\u%04xi", (ngx_int_t) *s);

        } else {
            *p++ = *s;
        }
    }

    *p++ = '"';

    return p;
}


static ngx_uint_t
ngx_http_acme_bridge_is_utf8(ngx_str_t *value)
{
    u_char    *p, *last;
    uint32_t   code;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        code = ngx_utf8_decode(&p, last - p);

        if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
            return 0;
        }
    }

    return 1;
}


/*
 * Leaves the line in the run directory.  NGX_DECLINED: there is nothing to
 * declare, and nothing was declared before.
 */

static ngx_int_t
ngx_http_acme_bridge_keep(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_declaration_t *d)
{
    ngx_fd_t     run, dir;
    ngx_int_t    rc;
    ngx_uint_t   made;
    struct stat  st, own;

    rc = bmcf->wanted.nelts ? NGX_ERROR : NGX_DECLINED;
    dir = -1;

    run = ngx_http_acme_bridge_run_dir(cycle, bmcf, &st);
    if (run == -1) {
        return rc;
    }

    made = bmcf->wanted.nelts
           && mkdirat(run, NGX_HTTP_ACME_BRIDGE_DECLARED, 0700) == 0;

    dir = openat(run, NGX_HTTP_ACME_BRIDGE_DECLARED,
                 O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (dir == -1 || fstat(dir, &own) == -1) {
        goto failed;
    }

    if (made && geteuid() == 0 && fchown(dir, st.st_uid, st.st_gid) == -1) {
        goto failed;
    }

    if (own.st_uid != st.st_uid && own.st_uid != geteuid()) {
        ngx_set_errno(NGX_EPERM);
        goto failed;
    }

    if (rc == NGX_DECLINED
        && faccessat(dir, (char *) d->file, F_OK, AT_EACCESS) == -1)
    {
        goto done;
    }

    if (ngx_http_acme_bridge_write(dir, &st, d) != NGX_OK) {
        goto failed;
    }

    rc = NGX_OK;
    goto done;

failed:

    if (rc != NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "acme: cannot leave \"%V/"
                      NGX_HTTP_ACME_BRIDGE_DECLARED "/%s\" for an agent that "
                      "starts later", &bmcf->run_dir, d->file);
    }

done:

    if (dir != -1) {
        (void) ngx_close_file(dir);
    }

    (void) ngx_close_file(run);

    return rc;
}


static ngx_int_t
ngx_http_acme_bridge_write(ngx_fd_t dir, struct stat *st,
    ngx_http_acme_bridge_declaration_t *d)
{
    char        temp[sizeof(d->file) + NGX_INT_T_LEN + 2];
    ssize_t     n;
    size_t      done;
    ngx_fd_t    fd;
    ngx_err_t   err;

    (void) ngx_sprintf((u_char *) temp, ".%s.%P%Z", d->file, ngx_getpid());

    (void) unlinkat(dir, temp, 0);

    fd = openat(dir, temp, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    if (fd == -1) {
        return NGX_ERROR;
    }

    for (done = 0; done < d->line.len; done += n) {
        n = write(fd, d->line.data + done, d->line.len - done);

        if (n <= 0) {
            goto failed;
        }
    }

    if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) == -1) {
        goto failed;
    }

    if (renameat(dir, temp, dir, (char *) d->file) == -1) {
        goto failed;
    }

    (void) ngx_close_file(fd);

    return NGX_OK;

failed:

    err = ngx_errno;
    (void) unlinkat(dir, temp, 0);
    (void) ngx_close_file(fd);
    ngx_set_errno(err);

    return NGX_ERROR;
}


/* monotonic milliseconds: nginx's own do not move inside of init_module */

ngx_msec_t
ngx_http_acme_bridge_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (ngx_msec_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int
ngx_http_acme_bridge_connect(ngx_str_t *path, ngx_msec_t deadline)
{
    int                 fd;
    ngx_err_t           err;
    struct sockaddr_un  sun;

    ngx_memzero(&sun, sizeof(struct sockaddr_un));
    sun.sun_family = AF_UNIX;
    ngx_memcpy(sun.sun_path, path->data, path->len);

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    while (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1) {

        err = ngx_errno;

        /* EAGAIN: a full backlog; there is no event that tells when it ends */

        if ((err != NGX_EAGAIN && err != NGX_EINTR)
            || (ngx_msec_int_t) (deadline - ngx_http_acme_bridge_now()) <= 0)
        {
            (void) close(fd);
            ngx_set_errno(err);
            return -1;
        }

        ngx_msleep(5);
    }

    return fd;
}


static ngx_int_t
ngx_http_acme_bridge_exchange(int fd, ngx_str_t *line, ngx_msec_t deadline,
    u_char *answer)
{
    size_t   len;
    ssize_t  n;

    for (len = 0; len < line->len; len += n) {

        n = send(fd, line->data + len, line->len - len, MSG_NOSIGNAL);

        if (n == -1) {
            n = 0;

            if (ngx_errno != NGX_EAGAIN
                || ngx_http_acme_bridge_wait(fd, POLLOUT, deadline) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    len = 0;

    while (len < NGX_HTTP_ACME_BRIDGE_ANSWER - 1) {

        n = recv(fd, answer + len, NGX_HTTP_ACME_BRIDGE_ANSWER - 1 - len, 0);

        if (n == 0) {
            return NGX_ERROR;
        }

        if (n == -1) {

            if (ngx_errno != NGX_EAGAIN
                || ngx_http_acme_bridge_wait(fd, POLLIN, deadline) != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        len += n;

        if (ngx_strlchr(answer + len - n, answer + len, '\n')) {
            break;
        }
    }

    answer[len] = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_http_acme_bridge_wait(int fd, short events, ngx_msec_t deadline)
{
    struct pollfd   pfd;
    ngx_msec_int_t  left;

    for ( ;; ) {

        left = (ngx_msec_int_t) (deadline - ngx_http_acme_bridge_now());

        if (left <= 0) {
            return NGX_ERROR;
        }

        pfd.fd = fd;
        pfd.events = events;
        pfd.revents = 0;

        switch (poll(&pfd, 1, (int) left)) {

        case 1:
            return NGX_OK;

        case -1:
            if (ngx_errno != NGX_EINTR) {
                return NGX_ERROR;
            }
        }
    }
}


/*
 * What the agent refuses is shown in its own words, as they stand in the text
 * of the answer: escaped, so in one line.  Either it refuses all,
 * "error":{"message":"..."}, or single certificates,
 * "refused":[{"name":"...","reason":"..."},...].
 */

static void
ngx_http_acme_bridge_judge(ngx_cycle_t *cycle, u_char *answer)
{
    u_char     *p;
    ngx_str_t   name, words;

    p = (u_char *) ngx_strstr(answer, "\"error\"");

    if (p) {
        ngx_http_acme_bridge_member(p, "\"message\"", &words);

        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "acme: the agent refuses what nginx declares: %V",
                      &words);
        return;
    }

    p = (u_char *) ngx_strstr(answer, "\"refused\"");

    while (p) {
        p = ngx_http_acme_bridge_member(p, "\"name\"", &name);
        p = p ? ngx_http_acme_bridge_member(p, "\"reason\"", &words) : NULL;

        if (p) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                          "acme: the agent refuses certificate \"%V\": %V",
                          &name, &words);
        }
    }
}


/* the string behind a name; what follows it, or NULL and the whole text */

static u_char *
ngx_http_acme_bridge_member(u_char *text, const char *name, ngx_str_t *value)
{
    u_char  *p, *start;

    p = (u_char *) ngx_strstr(text, name);
    p = p ? (u_char *) ngx_strchr(p + ngx_strlen(name), '"') : NULL;

    start = p ? ++p : text;

    if (p) {
        while (*p && *p != '"') {
            p += (p[0] == '\\' && p[1]) ? 2 : 1;
        }

    }

    value->data = start;
    value->len = (p ? p : start + ngx_strlen(start)) - start;

    for ( /* void */ ; start < value->data + value->len; start++) {
        if (*start < 0x20 || *start >= 0x7f) {
            *start = '?';
        }
    }

    return p;
}
