/* Export and import: the cursors of the pools, the leases in order of granting, the ended ones in order of ending. */
#include "plugins/pool/local/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { TAG_RANGE = 1, TAG_LEASE = 2, TAG_ENDED = 3, TAG_END = 4 };

static void put_text(struct vd_wr *w, const char *text)
{
	vd_wr_u16(w, (uint16_t)strlen(text));
	vd_wr_put(w, text, strlen(text));
}

static bool get_text(struct vd_rd *r, char *room, size_t size)
{
	size_t len = vd_rd_u16(r);

	if (len >= size || !vd_rd_copy(r, room, len))
		return false;
	room[len] = '\0';
	return !memchr(room, 0, len);
}

static void put_ip(struct vd_wr *w, const struct vd_ip *ip)
{
	vd_wr_u8(w, ip->family == AF_INET ? 4 : 6);
	vd_wr_put(w, ip->a, sizeof(ip->a));
}

static bool get_ip(struct vd_rd *r, struct vd_ip *ip)
{
	uint8_t family = vd_rd_u8(r);

	memset(ip, 0, sizeof(*ip));
	ip->family = family == 4 ? AF_INET : AF_INET6;
	return vd_rd_copy(r, ip->a, sizeof(ip->a)) && (family == 4 || family == 6);
}

static void put_leases(struct vd_wr *w, uint8_t tag, const struct lease_list *list)
{
	const struct lease *l;

	for (l = list->head; l; l = l->next) {
		vd_wr_u8(w, tag);
		vd_wr_u64(w, l->session);
		put_ip(w, &l->address);
		put_text(w, l->pool);
		put_text(w, l->user);
	}
}

static int export_(void *arg, struct vd_wr *w, struct vd_error *err)
{
	struct pools *self = arg;
	size_t i, k;

	for (i = 0; i < self->n; i++) {
		for (k = 0; k < self->v[i].n_ranges; k++) {
			vd_wr_u8(w, TAG_RANGE);
			put_text(w, self->v[i].name);
			put_ip(w, &self->v[i].ranges[k].first);
			vd_wr_u32(w, self->v[i].ranges[k].cursor);
		}
	}
	if (book_unsaved(&self->book))
		return vd_error_set(err, -EAGAIN, "a lease is being saved");
	put_leases(w, TAG_LEASE, &self->book.active);
	put_leases(w, TAG_ENDED, &self->book.ended);
	vd_wr_u8(w, TAG_END);
	return vd_wr_ok(w) ? 0 : vd_error_set(err, -ENOSPC, "the leases do not fit");
}

/* A range that the configuration no longer has is left out. */
static void set_cursor(struct pools *self, const char *name, const struct vd_ip *first, uint32_t cursor)
{
	struct pool *pool = pools_find(self, name);
	unsigned k;

	for (k = 0; pool && k < pool->n_ranges; k++)
		if (vd_ip_equal(&pool->ranges[k].first, first) && cursor < pool->ranges[k].size)
			pool->ranges[k].cursor = cursor;
}

static int import(void *arg, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	char name[VD_NAME_MAX], user[VD_USER_MAX];
	struct pools *self = arg;
	struct vd_ip ip;
	uint64_t session;
	uint8_t tag;
	size_t i;
	int ret = 0;

	(void)mode;
	if (version != pool_layer.version)
		return vd_error_set(err, -EPROTO, "leases were exported in version %u, which is not known here", version);
	book_forget_ended(&self->book); /* from the file, which was written before */
	while (!ret && (tag = vd_rd_u8(r)) != TAG_END) {
		if (tag == TAG_RANGE) {
			if (get_text(r, name, sizeof(name)) && get_ip(r, &ip))
				set_cursor(self, name, &ip, vd_rd_u32(r));
			else
				ret = -EBADMSG;
		} else if (tag == TAG_LEASE || tag == TAG_ENDED) {
			session = vd_rd_u64(r);
			if (!get_ip(r, &ip) || !get_text(r, name, sizeof(name)) || !get_text(r, user, sizeof(user)) ||
				(tag == TAG_LEASE) != (session != 0) || (tag == TAG_LEASE && book_holder(&self->book, &ip)))
				ret = -EBADMSG;
			else if (tag == TAG_ENDED)
				ret = book_remember(&self->book, name, user, &ip);
			else
				ret = book_grant(&self->book, session, name, user, &ip);
			for (i = 0; !ret && tag == TAG_LEASE && i < self->n; i++)
				ret = pool_mark(&self->v[i], &ip, true);
		} else {
			ret = -EBADMSG;
		}
		if (!vd_rd_ok(r))
			ret = -EBADMSG;
	}
	return ret ? vd_error_set(err, ret, ret == -ENOMEM ? "out of memory" : "the exported leases are damaged") :
		     writer_replace(self->writer, err);
}

const struct vd_layer pool_layer = { .name = "pool_local", .version = 1, .export_ = export_, .import = import };
