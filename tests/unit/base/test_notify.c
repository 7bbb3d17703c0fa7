/* SPDX-License-Identifier: Apache-2.0 */
/* Words to the service manager, by the protocol of sd_notify(3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

/* A socket of this name that hears one word. */
static void heard_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char word[32] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(path);

	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
	                      (socklen_t)(offsetof(struct sockaddr_un,
	                                           sun_path) + len)),
	                 0);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_send("READY=1"), 0);
	assert_int_equal(recv(fd, word, sizeof word - 1, MSG_DONTWAIT), 7);
	assert_string_equal(word, "READY=1");
	close(fd);
	assert_int_equal(notify_send("READY=1"), -1); /* nobody listens */
	unsetenv("NOTIFY_SOCKET");
}

static void the_manager_hears_by_path_and_by_abstract_name(void **state)
{
	char path[64];
	(void)state;

	snprintf(path, sizeof path, "/tmp/notify-test.%d", (int)getpid());
	heard_at(path);
	unlink(path);
	snprintf(path, sizeof path, "@notify-test.%d", (int)getpid());
	heard_at(path);
}

static void without_a_manager_nothing_happens(void **state)
{
	char path[200];
	(void)state;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_send("READY=1"), -1);
	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_send("READY=1"), -1);
	unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_ours_or_none(void **state)
{
	char pid[32];
	(void)state;

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "junk", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "-5", 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	unsetenv("WATCHDOG_USEC");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_hears_by_path_and_by_abstract_name),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(the_watchdog_is_ours_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
