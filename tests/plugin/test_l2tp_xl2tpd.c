/* Our LNS against xl2tpd as LAC: another author's L2TP dials in, over a veth, each side in a network namespace of its
 * own that ends with its process. The data path is the inline one; its channel is a plain UDP socket instead of ESP. In
 * place of pppd a script says an LCP Configure-Request and keeps what it hears. Needs root and xl2tpd, else skipped (77). */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/object/object.h"
#include "core/plugin.h"
#include "core/session/session.h"
#include "core/state.h"
#include "plugins/l2tp/l2tp.h"
#include "tests/lib/fake.h"
#include "tests/lib/mounts.h"

#define XL2TPD "/usr/sbin/xl2tpd"
#define PPPD "/usr/sbin/pppd"
#define SECRET "tunnel-secret"
#define PATIENCE 20000 /* ms for anything that xl2tpd shall do */

extern const struct vd_plugin l2tp_LTX_vd_plugin;

static const char dir[] = "/mnt"; /* a file system of our own there, which ends with us */
static pid_t lac;
static int sock;
static struct vd_chan chan;
static struct {
	unsigned starts, downs, ups;
	unsigned frames;
	uint8_t frame[64];
	size_t frame_len;
	uint64_t session;
	const struct vd_link_lower *lower;
	void *arg;
} got;

/* ---- the channel ---- */
static void chan_send(struct vd_worker *w, struct vd_chan *c, struct vd_vec *vec)
{
	(void)c;
	for (unsigned i = 0; i < vec->n; i++) {
		struct vd_rd r;
		struct sockaddr_storage ss;
		struct vd_sa to = { .ip = vd_ip4(0x0a630002) };
		vd_rd_init(&r, vec->v[i].p, vec->v[i].len);
		ck_assert_uint_eq(vd_rd_u16(&r), 1701);
		to.port = vd_rd_u16(&r);
		ck_assert_uint_eq(vd_rd_u16(&r), vec->v[i].len);
		vd_rd_u16(&r);
		size_t len;
		const uint8_t *p = vd_rd_rest(&r, &len);
		unsigned sa_len = vd_sa_to_sockaddr(&to, &ss);
		ck_assert_int_eq(sendto(sock, p, len, 0, (struct sockaddr *)&ss, sa_len), (ssize_t)len);
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}

struct datagram {
	uint8_t p[2048];
	size_t len;
};

static void inject(struct vd_worker *w, void *arg)
{
	struct datagram *d = arg;
	struct vd_vec vec = { .n = 1 };
	ck_assert(vd_pkt_new(w, d->len, &vec.v[0]));
	memcpy(vec.v[0].p, d->p, d->len);
	vec.v[0].len = (uint32_t)d->len;
	vd_chan_input(w, &chan, &vec);
}

static void on_socket(void *arg, unsigned events)
{
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	struct datagram d;
	struct vd_sa from;
	struct vd_wr w;
	(void)arg;
	(void)events;
	ssize_t n = recvfrom(sock, d.p + 8, 1700, MSG_DONTWAIT, (struct sockaddr *)&ss, &ss_len);
	if (n < 0 || !vd_sa_from_sockaddr((struct sockaddr *)&ss, &from))
		return;
	d.len = (size_t)n + 8;
	vd_wr_init(&w, d.p, 8);
	vd_wr_u16(&w, from.port);
	vd_wr_u16(&w, 1701);
	vd_wr_u16(&w, (uint16_t)d.len);
	vd_wr_u16(&w, 0);
	ck_assert_int_eq(dp->call(dp->self, chan.home, inject, NULL, &d), 0);
}

static uint64_t esp_idle(void *self, uint64_t id)
{
	(void)self;
	(void)id;
	return UINT64_MAX;
}

/* ---- the link ---- */
static void frames_in(struct vd_worker *w, void *state, struct vd_vec *vec)
{
	(void)state;
	for (unsigned i = 0; i < vec->n; i++) {
		got.frames++;
		got.frame_len = vec->v[i].len < sizeof(got.frame) ? vec->v[i].len : sizeof(got.frame);
		memcpy(got.frame, vec->v[i].p, got.frame_len);
		vd_pkt_free(w, &vec->v[i]);
	}
	vec->n = 0;
}

static int link_start(void *self, uint64_t session, const struct vd_link_lower *lower, void *arg,
	const struct vd_link_params *params)
{
	(void)self;
	(void)params;
	got.starts++;
	got.session = session;
	got.lower = lower;
	got.arg = arg;
	return 0;
}

static void link_down(void *self, uint64_t session, const char *reason)
{
	(void)self;
	(void)session;
	(void)reason;
	got.downs++;
}

static void on_up(void *arg, const void *event)
{
	const struct vd_l2tp_tunnel_up *e = event;
	(void)arg;
	got.ups++;
	ck_assert_str_eq(e->vendor_name, "xelerance.com");
}

static const struct vd_chan_ops ops = { .send = chan_send };
static const struct vd_esp_1 esp;
static void gone(void *arg, uint64_t id, const char *reason)
{
	(void)arg;
	vd_chan_gone(id, reason);
}
static const struct vd_chan_maker maker = { "esp", gone, esp_idle };
static const struct vd_stage frames = { "frames", frames_in };
static const struct vd_link_1 link_1 = { .start = link_start, .stage = &frames, .lower_down = link_down };

/* ---- files ---- */
static char *path(const char *name)
{
	static char at[4][128];
	static unsigned i;
	i = (i + 1) % 4;
	vd_format(at[i], sizeof(at[i]), "%s/%s", dir, name);
	return at[i];
}

static void put_file(const char *name, mode_t mode, const char *fmt, ...) VD_PRINTF(3, 4);
static void put_file(const char *name, mode_t mode, const char *fmt, ...)
{
	va_list ap;
	FILE *f = fopen(path(name), "we");
	ck_assert_ptr_nonnull(f);
	va_start(ap, fmt);
	ck_assert_int_ge(vfprintf(f, fmt, ap), 0);
	va_end(ap);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path(name), mode), 0);
}

