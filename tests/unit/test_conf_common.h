/* What the tests of the configuration share: schemas of plugins that do not exist yet, and a folder for files. */
#ifndef TEST_CONF_COMMON_H
#define TEST_CONF_COMMON_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/loop.h>

#include "core/conf/conf.h"
#include "tests/lib/fake.h"

static const struct vd_opt other_schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "users.*.file", VD_T_PATH, VD_OPT_REQUIRED, NULL, NULL, "File." },
	{ "radius.*", VD_T_MAP, 0, NULL, NULL, "A server." },
	{ "radius.*.address", VD_T_ADDR, VD_OPT_REQUIRED, NULL, NULL, "Where it is." },
	{ "radius.*.secret", VD_T_SECRET, VD_OPT_REQUIRED, NULL, NULL, "Its secret." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "A pool." },
	{ "pools.*.range", VD_T_RANGE, VD_OPT_REQUIRED | VD_OPT_LIST, NULL, NULL, "Its addresses." },
	{ "pools.*.prefix", VD_T_PREFIX, VD_OPT_LIST, NULL, NULL, "Its networks." },
	{ "pools.*.dns", VD_T_ADDR, VD_OPT_LIST, NULL, NULL, "Name servers." },
	{ "pools.*.search", VD_T_STRING, VD_OPT_LIST, NULL, "20", "Domains." },
	{ "pools.*.rate", VD_T_RATE, 0, NULL, NULL, "Rate." },
	{ "realms.*.eap", VD_T_WORD, 0, NULL, "relay|local", "Who speaks EAP." },
	{ "connections.*.crypto", VD_T_WORD, 0, "compatible", "modern|compatible|legacy", "Suites." },
	{ "connections.*.egress", VD_T_WORD, 0, NULL, "masquerade|routed", "How clients get out." },
	{ "connections.*.reach", VD_T_PREFIX, VD_OPT_LIST, NULL, "internet|local|dns|clients|host|inbound|all|none", "Where to." },
	{ "connections.*.l2tp.auth", VD_T_WORD, 0, "psk", "psk|cert", "How." },
	{ "connections.*.l2tp.psk", VD_T_KEY, VD_OPT_REQUIRED, NULL, NULL, "Key." },
	{ "connections.*.l2tp.hello", VD_T_DURATION, VD_OPT_KNOB, NULL, "1s..1d", "Keepalive." },
	{ "connections.*.ppp.auth", VD_T_WORD, VD_OPT_LIST, NULL, "mschapv2|chap|pap|eap", "How." },
	{ "connections.*.ikev2.auth", VD_T_WORD, 0, NULL, "eap|psk|cert", "How." },
	{ "connections.*.ikev2.psk", VD_T_KEY, 0, NULL, NULL, "Key." },
	{ "connections.*.ikev2.id", VD_T_STRING, 0, NULL, NULL, "Ours." },
	{ "connections.*.ikev2.peer_id", VD_T_STRING, 0, NULL, NULL, "Theirs." },
	{ "connections.*.networks.*.local", VD_T_PREFIX, VD_OPT_LIST, NULL, NULL, "Here." },
	{ "connections.*.networks.*.remote", VD_T_PREFIX, VD_OPT_LIST, NULL, NULL, "There." },
	{ "log.file.path", VD_T_PATH, VD_OPT_REQUIRED, NULL, NULL, "Where." },
	{ "log.file.format", VD_T_WORD, 0, NULL, "text|json", "How." },
	{ "log.syslog.server", VD_T_ADDR, 0, NULL, NULL, "Where to." },
	{ "log.journal", VD_T_MAP, 0, NULL, NULL, "Journal." },
	{ "l2tp.hello", VD_T_DURATION, VD_OPT_KNOB, "60s", "1s..1d", "Keepalive." },
	{ "ppp.auth", VD_T_WORD, VD_OPT_LIST, NULL, "mschapv2|chap|pap|eap", "How." },
	{ "l2tp.mru", VD_T_UINT, 0, "1400", "576..1500", "Size." },
	{ "l2tp.hide", VD_T_BOOL, 0, "false", NULL, "Hidden AVPs." },
	{ NULL },
};

static const struct vd_opt *const other_schemas[] = { other_schema };

static char folder[64];

static void make_folder(void)
{
	strcpy(folder, "/tmp/vd-conf-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void put(const char *name, const char *text, mode_t mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

__attribute__((unused)) static void put_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* All findings as text, with the folder's name taken out; free() it. */
static char *findings(const struct vd_conf_errors *errs)
{
	size_t size, n = strlen(folder);
	char *text = NULL, *p;
	FILE *f = open_memstream(&text, &size);

	vd_conf_errors_print(errs, f);
	fclose(f);
	while (n && (p = strstr(text, folder)))
		memmove(p, p + n, strlen(p + n) + 1);
	return text;
}

#endif
