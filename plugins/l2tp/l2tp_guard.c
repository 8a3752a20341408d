/* l2tp_guard: L2TP that comes without IPsec. Nobody else listens on UDP port 1701, so the kernel would answer with ICMP
 * port unreachable; here it is read and forgotten, counted, and explained to the administrator. Nothing is ever sent. */
#include "plugins/l2tp/l2tp_guard.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/plugin.h>
#include <viaduct/priv.h>
#include <viaduct/report.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 1701
#define LISTEN_MAX 16
#define BATCH 16     /* datagrams that are read per wake-up, */
#define REST_MS 200  /* then nobody looks for so long, and the kernel drops what its small buffer does not hold */
#define BUFFER 16384

const struct vd_failure l2tp_guard_fail_no_ipsec = { .word = "no-ipsec", .stage = "l2tp",
	.say = "L2TP without IPsec was ignored: the {peer} did not use IPsec, or its policy was lost",
	.difference = "IPsec",
	.remedy = "on Windows the connection's type must be L2TP/IPsec, the service IKEEXT must run, and the registry must not have ProhibitIpSec=1 "
		"under RasMan\\Parameters; on Linux IPsec must be switched on in the connection's IPsec settings",
	.dial = "see its IPsec log; it is dialled anew when it answers no more" };
static const struct vd_failure *const failures[] = { &l2tp_guard_fail_no_ipsec, NULL };
static const struct vd_shown shown[] = { { "no-ipsec", "windows", "Windows shows error 809" }, { NULL, NULL, NULL } };

struct guard;
struct guard_socket {
	struct guard *guard;
	struct vd_io *io;
	struct vd_timer rest;
	int fd;
};

struct guard {
	struct l2tp_guard_1 service;
	bool (*dials)(void *arg, const struct vd_ip *ip);
	void *dials_arg;
	const struct vd_priv_1 *priv;
	struct guard_socket sockets[LISTEN_MAX];
	size_t n;
	struct guard_sources sources;
	bool stopped;
};

bool l2tp_guard_tell(struct guard_sources *sources, const struct vd_ip *source)
{
	uint64_t now = vd_now();
	struct guard_source *place = NULL;

	for (size_t i = 0; i < GUARD_SOURCES; i++) {
		struct guard_source *s = &sources->v[i];
		bool old = !s->ip.family || now - s->told >= GUARD_TELL_MS;

		if (s->ip.family && vd_ip_equal(&s->ip, source)) {
			if (old)
				s->told = now;
			return old;
		}
		if (old && !place)
			place = s;
	}
	if (!place)
		return false;
	place->ip = *source;
	place->told = now;
	return true;
}

static void tell(struct guard *g, const struct vd_sa *source)
{
	vd_count("l2tp.unprotected", 1);
	if (l2tp_guard_tell(&g->sources, &source->ip))
		vd_report_failure(&(struct vd_report){ .kind = &l2tp_guard_fail_no_ipsec, .remote = source,
			.dialled = g->dials && g->dials(g->dials_arg, &source->ip) });
}

static void on_readable(void *arg, unsigned events)
{
	struct guard_socket *s = arg;

	(void)events;
	for (unsigned i = 0; i < BATCH; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		struct vd_sa source;
		uint8_t octet; /* the rest is cut off: what it says does not matter */

		if (recvfrom(s->fd, &octet, sizeof(octet), MSG_DONTWAIT, (struct sockaddr *)&from, &len) < 0)
			return;
		if (vd_sa_from_sockaddr((struct sockaddr *)&from, &source))
			tell(s->guard, &source);
	}
	vd_io_events(s->io, 0);
	vd_timer_start(&s->rest, REST_MS);
}

static void on_rest(struct vd_timer *t)
{
	vd_io_events(VD_CONTAINER_OF(t, struct guard_socket, rest)->io, VD_IO_READ);
}

static void on_socket(void *arg, int fd, const struct vd_error *err)
{
	struct guard *g = arg;
	struct guard_socket *s;
	int size = BUFFER;

	if (err) { /* another L2TP server may be meant to be there */
		vd_log(VD_LOG_WARNING, "l2tp", NULL, "L2TP without IPsec is not watched for: %s", err->text);
		return;
	}
	s = g->stopped || g->n == LISTEN_MAX ? NULL : &g->sockets[g->n];
	if (s) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		s->guard = g;
		s->fd = fd;
		vd_timer_init(&s->rest, on_rest);
		s->io = vd_io_new(fd, VD_IO_READ, on_readable, s);
	}
	if (!s || !s->io) {
		close(fd);
		return;
	}
	g->n++;
}

static void on_dials(void *self, bool (*dials)(void *arg, const struct vd_ip *ip), void *arg)
{
	struct guard *g = self;

	g->dials = dials;
	g->dials_arg = arg;
}

static int guard_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct guard *g = calloc(1, sizeof(*g));
	int ret = g ? 0 : -ENOMEM;

	if (g) {
		g->service = (struct l2tp_guard_1){ g, on_dials };
		g->priv = vd_service_find("priv/1", NULL);
		ret = g->priv ? vd_service_provide(host, "l2tp_guard/1", NULL, &g->service) : -ENOENT;
	}
	if (ret < 0) {
		free(g);
		return vd_error_set(err, ret, "cannot register with the core: %s", strerror(-ret));
	}
	*ret_self = g;
	return 0;
}

static int guard_start(void *self, struct vd_error *err)
{
	const struct vd_conf *conf = vd_conf_current();
	const struct vd_conf_node *list = vd_conf_at(conf, NULL, "gateway.listen");
	struct guard *g = self;

	(void)err;
	for (size_t i = 0; i < vd_conf_count(list) && i < LISTEN_MAX; i++) {
		struct vd_sa at = { .ip = *vd_conf_ip(vd_conf_nth(list, i)), .port = PORT };
		int ret = g->priv->open_socket(g->priv->self, VD_SOCK_UDP, &at, on_socket, g);

		if (ret < 0)
			vd_log(VD_LOG_WARNING, "l2tp", NULL, "L2TP without IPsec is not watched for: %s", strerror(-ret));
	}
	return 0;
}

static void guard_stop(void *self)
{
	struct guard *g = self;

	g->stopped = true;
	for (; g->n > 0; g->n--) {
		struct guard_socket *s = &g->sockets[g->n - 1];

		vd_timer_stop(&s->rest);
		vd_io_free(s->io);
		close(s->fd);
	}
}

static void guard_fini(void *self)
{
	guard_stop(self);
	free(self);
}

static const char *const provides[] = { "l2tp_guard/1", NULL };
static const char *const needs[] = { "priv/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "l2tp", "L2TP; debug: each control message that comes and goes" },
	{ NULL, NULL },
};

VD_PLUGIN(l2tp_guard, .version = "1.0", .license = "MIT", .log_areas = log_areas, .summary = "silence for L2TP without IPsec", .provides = provides,
	.needs = needs, .failures = failures, .shown = shown, .init = guard_init, .start = guard_start, .stop = guard_stop, .fini = guard_fini);
