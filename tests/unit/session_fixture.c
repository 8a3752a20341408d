#include "tests/unit/session_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/esp.h>

#include "core/conf/conf.h"
#include "core/loop.h"

struct fx fx;

static void trace(const char *fmt, ...)
{
	size_t len = strlen(fx.trace);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fx.trace + len, sizeof(fx.trace) - len, fmt, ap);
	va_end(ap);
}

/* ---- providers ---- */
static bool answered(uint64_t ticket, enum fx_manner manner, const void *data)
{
	struct vd_error why = { 0 };

	vd_error_set(&why, -EACCES, "says the double");
	switch (manner) {
	case FX_ACCEPT:
		vd_reply(ticket, VD_ACCEPT, data, NULL);
		return true;
	case FX_CONTINUE:
		vd_reply(ticket, VD_CONTINUE, data, NULL);
		return true;
	case FX_REJECT:
		vd_reply(ticket, VD_REJECT, NULL, &why);
		return true;
	case FX_NO_SUCH:
		vd_error_set(&why, -EAFNOSUPPORT, "the pool has none");
		vd_reply(ticket, VD_REJECT, NULL, &why);
		return true;
	case FX_UNAVAILABLE:
		vd_reply(ticket, VD_UNAVAILABLE, NULL, &why);
		return true;
	case FX_PASS:
		vd_reply(ticket, VD_PASS, NULL, NULL);
		return true;
	default:
		return false;
	}
}

static void on_auth(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	fx.asked = *(const struct vd_authenticate *)ask->data;
	fx.asked.data = (struct vd_blob){ 0 };
	trace("ask-auth(%s) ", ask->instance);
	if (!answered(ask->ticket, fx.auth, &fx.grant))
		fx.auth_ticket = ask->ticket;
}

static void on_auth_cancel(void *arg, uint64_t ticket)
{
	(void)arg;
	(void)ticket;
	trace("cancel-auth ");
}

static void on_admit(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	trace("ask-admit ");
	answered(ask->ticket, fx.admit, NULL);
}

static void on_address(void *arg, const struct vd_ask *ask)
{
	struct vd_leased_address lease = { .address = vd_ip4(0x0a080017), .gateway = vd_ip4(0x0a080001) };

	(void)arg;
	if (((const struct vd_lease_address *)ask->data)->family == 6) {
		struct vd_leased_address net = { .length = 64 };

		fx.leased6 = *(const struct vd_lease_address *)ask->data;
		trace("ask-network ");
		ck_assert(vd_ip_parse("2001:db8:5:1::", &net.address) && vd_ip_parse("2001:db8:5::1", &net.gateway));
		if (!answered(ask->ticket, fx.network, &net))
			fx.network_ticket = ask->ticket;
		return;
	}
	fx.leased = *(const struct vd_lease_address *)ask->data;
	trace("ask-address ");
	if (fx.leased.want.family)
		lease.address = fx.leased.want;
	fx.in_use += fx.address == FX_ACCEPT;
	answered(ask->ticket, fx.address, &lease);
}

static void on_route(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	trace("ask-route ");
	answered(ask->ticket, fx.route, NULL);
}

/* ---- datapath/1: commands are acknowledged through the FIFO ---- */
struct ack {
	void (*done)(void *arg);
	void (*counted)(void *arg, uint64_t session, const struct vd_session_counters *counters);
	void *arg;
	uint64_t session;
};

static void run_ack(void *arg)
{
	struct ack *ack = arg;
	struct vd_session_counters counters = { .packets_in = 7 + fx.more_packets, .octets_in = 700, .packets_out = 5, .octets_out = 500 };

	if (ack->done)
		ack->done(ack->arg);
	if (ack->counted)
		ack->counted(ack->arg, ack->session, &counters);
	free(ack);
}

static void later(enum fx_manner manner, struct ack what)
{
	struct ack *ack = malloc(sizeof(*ack));

	ck_assert_ptr_nonnull(ack);
	*ack = what;
	if (manner == FX_SILENT)
		free(ack);
	else
		ck_assert_int_eq(vd_defer(run_ack, ack), 0);
}

static int dp_session_add(void *self, const struct vd_wsess_desc *desc, void (*done)(void *), void *arg)
{
	(void)self;
	if (fx.session_add == FX_REFUSE)
		return -ENOBUFS;
	trace("session_add ");
	fx.desc = *desc;
	ck_assert_uint_ne(desc->session, 0);
	ck_assert_uint_ne(desc->chan, 0);
	fx.sessions++;
	later(fx.session_add, (struct ack){ .done = done, .arg = arg });
	return 0;
}

static int dp_session_del(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	(void)self;
	trace("session_del ");
	fx.sessions--;
	later(fx.session_del, (struct ack){ .counted = done, .arg = arg, .session = session });
	return 0;
}

static int dp_counters(void *self, uint64_t session,
	void (*done)(void *, uint64_t, const struct vd_session_counters *), void *arg)
{
	(void)self;
	later(FX_ACCEPT, (struct ack){ .counted = done, .arg = arg, .session = session });
	return 0;
}

