
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * "acme_agent launch": nginx starts an agent of its own.
 *
 * Only if nobody answers on the socket, and only the master does it: at start,
 * and at a reload if the agent has gone.  It forks twice, so that the agent is
 * no child of nginx, which would count and signal it like a worker.  The agent
 * runs as the workers' user, in a session of its own, with PATH as its whole
 * environment, and with no descriptor of ours but one:
 *
 *   AGENT [-c CONFIG] --shared --lifeline 3 --run-dir DIR
 *
 * Descriptor 3 is the read end of a pipe.  Its write end is open in the master
 * and in all that come from it, workers and the new binary of an upgrade; when
 * the last of them has gone, the agent reads the end of the file and goes, too.
 * For the sake of the new binary the write end is not closed on exec.
 *
 * At first start the master waits for the agent, two seconds at most, to give
 * it time to publish what it has stored.
 */


#include "ngx_http_acme_bridge.h"

#include <grp.h>
#include <poll.h>
#include <sys/syscall.h>


#define NGX_HTTP_ACME_BRIDGE_PATIENCE  2000     /* milliseconds */
#define NGX_HTTP_ACME_BRIDGE_LIFELINE  3
#define NGX_HTTP_ACME_BRIDGE_REPORT    4


static ngx_int_t ngx_http_acme_bridge_spawn(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf);
static void ngx_http_acme_bridge_child(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, int lifeline, int report);
static ngx_int_t ngx_http_acme_bridge_drop(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_acme_bridge_descriptors(ngx_cycle_t *cycle,
    int lifeline, int report);
static ngx_int_t ngx_http_acme_bridge_hear(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, int report);


/* the write end; of a process, not of a cycle */

static int  ngx_http_acme_bridge_lifeline = -1;


void
ngx_http_acme_bridge_launch(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    int          fd;
    ngx_fd_t     dir;
    ngx_msec_t   deadline;
    struct stat  st;

    deadline = ngx_http_acme_bridge_now();

    fd = ngx_http_acme_bridge_connect(&bmcf->socket, deadline + 100);

    if (fd != -1) {
        (void) close(fd);
        return;
    }

    dir = ngx_http_acme_bridge_run_dir(cycle, bmcf, &st);

    if (dir == -1) {
        return;
    }

    (void) ngx_close_file(dir);

    if (ngx_http_acme_bridge_spawn(cycle, bmcf) != NGX_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "acme: agent \"%V\" was launched", &bmcf->program);

    if (!ngx_is_init_cycle(cycle->old_cycle)) {
        return;
    }

    deadline += NGX_HTTP_ACME_BRIDGE_PATIENCE;

    for ( ;; ) {

        fd = ngx_http_acme_bridge_connect(&bmcf->socket, deadline);

        if (fd != -1) {
            (void) close(fd);
            return;
        }

        if ((ngx_msec_int_t) (deadline - ngx_http_acme_bridge_now()) <= 0) {
            break;
        }

        ngx_msleep(10);
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "acme: agent \"%V\" does not answer on \"%V\" yet",
                  &bmcf->program, &bmcf->socket);
}


static ngx_int_t
ngx_http_acme_bridge_spawn(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf)
{
    int        lifeline[2], report[2], status;
    pid_t      pid;
    ngx_int_t  rc;

    if (pipe2(lifeline, O_CLOEXEC) == -1) {
        goto failed;
    }

    if (pipe2(report, O_CLOEXEC) == -1) {
        (void) close(lifeline[0]);
        (void) close(lifeline[1]);
        goto failed;
    }

    pid = fork();

    if (pid == 0) {

        if (setsid() == -1) {
            _exit(1);
        }

        if (fork() == 0) {
            ngx_http_acme_bridge_child(cycle, bmcf, lifeline[0], report[1]);
        }

        _exit(0);
    }

    (void) close(lifeline[0]);
    (void) close(report[1]);

    rc = NGX_ERROR;

    if (pid != -1) {

        while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
            /* void */
        }

        rc = ngx_http_acme_bridge_hear(cycle, bmcf, report[0]);

    } else {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "acme: cannot launch agent \"%V\"", &bmcf->program);
    }

    (void) close(report[0]);

    if (rc != NGX_OK) {
        (void) close(lifeline[1]);
        return NGX_ERROR;
    }

    (void) fcntl(lifeline[1], F_SETFD, 0);

    if (ngx_http_acme_bridge_lifeline != -1) {
        (void) close(ngx_http_acme_bridge_lifeline);
    }

    ngx_http_acme_bridge_lifeline = lifeline[1];

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                  "acme: cannot launch agent \"%V\"", &bmcf->program);

    return NGX_ERROR;
}


/* does not return; an error number in the report pipe says why it failed */