static bool file_has(const char *name, const char *what, size_t len)
{
	static char text[65536];
	FILE *f = fopen(path(name), "re");
	size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
	if (f)
		fclose(f);
	return n >= len && memmem(text, n, what, len);
}

static void show_log(void)
{
	char line[256];
	FILE *f = fopen(path("log"), "re");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	if (f)
		fclose(f);
}

/* ---- namespaces ---- */
static bool run(const char *command)
{
	int rc = system(command);
	return WIFEXITED(rc) && WEXITSTATUS(rc) == 0;
}

/* Dies with its parent, and everything below it with the process namespace. */
static void lac_main(int ready, int go)
{
	char c = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(path("script"), PPPD, NULL, MS_BIND, NULL) < 0 || write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(70);
	if (!run("ip addr add 10.99.0.2/24 dev lac0 && ip link set lac0 up && ip link set lo up"))
		_exit(71);
	if (unshare(CLONE_NEWPID) < 0) /* not before: the first process of a namespace ends it */
		_exit(74);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int log = open(path("log"), O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);
		if (log < 0 || null < 0)
			_exit(72);
		dup2(null, 0);
		dup2(log, 1);
		dup2(log, 2);
		execl(XL2TPD, "xl2tpd", "-D", "-c", path("conf"), "-s", path("secrets"), "-p", path("pid"), "-C", path("control"),
			(char *)NULL);
		_exit(73);
	}
	waitpid(pid, NULL, 0);
	_exit(0);
}

