#include "tests/scenario/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fake.h"
#include "tests/scenario/far.h"
#include "tests/scenario/robot.h"

#define TICK_MS 100
#define MAX_PUMP 10000

struct datagram {
	struct datagram *next;
	enum wire_way way;
	enum vd_datapath_way kind;
	struct vd_path path;
	size_t len;
	uint8_t p[];
};
struct wire wire;
static struct datagram *head, **tail;

void wire_init(void)
{
	memset(&wire, 0, sizeof(wire));
	head = NULL;
	tail = &head;
}

void wire_add(struct robot *robot)
{
	ck_assert_uint_lt(wire.n_robots, VD_ARRAY_SIZE(wire.robots));
	wire.robots[wire.n_robots++] = robot;
}

void wire_fate(enum wire_way way, unsigned victim, enum wire_fate fate)
{
	wire.count[WIRE_UP] = wire.count[WIRE_DOWN] = 0;
	wire.way = way;
	wire.victim = victim;
	wire.fate = fate;
}

static void enqueue(enum wire_way way, enum vd_datapath_way kind, const struct vd_path *path, const void *p, size_t len)
{
	unsigned copies = 1;

	if (wire.way == way && wire.victim == wire.count[way])
		copies = wire.fate == WIRE_LOSE ? 0 : wire.fate == WIRE_TWICE ? 2 : 1;
	wire.count[way]++;
	while (copies-- > 0) {
		struct datagram *d = malloc(sizeof(*d) + len);

		ck_assert_ptr_nonnull(d);
		*d = (struct datagram){ .way = way, .kind = kind, .path = *path, .len = len };
		memcpy(d->p, p, len);
		*tail = d;
		tail = &d->next;
	}
}

void wire_sent(void *arg, const struct vd_datapath_sent *sent)
{
	(void)arg;
	if (sent->way == VD_SENT_TUN) {
		ck_assert_uint_le(sent->len, sizeof(wire.tun));
		memcpy(wire.tun, sent->p, sent->len);
		wire.tun_len = sent->len;
		wire.n_tun++;
		return;
	}
	enqueue(WIRE_DOWN, sent->way, &sent->path, sent->p, sent->len);
}

void wire_up(const struct vd_path *path, const void *p, size_t len)
{
	enqueue(WIRE_UP, VD_SENT_UDP, path, p, len);
}

static void deliver(const struct datagram *d)
{
	if (d->way == WIRE_UP) {
		/* Port 500 is the control thread's; of the others the kernel gives each source port to one worker. */
		vd_datapath_inject(d->path.remote.port == 0 || d->path.natt ? d->path.remote.port % 2 : -1, &d->path, d->p,
			d->len, 0);
		return;
	}
	if (far_is_at(&d->path.remote)) {
		far_receive(&d->path, d->p, d->len);
		return;
	}
	for (unsigned i = 0; i < wire.n_robots; i++)
		if (robot_is_at(wire.robots[i], &d->path.remote)) {
			robot_receive(wire.robots[i], d->kind == VD_SENT_IKE, &d->path, d->p, d->len);
			return;
		}
}

/* The oldest on the wire; false: there is none. */
static bool deliver_one(void)
{
	struct datagram *d = head;

	if (!d)
		return false;
	head = d->next;
	if (!head)
		tail = &head;
	deliver(d);
	free(d);
	return true;
}

void wire_burst(void)
{
	while (deliver_one())
		;
	wire_pump();
}

bool wire_step(void)
{
	fake_drain();
	vd_datapath_turn();
	fake_drain();
	if (!deliver_one())
		return false;
	fake_drain();
	vd_datapath_turn();
	fake_drain();
	if (wire.delivered)
		wire.delivered();
	return true;
}

void wire_drop(void)
{
	while (head) {
		struct datagram *d = head;

		head = d->next;
		free(d);
	}
	tail = &head;
}

void wire_pump(void)
{
	unsigned n = 0;

	while (wire_step())
		ck_assert_uint_lt(n++, MAX_PUMP);
}

void wire_wait(uint64_t ms)
{
	wire_pump();
	while (ms > 0) {
		uint64_t step = ms < TICK_MS ? ms : TICK_MS;

		fake_advance(step);
		wire_pump();
		for (unsigned i = 0; i < wire.n_robots; i++)
			robot_time(wire.robots[i], step);
		far_time(step);
		wire_pump();
		ms -= step;
	}
}

bool wire_until(bool (*done)(const struct robot *robot), const struct robot *robot, uint64_t ms)
{
	wire_pump();
	for (; !done(robot) && ms >= TICK_MS; ms -= TICK_MS)
		wire_wait(TICK_MS);
	return done(robot);
}
