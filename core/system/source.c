/* Source networks. Records are few: of those who are here, and of 32768 who were; of one user only the 16 last used, so that
 * nobody pushes others out of the memory by coming from everywhere. */
#include "core/system/source.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/work.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REMEMBERED_MAX 32768u
#define OF_USER_MAX 16u
#define LOOK_AGAIN 64u

static struct {
	bool ready;
	struct vd_table nets, users;
	struct vd_link heavy[VD_SOURCE_CLASSES], idle, all;
	size_t n_idle;
} reg;

static void begin(void)
{
	if (reg.ready)
		return;
	vd_table_init(&reg.nets);
	vd_table_init(&reg.users);
	for (unsigned i = 0; i < VD_SOURCE_CLASSES; i++)
		vd_link_init(&reg.heavy[i]);
	vd_link_init(&reg.idle);
	vd_link_init(&reg.all);
	reg.ready = true;
}

void vd_source_key(const struct vd_ip *ip, uint8_t out[VD_SOURCE_KEY])
{
	memset(out, 0, VD_SOURCE_KEY);
	out[0] = ip->family == AF_INET ? 4 : 6; /* /64: one subscriber has a whole one */
	memcpy(out + 1, ip->a, ip->family == AF_INET ? 4 : 8);
}

static struct vd_source *find(const uint8_t net[VD_SOURCE_KEY])
{
	struct vd_entry *e;

	begin();
	for (e = vd_table_find(&reg.nets, vd_siphash(reg.nets.secret, net, VD_SOURCE_KEY)); e; e = vd_table_again(e)) {
		struct vd_source *s = VD_CONTAINER_OF(e, struct vd_source, by_net);

		if (!memcmp(s->net, net, VD_SOURCE_KEY))
			return s;
	}
	return NULL;
}

static struct vd_source *make(const uint8_t net[VD_SOURCE_KEY])
{
	struct vd_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	memcpy(s->net, net, VD_SOURCE_KEY);
	vd_link_init(&s->heavy);
	vd_link_init(&s->idle);
	vd_link_init(&s->unproven);
	if (vd_table_add(&reg.nets, &s->by_net, vd_siphash(reg.nets.secret, net, VD_SOURCE_KEY)) < 0) {
		free(s);
		return NULL;
	}
	vd_link_add(&reg.all, &s->all);
	return s;
}

static void forget(struct vd_source *s)
{
	if (!vd_link_empty(&s->idle)) {
		vd_link_del(&s->idle);
		reg.n_idle--;
	}
	vd_link_del(&s->heavy);
	vd_link_del(&s->all);
	if (s->remembered)
		vd_table_del(&reg.users, &s->by_user);
	vd_table_del(&reg.nets, &s->by_net);
	free(s);
}

uint32_t vd_source_places_of(struct vd_source *s)
{
	if (s->most > s->now && vd_now() - s->most_at > VD_SOURCE_DAY) {
		s->most = s->now;
		s->most_at = vd_now();
	}
	return s->most;
}

uint32_t vd_known_places(const struct vd_ip *ip)
{
	uint8_t net[VD_SOURCE_KEY];
	struct vd_source *s;

	vd_source_key(ip, net);
	s = find(net);
	return s ? vd_source_places_of(s) : 0;
}

uint32_t vd_source_beyond(struct vd_source *s)
{
	uint32_t places = vd_source_places_of(s), free_ = places > s->now ? places - s->now : 0;

	return s->n_unproven > free_ ? s->n_unproven - free_ : 0;
}

static void sort(struct vd_source *s)
{
	uint32_t n = vd_source_beyond(s);
	unsigned class = 0;

	for (; n; n >>= 1)
		class++;
	vd_link_del(&s->heavy);
	vd_link_add(&reg.heavy[class], &s->heavy);
}

struct vd_source *vd_source_hold(const struct vd_ip *ip)
{
	uint8_t net[VD_SOURCE_KEY];
	struct vd_source *s;

	vd_source_key(ip, net);
	s = find(net);
	if (!s)
		s = make(net);
	if (!s)
		return NULL;
	if (!vd_link_empty(&s->idle)) {
		vd_link_del(&s->idle);
		reg.n_idle--;
	}
	s->refs++;
	return s;
}

static void rest(struct vd_source *s)
{
	vd_link_del(&s->heavy);
	if (!vd_source_places_of(s)) {
		forget(s);
		return;
	}
	vd_link_add(&reg.idle, &s->idle);
	if (++reg.n_idle > REMEMBERED_MAX) {
		vd_count("core.source.forgotten", 1);
		forget(VD_CONTAINER_OF(reg.idle.next, struct vd_source, idle));
	}
}

void vd_source_drop(struct vd_source *s)
{
	if (s && --s->refs == 0)
		rest(s);
}

void vd_source_unproven(struct vd_source *s, struct vd_link *l)
{
	if (!vd_link_empty(l))
		return;
	vd_link_add(&s->unproven, l);
	s->n_unproven++;
	sort(s);
}

void vd_source_proven(struct vd_source *s, struct vd_link *l)
{
	if (vd_link_empty(l))
		return;
	vd_link_del(l);
	s->n_unproven--;
	sort(s);
}