static void namespaces(void)
{
	int ready[2], go[2];
	char c = 0, command[256];
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	lac = fork();
	ck_assert_int_ge(lac, 0);
	if (lac == 0)
		lac_main(ready[1], go[0]);
	close(ready[1]);
	ck_assert_msg(read(ready[0], &c, 1) == 1, "the LAC's namespaces cannot be made");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	vd_format(command, sizeof(command), "ip link add lns0 type veth peer name lac0 netns %d && "
		"ip addr add 10.99.0.1/24 dev lns0 && ip link set lns0 up && ip link set lo up", (int)lac);
	ck_assert(run(command));
	ck_assert_int_eq(write(go[1], &c, 1), 1);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
}

/* ---- one dial-in ---- */
static bool wait_for(bool (*what)(void))
{
	for (uint64_t end = vd_now() + PATIENCE; vd_now() < end;) {
		vd_loop_ev_once(20);
		vd_fifo_drain();
		if (what())
			return true;
	}
	show_log();
	return false;
}

static bool link_started(void) { return got.starts > 0; }
static bool established(void) { return file_has("log", "Call established with", 21); }
static bool ppp_started(void) { return file_has("arguments", "", 1) || access(path("arguments"), F_OK) == 0; }
static bool frame_came(void) { return got.frames > 0; }
static bool frame_went(void) { return file_has("heard", "\x7e\xff\x7d\x23\xc0\x21", 6); }
static bool peer_closed(void) { return file_has("log", "gateway is shutting down", 24); }

static void quiet(void *arg, enum vd_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (getenv("VD_TEST_LOG"))
		fprintf(stderr, "%s\n", line);
}

static void dial(const char *yaml, const char *lac_options)
{
	static const struct vd_plugin *const plugins[] = { &l2tp_LTX_vd_plugin, NULL };
	static const uint8_t lcp[] = { 0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4 };
	struct vd_sa local = { .ip = vd_ip4(0x0a630001), .port = 4500 }, remote = { .ip = vd_ip4(0x0a630002), .port = 4500 };
	struct sockaddr_storage ss;
	struct vd_error err = { 0 };
	struct vd_sa any = { .ip = vd_ip4(0), .port = 1701 };

	put_file("conf", 0600, "[global]\nport = 1701\naccess control = no\nforce userspace = yes\nauth file = %s\n"
		"[lac viaduct]\nlns = 10.99.0.1\nautodial = yes\nredial = no\nrequire authentication = no\npppoptfile = %s\n%s",
		path("secrets"), path("options"), lac_options);
	put_file("secrets", 0600, "* * " SECRET "\n");
	put_file("options", 0600, "noauth\n");
	put_file("script", 0700, "#!/bin/sh\necho \"$@\" >%s\nstty raw -echo\n"
		"printf '\\176\\377\\175\\043\\300\\041\\175\\041\\175\\041\\175\\040\\175\\044\\321\\265\\176'\nexec cat >%s\n",
		path("arguments"), path("heard"));
	namespaces();

	ck_assert_int_eq(vd_loop_ev_init(), 0);
	vd_log_set_level(VD_LOG_DEBUG);
	vd_log_sink(quiet, NULL);
	ck_assert_int_eq(vd_bus_init(), 0);
	fake_conf(yaml, plugins, NULL);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_datapath_init(), 0);
	ck_assert_int_eq(vd_datapath_start_inline(1), 0);
	fake_service("esp/1", NULL, &esp);
	fake_service("link/1", NULL, &link_1);
	ck_assert_int_eq(vd_event_subscribe(NULL, "l2tp_tunnel_up", on_up, NULL), 0);
	struct vd_host *host = vd_plugin_preload(&l2tp_LTX_vd_plugin, &err);
	ck_assert_ptr_nonnull(host);
	ck_assert_msg(vd_host_init(host, &err) == 0 && vd_host_start(host, &err) == 0, "%s", err.text);

	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned len = vd_sa_to_sockaddr(&any, &ss);
	ck_assert_int_eq(bind(sock, (struct sockaddr *)&ss, len), 0);
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);
	struct vd_peer *peer = vd_peer_new(1, &local, &remote);
	struct vd_chan_info *info = vd_chan_record(peer->id, "l2tp", 1400, &maker, NULL);
	chan = (struct vd_chan){ .id = info->id, .peer = peer->id, .home = info->home, .flags = VD_CHAN_PROTECTED, .mtu = 1400,
		.ops = &ops };
	ck_assert_int_eq(dp->chan_add(dp->self, &chan, NULL, NULL), 0);
	vd_chan_set_up(chan.id);
	struct vd_io *io = vd_io_new(sock, VD_IO_READ, on_socket, NULL);
	ck_assert_ptr_nonnull(io);

	ck_assert_msg(wait_for(established), "xl2tpd: no established call");
	ck_assert_msg(wait_for(link_started), "the link was not started");
	ck_assert_uint_eq(got.ups, 1);
	ck_assert_msg(wait_for(ppp_started), "xl2tpd: pppd was not started");
	ck_assert_msg(wait_for(frame_came), "no frame came");
	ck_assert_uint_eq(got.frame_len, sizeof(lcp));
	ck_assert_mem_eq(got.frame, lcp, sizeof(lcp));
	ck_assert_int_eq(got.lower->send(got.arg, got.session, lcp, sizeof(lcp)), 0);
	ck_assert_msg(wait_for(frame_went), "the frame did not arrive at pppd");
	ck_assert_uint_eq(got.downs, 0);
	ck_assert_uint_eq(got.starts, 1);

	vd_host_stop(host);
	ck_assert_msg(wait_for(peer_closed), "xl2tpd: did not hear our StopCCN");
	ck_assert_uint_eq(got.downs, 1);
	kill(lac, SIGKILL);
	waitpid(lac, NULL, 0);
	vd_io_free(io);
	close(sock);
	vd_host_fini(host);
	vd_fifo_drain();
	ck_assert_uint_eq(vd_datapath_buffers(), 0);
	vd_datapath_fini();
	vd_sessions_fini();
	vd_objects_fini();
	vd_state_fini();
	fake_conf_fini();
	vd_bus_fini();
	vd_services_fini();
	vd_plugins_forget();
	vd_counters_reset();
	vd_loop_ev_fini();
}

