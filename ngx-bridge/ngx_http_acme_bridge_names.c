
/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * acme_certificate: which identifiers a server asks for, in which key types,
 * and under which name the agent and the segment know the result.
 *
 * Identifiers are the arguments or, without any, what server_name says:
 * ".example.com" stands for www.example.com and example.com, regular
 * expressions are left out with a warning.  Their order is kept.
 *
 * The name is the first identifier.  Servers with the same issuer, identifiers
 * and key types share one certificate.  If a further server begins with the
 * same identifier but differs in the rest, a hash of all that is appended:
 * "example.com~1f0a27c3".  So it is if the identifier is too long for a name.
 */


#include "ngx_http_acme_bridge.h"


#define NGX_HTTP_ACME_BRIDGE_ISSUER_MAX  64
#define NGX_HTTP_ACME_BRIDGE_DNS_MAX     253
#define NGX_HTTP_ACME_BRIDGE_NAME_MAX    190    /* without the hash */
#define NGX_HTTP_ACME_BRIDGE_LABEL_MAX   63


static char *ngx_http_acme_bridge_keys(ngx_conf_t *cf, ngx_str_t *value,
    ngx_array_t *keys);
static ngx_int_t ngx_http_acme_bridge_server_names(ngx_conf_t *cf,
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_core_srv_conf_t *cscf);
static const char *ngx_http_acme_bridge_identifier(ngx_conf_t *cf,
    ngx_array_t *ids, ngx_str_t *value);
static const char *ngx_http_acme_bridge_dns(ngx_str_t *name);
static ngx_int_t ngx_http_acme_bridge_add(ngx_conf_t *cf, ngx_array_t *list,
    ngx_str_t *value);
static ngx_int_t ngx_http_acme_bridge_name(ngx_conf_t *cf,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_srv_conf_t *bscf);
static ngx_int_t ngx_http_acme_bridge_set(ngx_conf_t *cf,
    ngx_http_acme_bridge_srv_conf_t *bscf);


char *
ngx_http_acme_bridge_certificate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_acme_bridge_srv_conf_t *bscf = conf;

    u_char                            *p;
    ngx_str_t                         *value, spec;
    ngx_uint_t                         i;
    const char                        *error;
    ngx_http_acme_bridge_main_conf_t  *bmcf;

    if (bscf->issuer.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (p = value[1].data; p < value[1].data + value[1].len; p++) {
        if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') {
            continue;
        }

        if ((*p < '0' || *p > '9') && *p != '-' && *p != '_' && *p != '.') {
            break;
        }
    }

    if (value[1].len == 0 || p != value[1].data + value[1].len
        || value[1].len > NGX_HTTP_ACME_BRIDGE_ISSUER_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"acme_certificate\": invalid issuer name \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    bscf->ids = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    bscf->keys = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (bscf->ids == NULL || bscf->keys == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "key=", 4) == 0) {

            if (bscf->keys->nelts) {
                return "has duplicate \"key\"";
            }

            spec.len = value[i].len - 4;
            spec.data = value[i].data + 4;

            if (ngx_http_acme_bridge_keys(cf, &spec, bscf->keys)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        error = ngx_http_acme_bridge_identifier(cf, bscf->ids, &value[i]);

        if (error) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"acme_certificate\": invalid server name "
                               "\"%V\": %s", &value[i], error);
            return NGX_CONF_ERROR;
        }
    }

    /* without "key=" the agent takes what the issuer's section says */

    bscf->issuer = value[1];
    bscf->file = cf->conf_file->file.name.data;
    bscf->line = cf->conf_file->line;

    bmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_acme_bridge_module);
    bmcf->used = 1;

    return NGX_CONF_OK;
}


/* "ecdsa", "rsa:3072,ecdsa:384" -> a list, each with its size */

static char *
ngx_http_acme_bridge_keys(ngx_conf_t *cf, ngx_str_t *value, ngx_array_t *keys)
{
    u_char      *p, *last, *end;
    ngx_str_t    one;
    ngx_uint_t   i;

    static struct {
        ngx_str_t  text;
        ngx_str_t  full;
    } known[] = {
        { ngx_string("ecdsa"), ngx_string("ecdsa:256") },
        { ngx_string("ecdsa:256"), ngx_string("ecdsa:256") },
        { ngx_string("ecdsa:384"), ngx_string("ecdsa:384") },
        { ngx_string("ecdsa:521"), ngx_string("ecdsa:521") },
        { ngx_string("rsa"), ngx_string("rsa:2048") },
        { ngx_string("rsa:2048"), ngx_string("rsa:2048") },
        { ngx_string("rsa:3072"), ngx_string("rsa:3072") },
        { ngx_string("rsa:4096"), ngx_string("rsa:4096") },
        { ngx_null_string, ngx_null_string }
    };

    p = value->data;
    end = value->data + value->len;

    for ( ;; ) {

        last = ngx_strlchr(p, end, ',');
        if (last == NULL) {
            last = end;
        }

        one.len = last - p;
        one.data = p;

        for (i = 0; known[i].text.len; i++) {
            if (known[i].text.len == one.len
                && ngx_strncmp(known[i].text.data, one.data, one.len) == 0)
            {
                break;
            }
        }

        if (known[i].text.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"acme_certificate\": invalid key type \"%V\", "
                               "expected ecdsa[:256|384|521] or "
                               "rsa[:2048|3072|4096]", &one);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_acme_bridge_add(cf, keys, &known[i].full) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (last == end) {
            return NGX_CONF_OK;
        }

        p = last + 1;
    }
}