static int dp_fib_add(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	char text[VD_IP_TEXT];

	(void)self;
	(void)session;
	if (fx.fib_add == FX_REFUSE)
		return -EEXIST;
	trace("fib_add(%s) ", vd_prefix_format(prefix, text));
	fx.fibs++;
	later(fx.fib_add, (struct ack){ .done = done, .arg = arg });
	return 0;
}

static int dp_fib_del(void *self, const struct vd_prefix *prefix, uint64_t session, void (*done)(void *), void *arg)
{
	char text[VD_IP_TEXT];

	(void)self;
	(void)session;
	if (fx.fib_del == FX_REFUSE)
		return -ENOBUFS;
	trace("fib_del(%s) ", vd_prefix_format(prefix, text));
	fx.fibs--;
	later(fx.fib_del, (struct ack){ .done = done, .arg = arg });
	return 0;
}

static int dp_drops(void *self, void (*done)(void *arg, const uint64_t *counts), void *arg)
{
	uint64_t counts[VD_DROP_MAX] = { [VD_DROP_REPLAY] = 3 };

	(void)self;
	done(arg, counts);
	return 0;
}

static int dp_info(void *self, void (*done)(void *arg, const struct vd_datapath_info *info), void *arg)
{
	struct vd_datapath_info info = { .workers = 2, .drops = { [1] = { [VD_DROP_REPLAY] = 3 } } };

	(void)self;
	for (unsigned i = 0; i < VD_CAP_MAX; i++)
		info.caps[i] = (struct vd_datapath_cap){ .name = "a piece", .why = "", .without = "" };
	done(arg, &info);
	return 0;
}

static unsigned dp_workers(void *self)
{
	(void)self;
	return 2;
}

static const struct vd_datapath_1 datapath = {
	.workers = dp_workers, .session_add = dp_session_add, .session_del = dp_session_del,
	.session_counters = dp_counters, .fib_add = dp_fib_add, .fib_del = dp_fib_del, .drops = dp_drops, .info = dp_info,
};

static void esp_close(void *self, uint64_t chan, const char *reason)
{
	(void)self;
	trace("chan_close ");
	if (!fx.no_esp_gone)
		vd_chan_gone(chan, reason);
}

static uint64_t esp_idle(void *self, uint64_t chan)
{
	(void)self, (void)chan;
	return fx.silent_ms;
}

const struct vd_chan_maker fx_maker = { "esp", esp_close, esp_idle };
static const struct vd_esp_1 esp;

