/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints where each member of each struct that crosses the plugin ABI lies. The
 * output for an architecture is kept beside this file: within a major version
 * lines may be added to it, and none may change.
 */
#include <stddef.h>
#include <stdio.h>

#include <acme/plugin.h>

#define SIZE(T)      printf("%-20s %-20s %3zu\n", #T, "(size)", sizeof(T));
#define MEMBER(T, M) printf("%-20s %-20s %3zu\n", #T, #M, offsetof(T, M));

static void words(void)
{
	SIZE(acme_str)
	MEMBER(acme_str, ptr)
	MEMBER(acme_str, len)
	SIZE(acme_op)
	MEMBER(acme_op, id)
	SIZE(acme_entry)
	MEMBER(acme_entry, size)
	MEMBER(acme_entry, flags)
	MEMBER(acme_entry, key)
	MEMBER(acme_entry, value)
	MEMBER(acme_entry, version)
	printf("%-20s %-20s %3zu\n", "acme_status", "(size)",
	       sizeof(acme_status));
	printf("%-20s %-20s %3zu\n", "acme_level", "(size)",
	       sizeof(acme_level));
}

static void host(void)
{
	MEMBER(acme_host, size)
	MEMBER(acme_host, abi_major)
	MEMBER(acme_host, abi_minor)
	MEMBER(acme_host, log)
	MEMBER(acme_host, post)
	MEMBER(acme_host, alloc)
	MEMBER(acme_host, now)
	MEMBER(acme_host, option_str)
	MEMBER(acme_host, option_int)
	MEMBER(acme_host, option_bool)
	MEMBER(acme_host, option_list)
	MEMBER(acme_host, secret)
	MEMBER(acme_host, emit)
	MEMBER(acme_host, done)
	MEMBER(acme_host, after)
	MEMBER(acme_host, work)
	MEMBER(acme_host, watch_fd)
	MEMBER(acme_host, http)
	MEMBER(acme_host, publish)
}

static void http(void)
{
	MEMBER(acme_http_request, size)
	MEMBER(acme_http_request, flags)
	MEMBER(acme_http_request, method)
	MEMBER(acme_http_request, url)
	MEMBER(acme_http_request, headers)
	MEMBER(acme_http_request, header_count)
	MEMBER(acme_http_request, body)
	MEMBER(acme_http_request, timeout_ms)
	MEMBER(acme_http_request, body_max)
	MEMBER(acme_http_response, size)
	MEMBER(acme_http_response, code)
	MEMBER(acme_http_response, status)
	MEMBER(acme_http_response, retry_ms)
	MEMBER(acme_http_response, error)
	MEMBER(acme_http_response, body)
	MEMBER(acme_http_response, headers)
	MEMBER(acme_http_response, header_count)
}

static void challenge(void)
{
	MEMBER(acme_challenge, size)
	MEMBER(acme_challenge, type)
	MEMBER(acme_challenge, identifier)
	MEMBER(acme_challenge, token)
	MEMBER(acme_challenge, key_authorization)
	MEMBER(acme_challenge, record_name)
	MEMBER(acme_challenge, record_value)
	MEMBER(acme_challenge, record_values)
	MEMBER(acme_challenge, record_value_count)
	MEMBER(acme_challenge, cookie)
	MEMBER(acme_challenge_ops, size)
	MEMBER(acme_challenge_ops, types)
	MEMBER(acme_challenge_ops, lock_scope)
	MEMBER(acme_challenge_ops, propagation_ms)
	MEMBER(acme_challenge_ops, present)
	MEMBER(acme_challenge_ops, cleanup)
}

static void storage(void)
{
	MEMBER(acme_list, size)
	MEMBER(acme_list, flags)
	MEMBER(acme_list, prefix)
	MEMBER(acme_list, cursor)
	MEMBER(acme_list, limit)
	MEMBER(acme_list, reserved)
	MEMBER(acme_storage_ops, size)
	MEMBER(acme_storage_ops, caps)
	MEMBER(acme_storage_ops, get)
	MEMBER(acme_storage_ops, put)
	MEMBER(acme_storage_ops, del)
	MEMBER(acme_storage_ops, list)
	MEMBER(acme_storage_ops, lock)
	MEMBER(acme_storage_ops, renew)
	MEMBER(acme_storage_ops, unlock)
	MEMBER(acme_storage_ops, watch)
}

static void descriptor(void)
{
	MEMBER(acme_option, size)
	MEMBER(acme_option, type)
	MEMBER(acme_option, flags)
	MEMBER(acme_option, reserved)
	MEMBER(acme_option, name)
	MEMBER(acme_option, fallback)
	MEMBER(acme_option, help)
	MEMBER(acme_plugin, size)
	MEMBER(acme_plugin, abi_major)
	MEMBER(acme_plugin, abi_minor)
	MEMBER(acme_plugin, name)
	MEMBER(acme_plugin, version)
	MEMBER(acme_plugin, about)
	MEMBER(acme_plugin, options)
	MEMBER(acme_plugin, open)
	MEMBER(acme_plugin, close)
	MEMBER(acme_plugin, cancel)
	MEMBER(acme_plugin, challenge)
	MEMBER(acme_plugin, storage)
}

int main(void)
{
	words();
	host();
	http();
	challenge();
	storage();
	descriptor();
	return 0;
}