/*
 * Called for each server with acme_certificate when all is parsed: completes
 * its identifiers, gives it its name, and notes it in bmcf->wanted unless an
 * equal one is there already.
 */

ngx_int_t
ngx_http_acme_bridge_identify(ngx_conf_t *cf,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_core_srv_conf_t *cscf)
{
    uint32_t                           hash;
    ngx_str_node_t                    *node;
    ngx_http_acme_bridge_srv_conf_t   *equal, **wanted;

    if (bscf->ids->nelts == 0
        && ngx_http_acme_bridge_server_names(cf, bscf, cscf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_acme_bridge_set(cf, bscf) != NGX_OK) {
        return NGX_ERROR;
    }

    hash = ngx_crc32_long(bscf->set.str.data, bscf->set.str.len);

    node = ngx_str_rbtree_lookup(&bmcf->sets, &bscf->set.str, hash);

    if (node) {
        equal = ngx_queue_data(node, ngx_http_acme_bridge_srv_conf_t, set);
        bscf->name.str = equal->name.str;
        return NGX_OK;
    }

    bscf->set.node.key = hash;
    ngx_rbtree_insert(&bmcf->sets, &bscf->set.node);

    if (ngx_http_acme_bridge_name(cf, bmcf, bscf) != NGX_OK) {
        return NGX_ERROR;
    }

    wanted = ngx_array_push(&bmcf->wanted);
    if (wanted == NULL) {
        return NGX_ERROR;
    }

    *wanted = bscf;

    return NGX_OK;
}


/* the first identifier, or what begins with it, if that is taken or too long */

static ngx_int_t
ngx_http_acme_bridge_name(ngx_conf_t *cf,
    ngx_http_acme_bridge_main_conf_t *bmcf,
    ngx_http_acme_bridge_srv_conf_t *bscf)
{
    u_char     *p, digest[EVP_MAX_MD_SIZE];
    uint32_t    hash;
    ngx_str_t  *name;

    name = &bscf->name.str;

    *name = *(ngx_str_t *) bscf->ids->elts;
    hash = ngx_crc32_long(name->data, name->len);

    if (name->len > NGX_HTTP_ACME_BRIDGE_NAME_MAX
        || ngx_str_rbtree_lookup(&bmcf->names, name, hash))
    {
        if (EVP_Digest(bscf->set.str.data, bscf->set.str.len, digest, NULL,
                       EVP_sha256(), NULL)
            == 0)
        {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0, "EVP_Digest() failed");
            return NGX_ERROR;
        }

        name->len = ngx_min(name->len, NGX_HTTP_ACME_BRIDGE_NAME_MAX);

        p = ngx_pnalloc(cf->pool, name->len + sizeof("~xxxxxxxx"));
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, name->data, name->len);
        name->data = p;

        p += name->len;
        *p++ = '~';
        p = ngx_hex_dump(p, digest, 4);
        *p = '\0';

        name->len = p - name->data;

        hash = ngx_crc32_long(name->data, name->len);
    }

    bscf->name.node.key = hash;
    ngx_rbtree_insert(&bmcf->names, &bscf->name.node);

    return NGX_OK;
}


static ngx_int_t
ngx_http_acme_bridge_server_names(ngx_conf_t *cf,
    ngx_http_acme_bridge_srv_conf_t *bscf, ngx_http_core_srv_conf_t *cscf)
{
    u_char                  *p;
    ngx_str_t                name, www;
    ngx_uint_t               i;
    const char              *error;
    ngx_http_server_name_t  *sn;

    sn = cscf->server_names.elts;

    for (i = 0; i < cscf->server_names.nelts; i++) {

        name = sn[i].name;

        if (name.len == 0) {
            continue;
        }

#if (NGX_PCRE)

        if (sn[i].regex) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "\"acme_certificate\": unsupported regular "
                          "expression in server_name: \"~%V\" in %s:%ui",
                          &name, bscf->file, bscf->line);
            continue;
        }