/* ---- events ---- */
#define ON_EVENT(name) \
	static void on_##name(void *arg, const void *event) \
	{ \
		(void)arg; \
		(void)event; \
		trace(#name " "); \
	}
ON_EVENT(session_new)
ON_EVENT(auth_ok)
ON_EVENT(auth_failed)
ON_EVENT(session_up)
ON_EVENT(session_down)
ON_EVENT(lease_returned)
ON_EVENT(setup_failed)
ON_EVENT(peer_up)
ON_EVENT(peer_down)
ON_EVENT(chan_up)
ON_EVENT(chan_down)

static void on_session_gone(void *arg, const void *event)
{
	const struct vd_session_gone *gone = event;

	(void)arg;
	trace("session_gone(%llu) ", (unsigned long long)gone->session);
	fx.in_use -= fx.in_use > 0;
}

#define WATCH(name) \
	do { \
		ck_assert_int_eq(vd_event_subscribe(NULL, #name, on_##name, NULL), 0); \
		fake_watch(&vd_topic_##name); \
	} while (0)

static const char yaml[] =
	"realms: { corp: { authenticate: [users/local] } }\n"
	"users: { local: {} }\n"
	"pools: { staff: {} }\n"
	"connections:\n"
	"  staff: { realm: corp, pool: staff, second_login: replace }\n"
	"  one: { realm: corp, pool: staff, second_login: refuse }\n"
	"  many: { realm: corp, pool: staff, second_login: coexist }\n"
	"  norealm: { pool: staff }\n"
	"gateway: { max_sessions: 20, max_peers: 30 }\n";

static const struct vd_opt schema[] = {
	{ "users.*", VD_T_MAP, 0, NULL, NULL, "Users." },
	{ "pools.*", VD_T_MAP, 0, NULL, NULL, "Pools." },
	{ NULL },
};

static void closed(void *arg, uint64_t session, const char *reason)
{
	(void)arg;
	fx.n_closed++;
	trace("closed(%llu,%s) ", (unsigned long long)session, reason);
}

const struct vd_session_owner fx_owner = { closed };

uint64_t fx_channel(void)
{
	struct vd_sa local = { .ip = vd_ip4(0xc0000201), .port = 4500 };
	struct vd_sa remote = { .ip = vd_ip4(0xcb007105), .port = 4500 };
	struct vd_peer_up facts = { .connection = "staff", .identity = "phone", .suite = "aes256", .version = "1" };
	struct vd_peer *peer = vd_peer_new(1, &local, &remote);
	struct vd_chan_info *chan;

	ck_assert_ptr_nonnull(peer);
	fx.peer = peer->id;
	vd_peer_set_up(peer->id, &facts);
	chan = vd_chan_record(peer->id, "l2tp", 1400, &fx_maker, NULL);
	ck_assert_ptr_nonnull(chan);
	vd_chan_set_up(chan->id);
	fake_drain();
	return chan->id;
}

void fx_start(void)
{
	const struct vd_opt *const tables[] = { schema };
	struct vd_conf_errors errs = { 0 };
	struct vd_conf *conf = NULL;
	char first[640];

	memset(&fx, 0, sizeof(fx));
	fake_init(1);
	if (vd_conf_parse_text(yaml, "test.yaml", NULL, tables, 1, &conf, &errs) < 0)
		ck_abort_msg("%s", vd_conf_errors_first(&errs, first, sizeof(first)));
	vd_conf_errors_free(&errs);
	vd_conf_install(conf);
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_auth, on_auth_cancel, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "admit", "guard", on_admit, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "lease_address", "pool", on_address, NULL, NULL), 0);
	ck_assert_int_eq(vd_provide(NULL, "route_add", "tun", on_route, NULL, NULL), 0);
	fake_service("datapath/1", NULL, &datapath);
	fake_service("esp/1", NULL, &esp);
	WATCH(session_new);
	WATCH(auth_ok);
	WATCH(auth_failed);
	WATCH(session_up);
	WATCH(session_down);
	WATCH(session_gone);
	WATCH(lease_returned);
	WATCH(setup_failed);
	WATCH(peer_up);
	WATCH(peer_down);
	WATCH(chan_up);
	WATCH(chan_down);
	fx.chan = fx_channel();
	fx.trace[0] = 0;
	fake_events_clear();
}

void fx_again(void)
{
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	ck_assert_int_eq(vd_objects_init(), 0);
	ck_assert_int_eq(vd_sessions_init(), 0);
	fx.trace[0] = 0;
	fx.sessions = fx.fibs = 0;
}

void fx_stop(void)
{
	fake_drain();
	vd_sessions_fini();
	vd_objects_fini();
	fake_fini();
	vd_conf_install(NULL);
}

/* ---- steps ---- */
uint64_t fx_new(const char *connection)
{
	return vd_session_new(fx.chan, connection, &fx_owner, NULL, &fx.err);
}

static void auth_done(void *arg, uint64_t session, const struct vd_answer *answer)
{
	(void)arg;
	fx.n_done++;
	fx.verdict = answer->verdict;
	fx.err = answer->why;
	trace("auth-done ");
	if (fx.close_in_done)
		vd_session_close(session, "closed inside done", true);
}

int fx_auth(uint64_t session, const char *user)
{
	struct vd_authenticate request = { .method = VD_AUTH_MSCHAPV2 };
	int res;

	vd_strcpy(request.user, sizeof(request.user), user);
	res = vd_session_authenticate(session, &request, 0, auth_done, NULL);
	return res;
}

static void configured(void *arg, uint64_t session, const char *stage, const struct vd_error *err)
{
	(void)arg;
	fx.n_done++;
	fx.failed = err;
	if (err)
		fx.err = *err;
	vd_strcpy(fx.stage, sizeof(fx.stage), stage);
	trace("configured ");
	if (fx.close_in_done)
		vd_session_close(session, "closed inside done", true);
}

int fx_configure(uint64_t session)
{
	return vd_session_configure(session, fx.want ? fx.want : VD_WANT_V4, configured, NULL);
}

static void established(void *arg, uint64_t session, const struct vd_error *err)
{
	(void)arg;
	fx.n_done++;
	fx.failed = err;
	if (err)
		fx.err = *err;
	trace("established ");
	if (fx.close_in_done)
		vd_session_close(session, "closed inside done", true);
}

int fx_establish(uint64_t session)
{
	struct vd_wsess_desc link = { .mtu = 1280, .v4 = { .bytes = { 1, 2, 3 }, .len = 3, .udp_len = 1 } };

	return vd_session_establish(session, &link, established, NULL);
}

uint64_t fx_up(const char *connection, const char *user)
{
	uint64_t id = fx_new(connection);

	ck_assert_uint_ne(id, 0);
	ck_assert_int_eq(fx_auth(id, user), 0);
	fake_drain();
	ck_assert_int_eq(fx_configure(id), 0);
	fake_drain();
	ck_assert_int_eq(fx_establish(id), 0);
	fake_drain();
	ck_assert_int_eq(vd_session_find(id)->state, VD_S_UP);
	return id;
}

bool fx_order(const char *first, ...)
{
	const char *at = fx.trace;
	va_list ap;

	va_start(ap, first);
	for (const char *word = first; word && at; word = va_arg(ap, const char *)) {
		at = strstr(at, word);
		at = at ? at + strlen(word) : NULL;
	}
	va_end(ap);
	return at;
}

unsigned fx_count(const char *word)
{
	unsigned n = 0;

	for (const char *at = fx.trace; (at = strstr(at, word)); at += strlen(word))
		n++;
	return n;
}
