/* SPDX-License-Identifier: Apache-2.0 */
/* Files as an operator writes them, right and wrong: what is in the snapshot,
 * what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/conf.h"

static char dir[64];
static char path[96];
static struct conf *conf;
static struct conf_errors errors;

static void write_file(const char *name, const char *text)
{
	char file[200];
	struct err e = { 0 };

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	assert_int_equal(file_write(file, text, strlen(text), 0600, &e), 0);
}

static void forget(void)
{
	conf_unref(conf);
	conf = NULL;
	conf_errors_free(&errors);
}

static int setup(void **state)
{
	char sub[100];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conf-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/main.ini", dir);
	snprintf(sub, sizeof(sub), "%s/conf.d", dir);
	return mkdir(sub, 0700);
}

static int teardown(void **state)
{
	static const char *const FILES[] = {
		"main.ini",        "conf.d/a.ini",  "conf.d/b.ini",
		"conf.d/.hid.ini", "conf.d/x.conf", "conf.d",
	};
	char file[200];

	(void)state;
	forget();
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, FILES[i]);
		remove(file);
	}
	return rmdir(dir);
}

static int load(const char *text)
{
	forget();
	write_file("main.ini", text);
	return conf_load(path, &conf, &errors);
}

/* Loads and finds the text among the errors. */
static void refused(const char *text, const char *expected)
{
	assert_int_equal(load(text), ERR_INVALID);
	assert_null(conf);
	for (size_t i = 0; i < errors.count; i++)
		if (strstr(errors.items[i].text, expected))
			return;
	for (size_t i = 0; i < errors.count; i++)
		print_message("had: %s\n", errors.items[i].text);
	fail_msg("no error '%s'", expected);
}

#define LE "[issuer le]\ndirectory = https://ca.example/dir\n"

static void an_empty_file_has_all_defaults(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_string_equal(conf->agent.run_dir, "/run/acme-agent");
	assert_string_equal(conf->agent.user, "");
	assert_int_equal(conf->agent.log_level, LOG_LEVEL_INFO);
	assert_int_equal(conf->agent.max_orders, 100);
	assert_true(conf->agent.declare);
	assert_string_equal(conf->storage.plugin, "file");
	assert_int_equal(conf->storage.options.count, 1);
	assert_string_equal(conf->storage.options.items[0].value,
			    "/var/lib/acme-agent/store");
	assert_int_equal(conf->nginx_count, 1);
	assert_string_equal(conf->nginx[0].name, "");
	assert_int_equal(conf->nginx[0].max_certificates, 1000);
	assert_true(conf_nginx_issuer(&conf->nginx[0], "any"));
	assert_null(conf_issuer(conf, "le"));
}

static void a_certificate_inherits_from_its_issuer(void **state)
{
	const struct conf_certificate *c;

	(void)state;
	assert_int_equal(
	    load(LE "contact = admin@example.com\nkey = rsa\n"
		    "challenge = dns\nrenew = 30d\nip = 6\ntimeout = 5s\n"
		    "[challenge dns]\nplugin = dns-rest\nurl = x\n"
		    "[certificate Example.com]\n"
		    "[certificate two]\nnames = B.example, *.a.example\n"
		    "key = ecdsa, rsa:4096\nchallenge = http-01\n"
		    "renew = 50%\nexport = /etc/ssl/two\n"),
	    0);
	c = conf_certificate(conf, "Example.com");
	assert_string_equal(c->names.items[0], "example.com");
	assert_ptr_equal(c->issuer, conf_issuer(conf, "le"));
	assert_string_equal(c->issuer->contact.items[0],
			    "mailto:admin@example.com");
	assert_int_equal(c->issuer->ip, CONF_IP_V6);
	assert_int_equal(c->issuer->timeout_ms, 5000);
	assert_string_equal(c->issuer->account_key, "ecdsa:256");
	assert_string_equal(c->key.items[0], "rsa:2048");
	assert_string_equal(c->challenge.items[0], "dns");
	assert_int_equal(c->renew.kind, CONF_RENEW_BEFORE);
	assert_string_equal(c->export_dir, "");
	c = conf_certificate(conf, "two");
	assert_int_equal(c->names.count, 2);
	assert_string_equal(c->names.items[0], "b.example");
	assert_string_equal(c->key.items[0], "ecdsa:256");
	assert_string_equal(c->key.items[1], "rsa:4096");
	assert_int_equal(c->renew.percent, 50);
	assert_string_equal(c->export_dir, "/etc/ssl/two");
	assert_int_equal(c->place.line, 13);
	assert_string_equal(conf_challenge(conf, "dns")->plugin, "dns-rest");
	assert_string_equal(conf_challenge(conf, "dns")->options.items[0].key,
			    "url");
	assert_int_equal(
	    conf_challenge(conf, "dns")->options.items[0].place.line, 11);
	assert_true(conf_challenge(conf, "http-01")->implicit);
}

