/* The control socket: octets of two connections, whole lines or not, and what is answered is read or left lying. A session is
 * up and a set-up has failed, so that the commands have something to say. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <viaduct/loop.h>
#include <viaduct/report.h>

#include "core/control/control.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/session_fixture.h"

#define OP_SECOND 1u /* the other connection */
#define OP_PART 2u   /* no end of line behind it */
#define OP_DEAF 4u   /* answers are not read */
#define OP_CLOSE 8u  /* then the connection ends */

static char folder[64], path[96];
static struct {
	int fd, ours; /* the client's end; the gateway's, as it is watched */
} conns[2];
static int listening;

static void remove_folder(void)
{
	rmdir(folder);
}

static void dial(unsigned i)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	conns[i].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	vd_strcpy(sa.sun_path, sizeof(sa.sun_path), path);
	ck_assert_int_eq(connect(conns[i].fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert(fake_io(listening, VD_IO_READ));
	conns[i].ours = fake_io_last();
}

static void hang_up(unsigned i)
{
	if (conns[i].fd < 0)
		return;
	close(conns[i].fd);
	conns[i].fd = -1;
	fake_io(conns[i].ours, VD_IO_READ);
	fake_io(conns[i].ours, VD_IO_WRITE);
}

static void say(unsigned i, const void *p, size_t len, bool deaf)
{
	static char heard[65536];

	if (conns[i].fd < 0)
		dial(i);
	if (send(conns[i].fd, p, len, MSG_NOSIGNAL) < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		hang_up(i);
		return;
	}
	for (unsigned n = 0; n < 4 && fake_io(conns[i].ours, VD_IO_READ); n++)
		if (deaf)
			break;
	while (!deaf && fake_io(conns[i].ours, VD_IO_WRITE))
		while (recv(conns[i].fd, heard, sizeof(heard), 0) > 0)
			continue;
	while (!deaf && recv(conns[i].fd, heard, sizeof(heard), 0) > 0)
		continue;
}

static void begin(void)
{
	struct vd_error err = { 0 };

	if (!folder[0]) {
		vd_strcpy(folder, sizeof(folder), "/tmp/vd-fuzz-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(folder));
		vd_format(path, sizeof(path), "%s/control.sock", folder);
		atexit(remove_folder);
	}
	fuzz_begin();
	fx_start();
	vd_control_config_dir(folder);
	ck_assert_msg(vd_control_start(path, &err) == 0, "%s", err.text);
	listening = fake_io_last();
	conns[0].fd = conns[1].fd = -1;
	fx_up("staff", "alice");
}

static void end(void)
{
	hang_up(0);
	hang_up(1);
	vd_control_stop();
	fx_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_record r = { 0 };
	struct vd_rd rd;

	begin();
	vd_rd_init(&rd, data, size);
	for (unsigned i = 0; i < FUZZ_RECORDS && fuzz_next(&rd, &r); i++) {
		unsigned c = r.op & OP_SECOND;

		if (r.op == FUZZ_TIME) {
			fake_advance(fuzz_ms(&r));
			continue;
		}
		say(c, r.p, r.len, r.op & OP_DEAF);
		if (!(r.op & OP_PART))
			say(c, "\n", 1, r.op & OP_DEAF);
		if (r.op & OP_CLOSE)
			hang_up(c);
	}
	fuzz_end(&r);
	end();
	return 0;
}

void fuzz_seeds(void)
{
	static const char *const args[] = { "{}", "{\"session\":\"alice\"}", "{\"about\":\"192.0.2.1\"}",
		"{\"plugin\":\"l2tp\",\"connection\":\"staff\"}", "{\"defaults\":true,\"origins\":true}",
		"{\"realm\":\"office\",\"user\":\"alice\",\"password\":\"x\"}", "{\"topics\":[\"session_down\",\"auth_ok\"]}" };
	char line[512];

	for (const struct vd_command *c = vd_commands; c->name; c++) {
		if (!strcmp(c->name, "plugin.check"))
			continue;
		for (size_t i = 0; i < VD_ARRAY_SIZE(args); i++) {
			size_t n = vd_format(line, sizeof(line), "{\"id\":%zu,\"command\":\"%s\",\"args\":%s}", i, c->name, args[i]);

			fuzz_put(0, line, n);
		}
		fuzz_put_done(c->name);
	}
	fuzz_put(OP_SECOND, "{\"id\":[1],\"command\":\"bus.tail\"}", 31);
	fuzz_put(0, "{\"id\":\"x\",\"command\":\"session.kill\",\"args\":{\"session\":\"s-1\",\"reason\":\"why\"}}", 75);
	fuzz_put(OP_PART | OP_DEAF, "{\"command\":", 11);
	fuzz_put(FUZZ_TIME, "\x01\x00", 2);
	fuzz_put(0, "\"status\",\"args\":[]}", 19);
	fuzz_put(OP_CLOSE, "[]", 2);
	fuzz_put(OP_SECOND | OP_CLOSE, "{\"id\":null,\"command\":\"nothing\"}", 31);
	fuzz_put_done("two");
}