/* One user who comes from everywhere makes room for himself alone. */
static void remember(struct vd_source *s, uint64_t user)
{
	struct vd_source *oldest = NULL;
	unsigned n = 0;

	if (s->remembered)
		return;
	for (struct vd_entry *e = vd_table_find(&reg.users, user); e; e = vd_table_again(e)) {
		struct vd_source *other = VD_CONTAINER_OF(e, struct vd_source, by_user);

		n++;
		if (!other->refs && (!oldest || other->most_at < oldest->most_at))
			oldest = other;
	}
	if (n >= OF_USER_MAX && oldest) {
		vd_count("core.source.forgotten", 1);
		forget(oldest);
	}
	s->remembered = vd_table_add(&reg.users, &s->by_user, user) == 0;
}

void vd_source_joined(struct vd_source *s, uint64_t user)
{
	remember(s, user);
	s->now++;
	if (s->now > vd_source_places_of(s)) {
		s->most = s->now;
		s->most_at = vd_now();
	}
	sort(s);
}

void vd_source_left(struct vd_source *s)
{
	if (s->now >= vd_source_places_of(s))
		s->most_at = vd_now();
	s->now -= s->now > 0;
	sort(s);
}

struct vd_source *vd_source_heaviest(void)
{
	begin();
	for (unsigned i = VD_SOURCE_CLASSES; i-- > 1;)
		if (!vd_link_empty(&reg.heavy[i]))
			return VD_CONTAINER_OF(reg.heavy[i].next, struct vd_source, heavy);
	/* Places end with their day, and nothing happens then: a few are looked at again each time. */
	for (unsigned i = 0; i < LOOK_AGAIN && !vd_link_empty(&reg.heavy[0]); i++) {
		struct vd_source *s = VD_CONTAINER_OF(reg.heavy[0].next, struct vd_source, heavy);

		sort(s);
		if (vd_source_beyond(s))
			return s;
	}
	return NULL;
}

void vd_source_each_beyond(void (*fn)(struct vd_source *s, void *arg), void *arg)
{
	begin();
	/* From the light ones: what fn takes away moves a source to a class that was visited. */
	for (unsigned i = 1; i < VD_SOURCE_CLASSES; i++)
		for (struct vd_link *l = reg.heavy[i].next, *next; l != &reg.heavy[i]; l = next) {
			next = l->next;
			fn(VD_CONTAINER_OF(l, struct vd_source, heavy), arg);
		}
}

void vd_source_each_heavy(bool (*fn)(struct vd_source *s, void *arg), void *arg)
{
	begin();
	for (unsigned i = VD_SOURCE_CLASSES; i-- > 1;)
		for (struct vd_link *l = reg.heavy[i].next, *next; l != &reg.heavy[i]; l = next) {
			next = l->next;
			if (!fn(VD_CONTAINER_OF(l, struct vd_source, heavy), arg))
				return;
		}
}

/* ---- layer: u32 count, then each ---- */
static bool worth(struct vd_source *s)
{
	return vd_source_places_of(s) > 0;
}

void vd_source_write(struct vd_wr *w)
{
	uint32_t n = 0;

	begin();
	for (struct vd_link *l = reg.all.next; l != &reg.all; l = l->next)
		n += worth(VD_CONTAINER_OF(l, struct vd_source, all));
	vd_wr_u32(w, n);
	for (struct vd_link *l = reg.all.next; l != &reg.all; l = l->next) {
		struct vd_source *s = VD_CONTAINER_OF(l, struct vd_source, all);

		if (!worth(s))
			continue;
		vd_wr_put(w, s->net, sizeof(s->net));
		vd_wr_u32(w, s->most);
		vd_wr_u64(w, vd_now() - s->most_at);
	}
}

void vd_source_read(struct vd_rd *r)
{
	begin();
	for (uint32_t n = vd_rd_u32(r); n && vd_rd_ok(r); n--) {
		uint8_t net[VD_SOURCE_KEY];
		uint32_t most;
		uint64_t ago;
		struct vd_source *s;

		vd_rd_copy(r, net, sizeof(net));
		most = vd_rd_u32(r);
		ago = vd_rd_u64(r);
		if (!vd_rd_ok(r) || !most || (net[0] != 4 && net[0] != 6)) {
			vd_rd_fail(r);
			return;
		}
		s = find(net);
		if (!s && ago <= VD_SOURCE_DAY && reg.n_idle < REMEMBERED_MAX && (s = make(net))) {
			vd_link_add(&reg.idle, &s->idle);
			reg.n_idle++;
		}
		if (!s)
			continue;
		vd_link_del(&s->all); /* the order of the record: peers that were imported before made theirs in another one */
		vd_link_add(&reg.all, &s->all);
		if (most > s->most) {
			s->most = most;
			s->most_at = vd_now() - ago;
		}
	}
}

void vd_source_fini(void)
{
	if (!reg.ready)
		return;
	while (!vd_link_empty(&reg.idle))
		forget(VD_CONTAINER_OF(reg.idle.next, struct vd_source, idle));
	vd_table_fini(&reg.users);
	vd_table_fini(&reg.nets);
	memset(&reg, 0, sizeof(reg));
}