#endif

        error = NULL;

        if (name.data[0] == '.') {

            name.len--;
            name.data++;

            p = ngx_pnalloc(cf->pool, name.len + sizeof("www."));
            if (p == NULL) {
                return NGX_ERROR;
            }

            www.data = p;
            www.len = ngx_sprintf(p, "www.%V", &name) - p;

            error = ngx_http_acme_bridge_identifier(cf, bscf->ids, &www);
        }

        if (error == NULL) {
            error = ngx_http_acme_bridge_identifier(cf, bscf->ids, &name);
        }

        if (error) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"acme_certificate\": invalid server name \"%V\": "
                          "%s in %s:%ui",
                          &sn[i].name, error, bscf->file, bscf->line);
            return NGX_ERROR;
        }
    }

    if (bscf->ids->nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"acme_certificate\": no identifiers found in "
                      "\"server_name\" in %s:%ui", bscf->file, bscf->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* checks a name, adds it in its canonical form; returns what is wrong */

static const char *
ngx_http_acme_bridge_identifier(ngx_conf_t *cf, ngx_array_t *ids,
    ngx_str_t *value)
{
    u_char       text[NGX_SOCKADDR_STRLEN];
    in_addr_t    addr;
    ngx_str_t    name;
    const char  *error;
#if (NGX_HAVE_INET6)
    u_char       addr6[16];
#endif

    name = *value;

    addr = ngx_inet_addr(name.data, name.len);

    if (addr != INADDR_NONE) {
        name.len = ngx_inet_ntop(AF_INET, &addr, text, sizeof(text));
        name.data = text;
        goto add;
    }

#if (NGX_HAVE_INET6)

    if (name.len > 2 && name.data[0] == '[' && name.data[name.len - 1] == ']') {
        name.len -= 2;
        name.data++;
    }

    if (ngx_inet6_addr(name.data, name.len, addr6) == NGX_OK) {
        name.len = ngx_inet_ntop(AF_INET6, addr6, text, sizeof(text));
        name.data = text;
        goto add;
    }

    name = *value;

#endif

    error = ngx_http_acme_bridge_dns(&name);

    if (error) {
        return error;
    }

add:

    return ngx_http_acme_bridge_add(cf, ids, &name) == NGX_OK
           ? NULL : "out of memory";
}


static const char *
ngx_http_acme_bridge_dns(ngx_str_t *name)
{
    u_char  *p, *last, *label, ch;

    p = name->data;
    last = p + name->len;

    if (name->len > NGX_HTTP_ACME_BRIDGE_DNS_MAX) {
        return "is longer than 253 bytes";
    }

    if (name->len > 2 && p[0] == '*' && p[1] == '.') {
        p += 2;
    }

    label = p;

    for ( ;; ) {

        if (p == last || *p == '.') {

            if (p == label) {
                return p == last ? "does not end with a label"
                                 : "has an empty label";
            }

            if (p - label > NGX_HTTP_ACME_BRIDGE_LABEL_MAX) {
                return "has a label longer than 63 bytes";
            }

            if (label[0] == '-' || p[-1] == '-') {
                return "has a label that begins or ends with a hyphen";
            }

            if (p == last) {
                return NULL;
            }

            label = ++p;
            continue;
        }

        ch = *p++;

        if (ch >= 0x80) {
            return "is not ASCII, write it as \"xn--...\"";
        }

        ch |= 0x20;

        if ((ch < 'a' || ch > 'z') && (p[-1] < '0' || p[-1] > '9')
            && p[-1] != '-' && p[-1] != '_')
        {
            return "has a character that no host name has";
        }
    }
}


/* adds a lower-case copy unless it is there already */

static ngx_int_t
ngx_http_acme_bridge_add(ngx_conf_t *cf, ngx_array_t *list, ngx_str_t *value)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (s[i].len == value->len
            && ngx_strncasecmp(s[i].data, value->data, value->len) == 0)
        {
            return NGX_OK;
        }
    }

    s = ngx_array_push(list);
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->len = value->len;
    s->data = ngx_pnalloc(cf->pool, value->len + 1);
    if (s->data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(s->data, value->data, value->len);
    s->data[s->len] = '\0';

    return NGX_OK;
}


/* bscf->set: "issuer\nid,id\nkey,key" */

static ngx_int_t
ngx_http_acme_bridge_set(ngx_conf_t *cf, ngx_http_acme_bridge_srv_conf_t *bscf)
{
    size_t        len;
    u_char       *p;
    ngx_str_t    *s;
    ngx_uint_t    i, n;
    ngx_array_t  *lists[2];

    lists[0] = bscf->ids;
    lists[1] = bscf->keys;

    len = bscf->issuer.len;

    for (n = 0; n < 2; n++) {
        s = lists[n]->elts;

        for (i = 0; i < lists[n]->nelts; i++) {
            len += 1 + s[i].len;
        }
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    bscf->set.str.data = p;
    bscf->set.str.len = len;

    p = ngx_cpymem(p, bscf->issuer.data, bscf->issuer.len);

    for (n = 0; n < 2; n++) {
        s = lists[n]->elts;

        for (i = 0; i < lists[n]->nelts; i++) {
            *p++ = i ? ',' : '\n';
            p = ngx_cpymem(p, s[i].data, s[i].len);
        }
    }

    return NGX_OK;
}
