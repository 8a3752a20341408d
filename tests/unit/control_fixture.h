/* A control socket on a real socket and the system's loop, who asks it line by line, and viaductctl against it. */
#ifndef TESTS_UNIT_CONTROL_FIXTURE_H
#define TESTS_UNIT_CONTROL_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/control/control.h"
#include "core/loop.h"
#include "tests/unit/session_fixture.h"

static char dir[64], path[96];

static inline void start(void)
{
	struct vd_error err;

	fx_start();
	ck_assert_int_eq(vd_loop_ev_init(), 0);
	vd_strcpy(dir, sizeof(dir), "/tmp/vdctl-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	vd_format(path, sizeof(path), "%s/control.sock", dir);
	vd_control_config_dir(dir);
	ck_assert_msg(vd_control_start(path, &err) == 0, "%s", err.text);
}

static inline void stop(void)
{
	vd_control_stop();
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(rmdir(dir), 0);
	fx_stop();
	vd_loop_ev_fini();
}

static inline int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	vd_strcpy(sa.sun_path, sizeof(sa.sun_path), path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline void turn(void)
{
	for (int i = 0; i < 3; i++)
		vd_loop_ev_once(1);
}

static inline void say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The next line within a bounded number of turns, as JSON; NULL when the connection ended. */
static inline json_t *hear(int fd)
{
	static char line[1 << 20];
	size_t n = 0;

	for (int turns = 0; turns < 2000;) {
		ssize_t got = read(fd, line + n, 1);

		if (got == 0)
			return NULL;
		if (got < 0) {
			turn();
			turns++;
			continue;
		}
		if (line[n++] == '\n')
			return json_loadb(line, n, 0, NULL);
		ck_assert_uint_lt(n, sizeof(line));
	}
	ck_abort_msg("no answer");
	return NULL;
}

static inline json_t *asked(int fd, const char *command, const char *args)
{
	char line[512];

	vd_format(line, sizeof(line), "{\"id\":7,\"command\":\"%s\",\"args\":%s}\n", command, args);
	say(fd, line);
	return hear(fd);
}

static inline void expect_error(json_t *reply, const char *text)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	ck_assert(json_is_false(json_object_get(reply, "ok")));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, text) != NULL, "%s", error);
	json_decref(reply);
}

/* ---- viaductctl, against this very daemon ---- */
static char printed[65536];

/* Runs it while the loop turns; returns its exit status, or -1 when there was none. The status comes as the last line,
 * because libev reaps the children of a process that uses its default loop. */
static inline int ctl(const char *arguments)
{
	char command[512];
	FILE *p;
	size_t n = 0;
	char *last;
	int fd, status = -1;

	vd_format(command, sizeof(command), "%s/tools/viaductctl --socket %s %s 2>&1; echo \"exit $?\"", VD_TEST_BUILDDIR, path, arguments);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	fd = fileno(p);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		ssize_t got = read(fd, printed + n, sizeof(printed) - 1 - n);

		if (got == 0)
			break;
		if (got > 0)
			n += (size_t)got;
		else
			turn();
	}
	printed[n] = 0;
	pclose(p);
	last = strstr(printed, "exit ");
	if (last) {
		status = atoi(last + 5);
		*last = 0;
	}
	return status;
}

#endif
