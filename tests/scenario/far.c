#include "tests/scenario/far.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/connect/connect.h"
#include "core/object/object.h"
#include "core/session/session.h"
#include "tests/scenario/gateway.h"
#include "tests/scenario/wire.h"

enum what { FAR_UP = 1, FAR_DOWN, FAR_TIME, FAR_DATAGRAM, FAR_TUN, FAR_STOP, FAR_STATUS };
struct message {
	enum what what;
	uint64_t ms;
	struct vd_path path;
	size_t len;
	struct far_status status;
	uint8_t p[4096];
};
#define HEAD offsetof(struct message, p)

struct far_status far_status;
static int fd = -1;
static pid_t pid;
static bool behind_nat, silent;

static void put(const struct message *m)
{
	ck_assert_int_eq(send(fd, m, HEAD + m->len, MSG_NOSIGNAL), (ssize_t)(HEAD + m->len));
}

/* ---- the process of its own ---- */
static unsigned n_tun;
static struct message last_tun;

static void sent(void *arg, const struct vd_datapath_sent *s)
{
	struct message m = { .what = FAR_DATAGRAM, .path = s->path, .len = s->len };

	(void)arg;
	ck_assert_uint_le(s->len, sizeof(m.p));
	memcpy(m.p, s->p, s->len);
	if (s->way == VD_SENT_TUN) {
		n_tun++;
		last_tun = m;
	} else {
		put(&m);
	}
}

static void say_status(void)
{
	static struct message m;
	struct far_status *f = &m.status;
	struct vd_dial_status s;

	m = (struct message){ .what = FAR_STATUS };
	if (vd_connect_status("office", &s)) {
		f->up = s.state == VD_DIAL_UP;
		f->down = s.state == VD_DIAL_DOWN;
		f->dialling = s.state == VD_DIAL_DIALLING;
		vd_strcpy(f->reason, sizeof(f->reason), s.reason);
		memcpy(f->address, s.address.a, 4);
	}
	f->peers = (unsigned)vd_peer_count();
	f->chans = (unsigned)vd_chan_count();
	f->sessions = (unsigned)vd_session_count();
	f->n_tun = n_tun;
	f->tun_len = last_tun.len < sizeof(f->tun) ? last_tun.len : sizeof(f->tun);
	memcpy(f->tun, last_tun.p, f->tun_len);
	put(&m);
}

static void settle(void)
{
	for (unsigned i = 0; i < 4; i++) {
		fake_drain();
		vd_datapath_turn();
	}
	fake_drain();
}

static void serve(const char *yaml)
{
	static struct message m;
	struct vd_error err = { 0 };
	bool stop = false;

	gateway_start_at(yaml, FAR_ADDRESS);
	vd_datapath_capture(sent, NULL);
	ck_assert_int_eq(vd_connect_start(), 0);
	settle();
	say_status();
	while (!stop && recv(fd, &m, sizeof(m), 0) > 0) {
		switch (m.what) {
		case FAR_UP:
			ck_assert_msg(vd_connect_up("office", NULL, NULL, &err) == 0, "%s", err.text);
			break;
		case FAR_DOWN:
			ck_assert_msg(vd_connect_down("office", "the test says so", NULL, NULL, &err) == 0, "%s", err.text);
			break;
		case FAR_TIME:
			fake_advance(m.ms);
			break;
		case FAR_DATAGRAM:
			vd_datapath_inject(m.path.remote.port == 0 || m.path.natt ? 0 : -1, &m.path, m.p, m.len, 0);
			break;
		case FAR_TUN:
			vd_datapath_inject_tun(0, NULL, m.p, m.len);
			break;
		default:
			stop = true;
			vd_connect_stop();
			settle();
			fake_advance(3000);
			settle();
			gateway_stop_with(vd_connect_fini);
			break;
		}
		if (!stop)
			settle(), say_status();
	}
	m = (struct message){ .what = FAR_STATUS, .status.down = true };
	put(&m);
}

/* ---- our side of it ---- */
/* Between its addresses and those that the gateway sees. */
static struct vd_path outside(const struct vd_path *at)
{
	struct vd_path p = { .endpoint = 1, .local = at->remote, .remote = at->local, .natt = at->natt };

	if (behind_nat) {
		p.remote.ip = vd_ip4(0xc6336407);
		p.remote.port = at->local.port == 500 ? 1024 : 20000;
	}
	return p;
}

static struct vd_path inside(const struct vd_path *at)
{
	struct vd_path p = { .endpoint = 1, .local = at->remote, .remote = at->local, .natt = at->natt };

	if (behind_nat) {
		vd_ip_parse(FAR_ADDRESS, &p.local.ip);
		p.local.port = at->remote.port == 1024 ? 500 : 4500;
	}
	return p;
}

/* What it answers: datagrams, then how it stands. */
static void hear(void)
{
	static struct message m;

	for (;;) {
		ssize_t n = recv(fd, &m, sizeof(m), 0);

		ck_assert_msg(n > 0, "the far side died: see its output above");
		if (m.what == FAR_STATUS) {
			far_status = m.status;
			return;
		}
		struct vd_path path = outside(&m.path);
		if (!silent)
			wire_up(&path, m.p, m.len);
	}
}

static void order(enum what what, uint64_t ms, const struct vd_path *path, const void *p, size_t len)
{
	static struct message m;

	m = (struct message){ .what = what, .ms = ms, .len = len };
	ck_assert_uint_le(len, sizeof(m.p));
	if (path)
		m.path = *path;
	memcpy(m.p, p ? p : "", len);
	put(&m);
	hear();
}

void far_start(const char *yaml, bool nat)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	behind_nat = nat;
	silent = false;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(pair[0]);
		fd = pair[1];
		serve(yaml);
		_exit(0);
	}
	close(pair[1]);
	fd = pair[0];
	hear();
}

void far_stop(void)
{
	int status = -1;

	order(FAR_STOP, 0, NULL, NULL, 0);
	close(fd);
	fd = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the far side ended with status %x", (unsigned)status);
}

void far_up(void)
{
	order(FAR_UP, 0, NULL, NULL, 0);
}

void far_down(void)
{
	order(FAR_DOWN, 0, NULL, NULL, 0);
}

void far_packet(const void *p, size_t len)
{
	order(FAR_TUN, 0, NULL, p, len);
}

void far_silent(bool on)
{
	silent = on;
}

bool far_is_at(const struct vd_sa *sa)
{
	struct vd_ip ip;

	vd_ip_parse(behind_nat ? "198.51.100.7" : FAR_ADDRESS, &ip);
	return fd >= 0 && vd_ip_equal(&ip, &sa->ip);
}

void far_receive(const struct vd_path *path, const void *p, size_t len)
{
	struct vd_path in = inside(path);

	if (!silent)
		order(FAR_DATAGRAM, 0, &in, p, len);
}

void far_time(uint64_t ms)
{
	if (fd >= 0)
		order(FAR_TIME, ms, NULL, NULL, 0);
}