static void the_order_of_files_means_nothing(void **state)
{
	(void)state;
	write_file("conf.d/a.ini", "[certificate a.example]\nissuer = le\n"
				   "challenge = dns\n");
	write_file("conf.d/b.ini", LE "[challenge dns]\nplugin = x\n");
	write_file("conf.d/.hid.ini", "junk");
	write_file("conf.d/x.conf", "junk");
	assert_int_equal(load("[agent]\nrun_dir = /tmp/r\n"), 0);
	assert_int_equal(conf->certificate_count, 1);
	assert_string_equal(conf->certificates[0].issuer->name, "le");
	assert_non_null(
	    strstr(conf->certificates[0].place.file, "/conf.d/a.ini"));
	assert_int_equal(conf->challenge_count, 2);
	assert_false(conf_challenge(conf, "dns")->implicit);
}

static void duplicates_name_both_places(void **state)
{
	(void)state;
	write_file("conf.d/a.ini", "\n" LE);
	write_file("conf.d/b.ini", LE);
	refused("", "/conf.d/b.ini:1: [issuer le] stands already in");
	assert_non_null(strstr(errors.items[0].text, "/conf.d/a.ini:2"));
	refused("[agent]\n[agent]\n", "[agent] stands already in");
	refused("[agent]\nuser = a\nuser = b\n",
		"main.ini:3: 'user' stands already in line 2");
	refused("[certificate x.y]\nnames = a.b, A.b\n",
		"names: 'a.b' stands twice");
}

static void all_errors_are_told_at_once(void **state)
{
	(void)state;
	assert_int_equal(load("[agnet]\nuser = x\n[agent]\nusr = x\n"
			      "max_orders = 0\nlog_level = loud\nrun_dir = r\n"
			      "declare = perhaps\n"),
			 ERR_INVALID);
	assert_int_equal(errors.errors, 6);
	assert_non_null(strstr(errors.items[0].text,
			       "main.ini:1: unknown section [agnet]; is "
			       "[agent] meant?"));
	assert_non_null(strstr(errors.items[1].text,
			       "main.ini:4: unknown key 'usr' in [agent]; is "
			       "'user' meant?"));
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	refused("[issuer]\n", "[issuer] needs a name: [issuer NAME]");
	refused("[agent x]\n", "[agent] has no name");
	refused("[issuer a/b]\n", "may not contain the byte 0x2f");
	refused("[issuer le]\n", "[issuer le] needs 'directory'");
	refused("[issuer le]\ndirectory =\n", "directory: no value");
	refused("[issuer le]\ndirectory = ca.example\n",
		"main.ini:2: directory: expected a URL");
	refused(LE "contact = nobody\n", "contact: expected an e-mail address");
	refused(LE "key = rsa:1024\n", "key: expected ecdsa:256");
	refused(LE "renew = sometimes\n", "renew: expected auto");
	refused(LE "challenge = ,\n", "ends in a comma");
	refused(LE "challenge = \" , \"\n", "challenge: the list is empty");
	refused(LE "ip = 5\n", "ip: expected one of: any 4 6; not '5'");
	refused(LE "timeout = 1ms\n", "timeout: at least 1s");
	refused(LE "ca_file = roots.pem\n", "ca_file: expected an absolute");
	refused(LE "[certificate my cert]\n", "may not contain the byte 0x20");
	refused(LE "[certificate my_/cert]\n", "may not contain");
	refused(LE "[certificate -a]\n", "needs 'names'");
	refused("[certificate a.b]\n", "this file has no issuer");
	refused(LE "[issuer l2]\ndirectory = https://b/\n[certificate a.b]\n",
		"this file has more than one issuer");
	refused(LE "[certificate a.b]\nissuer = lee\n",
		"main.ini:4: issuer: there is no [issuer lee]; is 'le' meant?");
	refused(LE "[nginx]\nissuers = la\n",
		"issuers: there is no [issuer la]");
	refused(LE "[nginx two]\nissuers = la\n", "main.ini:4: issuers: there");
	refused("[challenge x]\nurl = 1\n", "[challenge x] needs 'plugin'");
	refused(
	    "[agent]\nrun_dir = /tmp/ooooooooooooooooooooooooooooooooooooo"
	    "oooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo\n",
	    "would have 115 bytes; at most 107");
}