/* Plainly, and with tunnel authentication both ways. */
START_TEST(dials_in)
{
	static const struct { const char *yaml, *lac; } how[] = {
		{ "{}", "" },
		{ "{l2tp: {secret: !env VD_TEST_L2TP_SECRET}}", "challenge = yes\n" },
	};
	setenv("VD_TEST_L2TP_SECRET", SECRET, 1);
	dial(how[_i].yaml, how[_i].lac);
}
END_TEST

static const char *const files[] = {
	"conf", "secrets", "options", "script", "arguments", "heard", "log", "pid", "control",
};

static void sweep(void)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(files); i++)
		unlink(path(files[i]));
}

int main(void)
{
	if (geteuid() != 0 || access(XL2TPD, X_OK) < 0 || access(PPPD, F_OK) < 0) {
		puts("SKIP: needs root, " XL2TPD " and " PPPD);
		return 77;
	}
	if (!run("command -v ip >/dev/null && unshare --net --mount --pid --fork true 2>/dev/null")) {
		puts("SKIP: no namespaces can be made here, or ip is missing");
		return 77;
	}
	if (!mounts_of_our_own("l2tp_xl2tpd"))
		return 77;
	if (mount("viaduct-l2tp", dir, "tmpfs", 0, "size=16m") < 0) {
		perror("a file system for the test");
		return 99;
	}
	Suite *s = suite_create("l2tp_xl2tpd");
	TCase *t = tcase_create("dial");
	tcase_set_timeout(t, 90);
	tcase_add_checked_fixture(t, sweep, NULL);
	tcase_add_loop_test(t, dials_in, 0, 2);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
