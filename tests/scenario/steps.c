#include "tests/scenario/steps.h"

#include <check.h>
#include <string.h>
#include <viaduct/session.h>

#include "core/session/session.h"
#include "tests/scenario/gateway.h"

static const uint8_t far[4] = { 192, 0, 2, 77 };

void steps_login(struct robot *r, const char *psk, uint8_t address)
{
	unsigned up = fake_events(&vd_topic_session_up);
	const struct vd_session_up *event;

	wire_add(r);
	robot_dial(r, psk);
	/* Nothing is lost, so nobody has to repeat anything. */
	ck_assert(wire_until(robot_up, r, 500));
	wire_pump();
	ck_assert_uint_eq(fake_events(&vd_topic_session_up), up + 1);
	event = fake_last(&vd_topic_session_up);
	ck_assert_str_eq(event->user, r->user);
	ck_assert_mem_eq(event->address.a, r->address, 4);
	ck_assert_mem_eq(r->address, "\x0a\x08\x00", 3);
	if (address)
		ck_assert_uint_eq(r->address[3], address);
	ck_assert_mem_eq(r->dns, "\x0a\x01\x00\x35", 4);
}

void steps_ping(struct robot *r)
{
	static uint16_t seq;
	unsigned out = wire.n_tun, in = r->n_packets;

	robot_ping(r, NULL, ++seq);
	wire_pump();
	ck_assert_uint_eq(wire.n_tun, out + 1);
	ck_assert(robot_is_icmp(wire.tun, wire.tun_len, 8, seq, r->address, far));
	robot_pong(r->address, seq);
	wire_pump();
	ck_assert_uint_eq(r->n_packets, in + 1);
	ck_assert(robot_is_icmp(r->packet.p, r->packet.len, 0, seq, far, r->address));
}

static void echo(struct robot *r)
{
	unsigned replies = r->echo_replies, echoes = r->echoes;

	robot_echo(r);
	wire_pump();
	ck_assert_uint_eq(r->echo_replies, replies + 1);
	/* Nothing else is said for three intervals: the gateway asks. */
	wire_wait(95000);
	ck_assert_uint_gt(r->echoes, echoes);
	ck_assert_uint_eq(vd_session_count(), 1);
}

static void quick(struct robot *r)
{
	uint32_t spi = r->out.spi;

	robot_quick(r);
	ck_assert(wire_until(robot_quick_done, r, 5000));
	ck_assert_uint_ne(r->out.spi, spi);
	steps_ping(r);
	ck_assert_uint_eq(vd_chan_count(), 1);
}

static void quick_deleted(struct robot *r)
{
	robot_delete_esp(r, false);
	wire_pump();
	steps_ping(r);
}

static void phase1(struct robot *r)
{
	uint8_t cookie[8];

	memcpy(cookie, r->ike[0].c.ic, 8);
	robot_phase1(r);
	ck_assert(wire_until(robot_phase1_done, r, 5000));
	ck_assert(memcmp(cookie, r->ike[0].c.ic, 8) != 0);
	ck_assert_uint_eq(vd_peer_count(), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 0);
	steps_ping(r);
	wire_wait(31000); /* so long the old one stays */
	ck_assert_uint_eq(vd_peer_count(), 1);
}

static void dpd(struct robot *r)
{
	unsigned acks = r->dpd_acks;

	robot_dpd(r);
	wire_pump();
	ck_assert_uint_eq(r->dpd_acks, acks + 1);
}

static void term(struct robot *r)
{
	const struct vd_session_down *down;

	robot_term(r);
	wire_pump();
	ck_assert(r->term_ack);
	wire_wait(5000);
	ck_assert_uint_eq(fake_events(&vd_topic_session_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_session_gone), 1);
	down = fake_last(&vd_topic_session_down);
	ck_assert_str_eq(down->user, r->user);
	ck_assert_mem_eq(down->address.a, r->address, 4);
	ck_assert_uint_eq(down->packets_in, r->n_packets);
	ck_assert_uint_eq(down->packets_out, r->n_packets);
	ck_assert_uint_eq(vd_session_count(), 0);
	ck_assert_uint_eq(gateway_leases(), 0);
}

static void cdn(struct robot *r)
{
	if (!r->cdn) /* the gateway may have said so first */
		robot_cdn(r);
	wire_wait(2000);
	ck_assert_uint_eq(r->acked, r->ns);
}

static void stopccn(struct robot *r)
{
	robot_stopccn(r);
	wire_wait(2000);
	ck_assert_uint_eq(r->acked, r->ns);
}

static void deletes(struct robot *r)
{
	robot_delete_esp(r, true);
	robot_delete_ike(r);
	wire_pump();
	ck_assert_uint_eq(fake_events(&vd_topic_peer_down), 1);
	ck_assert_uint_eq(fake_events(&vd_topic_chan_down), 1);
	ck_assert_uint_eq(vd_peer_count(), 0);
	ck_assert_uint_eq(vd_chan_count(), 0);
}

static const struct {
	const char *name;
	void (*run)(struct robot *r);
} steps[] = {
	{ "ping", steps_ping }, { "echo", echo }, { "quick mode rekey", quick }, { "old SAs deleted", quick_deleted },
	{ "phase 1 rekey", phase1 }, { "quick mode in the new phase 1", quick }, { "old SAs deleted", quick_deleted },
	{ "dead peer detection", dpd }, { "ping", steps_ping }, { "Terminate-Request", term }, { "CDN", cdn },
	{ "StopCCN", stopccn }, { "Deletes", deletes },
};

bool steps_next(struct robot *r, unsigned step)
{
	if (step >= VD_ARRAY_SIZE(steps))
		return false;
	steps[step].run(r);
	return true;
}

const char *steps_name(unsigned step)
{
	return step < VD_ARRAY_SIZE(steps) ? steps[step].name : "end";
}

void steps_hang_up(struct robot *r)
{
	if (r->xauth.kind) {
		robot_delete_esp(r, true);
		robot_delete_ike(r);
		wire_pump();
		return;
	}
	robot_term(r);
	wire_wait(1000);
	ck_assert(r->term_ack);
	if (!r->cdn)
		robot_cdn(r);
	robot_stopccn(r);
	wire_wait(1000);
	robot_delete_esp(r, true);
	robot_delete_ike(r);
	wire_pump();
}

void steps_over(struct robot *r)
{
	robot_delete_esp(r, true);
	robot_delete_ike(r);
	wire_pump();
	r->silent = true;
	for (unsigned minutes = 0; minutes < 15; minutes++) {
		fake_advance(60000);
		wire_pump();
	}
	gateway_empty();
	ck_assert_uint_eq(fake_events(&vd_topic_setup_failed), 0);
	robot_free(r);
	gateway_stop();
}