static void
ngx_http_acme_bridge_child(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, int lifeline, int report)
{
    char       *argv[9], *envp[2];
    sigset_t    set;
    ngx_err_t   err;
    ngx_uint_t  n;

    static char  number[] = { '0' + NGX_HTTP_ACME_BRIDGE_LIFELINE, '\0' };

    n = 0;

    argv[n++] = (char *) bmcf->program.data;

    if (bmcf->config.len) {
        argv[n++] = (char *) "-c";
        argv[n++] = (char *) bmcf->config.data;
    }

    argv[n++] = (char *) "--shared";
    argv[n++] = (char *) "--lifeline";
    argv[n++] = number;
    argv[n++] = (char *) "--run-dir";
    argv[n++] = (char *) bmcf->run_dir.data;
    argv[n] = NULL;

    envp[0] = (char *) "PATH=/usr/local/sbin:/usr/local/bin:"
                       "/usr/sbin:/usr/bin:/sbin:/bin";
    envp[1] = NULL;

    /* what nginx blocks and ignores outlives exec */

    sigemptyset(&set);
    (void) sigprocmask(SIG_SETMASK, &set, NULL);
    (void) signal(SIGPIPE, SIG_DFL);
    (void) umask(077);

    if (chdir("/") == 0
        && ngx_http_acme_bridge_drop(cycle) == NGX_OK
        && ngx_http_acme_bridge_descriptors(cycle, lifeline, report) == NGX_OK)
    {
        report = NGX_HTTP_ACME_BRIDGE_REPORT;
        (void) execve(argv[0], argv, envp);
    }

    err = ngx_errno;

    if (write(report, &err, sizeof(ngx_err_t)) == -1) {
        _exit(2);
    }

    _exit(1);
}


static ngx_int_t
ngx_http_acme_bridge_drop(ngx_cycle_t *cycle)
{
    ngx_core_conf_t  *ccf;

    if (geteuid() != 0) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (setgid(ccf->group) == -1
        || initgroups(ccf->username, ccf->group) == -1
        || setuid(ccf->user) == -1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* 0 and 1: /dev/null, 2: the error log, 3 and 4: ours, and no other */

static ngx_int_t
ngx_http_acme_bridge_descriptors(ngx_cycle_t *cycle, int lifeline, int report)
{
    int         null, err;
    ngx_log_t  *log;

    null = open("/dev/null", O_RDWR|O_CLOEXEC);
    err = STDERR_FILENO;

    for (log = cycle->log; log; log = log->next) {
        if (log->file && log->file->fd != NGX_INVALID_FILE) {
            err = log->file->fd;
            break;
        }
    }

    /* out of the way first */

    null = fcntl(null, F_DUPFD_CLOEXEC, 16);
    err = fcntl(err, F_DUPFD_CLOEXEC, 16);
    lifeline = fcntl(lifeline, F_DUPFD_CLOEXEC, 16);
    report = fcntl(report, F_DUPFD_CLOEXEC, 16);

    if (null == -1 || lifeline == -1 || report == -1) {
        return NGX_ERROR;
    }

    if (dup2(null, STDIN_FILENO) == -1
        || dup2(null, STDOUT_FILENO) == -1
        || dup2(err == -1 ? null : err, STDERR_FILENO) == -1
        || dup2(lifeline, NGX_HTTP_ACME_BRIDGE_LIFELINE) == -1
        || dup3(report, NGX_HTTP_ACME_BRIDGE_REPORT, O_CLOEXEC) == -1)
    {
        return NGX_ERROR;
    }

#ifdef SYS_close_range

    if (syscall(SYS_close_range, NGX_HTTP_ACME_BRIDGE_REPORT + 1, ~0U, 0)
        == 0)
    {
        return NGX_OK;
    }

#endif

    for (err = (int) ngx_min(sysconf(_SC_OPEN_MAX), 65536);
         err > NGX_HTTP_ACME_BRIDGE_REPORT;
         err--)
    {
        (void) close(err);
    }

    return NGX_OK;
}


/* exec closes the pipe; what comes out of it before is an error number */

static ngx_int_t
ngx_http_acme_bridge_hear(ngx_cycle_t *cycle,
    ngx_http_acme_bridge_main_conf_t *bmcf, int report)
{
    ngx_err_t      err;
    struct pollfd  pfd;

    pfd.fd = report;
    pfd.events = POLLIN;
    pfd.revents = 0;

    if (poll(&pfd, 1, NGX_HTTP_ACME_BRIDGE_PATIENCE / 2) != 1
        || read(report, &err, sizeof(ngx_err_t)) != sizeof(ngx_err_t))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, cycle->log, err,
                  "acme: cannot launch agent \"%V\"", &bmcf->program);

    return NGX_ERROR;
}