static void names_that_nginx_may_declare(void **state)
{
	(void)state;
	assert_int_equal(load(LE "[nginx]\nnames = *.Example.com, b.example\n"
				 "issuers = le\nmax_certificates = 5\n"
				 "[nginx two]\nuser = web\n"),
			 0);
	assert_int_equal(conf->nginx_count, 2);
	assert_true(conf_nginx_name(&conf->nginx[0], "www.example.com"));
	assert_false(conf_nginx_name(&conf->nginx[0], "example.com"));
	assert_true(conf_nginx_name(&conf->nginx[0], "b.example"));
	assert_true(conf_nginx_issuer(&conf->nginx[0], "le"));
	assert_false(conf_nginx_issuer(&conf->nginx[0], "other"));
	assert_string_equal(conf_nginx(conf, "two")->user, "web");
	assert_true(conf_nginx_name(conf_nginx(conf, "two"), "any.thing"));
}

static void a_readable_secret_is_a_warning(void **state)
{
	static const char TEXT[] =
	    "[challenge h]\nplugin = x\ntoken = abc\npassword = file:/p\n";

	(void)state;
	write_file("main.ini", TEXT);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(conf_load(path, &conf, &errors), 0);
	assert_int_equal(errors.count, 1);
	assert_true(errors.items[0].warning);
	assert_non_null(strstr(errors.items[0].text,
			       "main.ini:3: warning: token: a secret"));
	assert_int_equal(load(TEXT), 0);
	assert_int_equal(errors.count, 0);
}

static void a_file_that_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(conf_load("/nonexistent/x.ini", &conf, &errors),
			 ERR_INVALID);
	assert_int_equal(errors.errors, 1);
	assert_int_equal(conf_load(dir, &conf, &errors), ERR_INVALID);
	assert_non_null(strstr(errors.items[1].text, "not a regular file"));
}

static void boot_reads_what_it_can(void **state)
{
	struct conf_boot boot;

	(void)state;
	write_file("main.ini", "[foo\nbar\n[agent]\nrun_dir = /tmp/r\n"
			       "usr = x\nstate_dir = relative\nuser = me\n"
			       "\x01\x02\n");
	conf_boot(path, &boot);
	assert_string_equal(boot.run_dir, "/tmp/r");
	assert_string_equal(boot.state_dir, CONF_STATE_DIR);
	assert_string_equal(boot.user, "me");
	conf_boot("/nonexistent/x.ini", &boot);
	assert_string_equal(boot.run_dir, CONF_RUN_DIR);
}

static void a_reference_keeps_a_snapshot(void **state)
{
	(void)state;
	assert_int_equal(load(LE), 0);
	struct conf *mine = conf_ref(conf);
	forget();
	assert_string_equal(conf_issuer(mine, "le")->name, "le");
	conf_unref(mine);
}

static void ten_thousand_certificates(void **state)
{
	struct buf text = BUF_INIT(4 << 20);

	(void)state;
	buf_adds(&text, LE);
	for (int i = 0; i < 10000; i++)
		buf_addf(&text, "[certificate c%d.example]\n", 9999 - i);
	assert_int_equal(load(text.ptr), 0);
	assert_int_equal(conf->certificate_count, 10000);
	assert_non_null(conf_certificate(conf, "c777.example"));
	assert_null(conf_certificate(conf, "c10000.example"));
	buf_free(&text);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(an_empty_file_has_all_defaults),
		T(a_certificate_inherits_from_its_issuer),
		T(the_order_of_files_means_nothing),
		T(duplicates_name_both_places),
		T(all_errors_are_told_at_once),
		T(what_is_wrong_is_said),
		T(names_that_nginx_may_declare),
		T(a_readable_secret_is_a_warning),
		T(a_file_that_is_not_there),
		T(boot_reads_what_it_can),
		T(a_reference_keeps_a_snapshot),
		T(ten_thousand_certificates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
