/* Viaduct: export and import of channels and SAs. What workers own is read after a barrier: a command that must have run
 * when call() returns, as it does without threads and while the data path is paused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp.h"

enum { TAG_CHAN = 1 };
#define CHANS_MAX 65536u

static void put_sa(struct vd_wr *w, const struct vd_sa *sa)
{
	vd_wr_u16(w, sa->ip.family);
	vd_wr_put(w, sa->ip.a, sizeof(sa->ip.a));
	vd_wr_u16(w, sa->port);
	vd_wr_u32(w, sa->scope);
}

static void get_sa(struct vd_rd *r, struct vd_sa *sa)
{
	sa->ip.family = vd_rd_u16(r);
	vd_rd_copy(r, sa->ip.a, sizeof(sa->ip.a));
	sa->port = vd_rd_u16(r);
	sa->scope = vd_rd_u32(r);
}

static void put_one(struct vd_wr *w, const struct esp_sa *sa)
{
	const struct vd_esp_sa *d = &sa->desc;
	vd_wr_u8(w, sa->in);
	vd_wr_u32(w, d->spi);
	vd_wr_u8(w, d->encr);
	vd_wr_u8(w, d->integ);
	vd_wr_u16(w, d->key_bits);
	vd_wr_u16(w, d->window);
	vd_wr_u8(w, d->esn);
	vd_wr_u64(w, d->soft_packets);
	vd_wr_u64(w, d->hard_packets);
	vd_wr_u64(w, d->soft_bytes);
	vd_wr_u64(w, d->hard_bytes);
	vd_wr_u16(w, (uint16_t)vd_secret_len(d->keymat));
	vd_wr_put(w, vd_secret_data(d->keymat), vd_secret_len(d->keymat));
	vd_wr_u64(w, sa->seq);
	vd_wr_u64(w, sa->crypt.iv);
	vd_wr_u64(w, sa->packets);
	vd_wr_u64(w, sa->bytes);
	vd_wr_u8(w, (uint8_t)(sa->soft_told | sa->hard_told << 1 | sa->first_told << 2 |
			       sa->crypt.icv_open << 3));
	if (sa->chan->mode == VD_ESP_TUNNEL) {
		vd_wr_u16(w, d->local.ip.family);
		vd_wr_put(w, d->local.ip.a, sizeof(d->local.ip.a));
		vd_wr_u8(w, d->local.len);
	}
	vd_wr_u64(w, sa->window.top);
	for (uint32_t i = 0; sa->in && i < sa->window.words; i++)
		vd_wr_u64(w, sa->window.bits[i]);
}

static int get_one(struct esp_chan *c, struct vd_rd *r, enum vd_import_mode mode)
{
	struct vd_esp_sa d = { .chan = c->c.id };
	struct esp_sa *sa;
	bool in = vd_rd_u8(r);
	d.spi = vd_rd_u32(r);
	d.encr = vd_rd_u8(r);
	d.integ = vd_rd_u8(r);
	d.key_bits = vd_rd_u16(r);
	d.window = vd_rd_u16(r);
	d.esn = vd_rd_u8(r);
	d.soft_packets = vd_rd_u64(r);
	d.hard_packets = vd_rd_u64(r);
	d.soft_bytes = vd_rd_u64(r);
	d.hard_bytes = vd_rd_u64(r);
	size_t len = vd_rd_u16(r);
	const uint8_t *key = vd_rd_take(r, len);
	if (!vd_rd_ok(r) || (in && (d.spi & 255) != c->c.home))
		return -EBADMSG;
	d.keymat = vd_secret_new(key, len);
	if (!d.keymat)
		return -ENOMEM;
	int rc = esp_sa_make(c, &d, in, &sa);
	vd_secret_free(d.keymat);
	if (rc < 0)
		return rc;
	sa->seq = vd_rd_u64(r);
	sa->crypt.iv = vd_rd_u64(r);
	sa->packets = vd_rd_u64(r);
	sa->bytes = vd_rd_u64(r);
	uint8_t told = vd_rd_u8(r);
	sa->soft_told = told & 1;
	sa->hard_told = told & 2;
	sa->first_told = told & 4;
	sa->crypt.icv_open = sa->crypt.icv_open && told & 8;
	if (c->mode == VD_ESP_TUNNEL) {
		sa->desc.local.ip.family = vd_rd_u16(r);
		vd_rd_copy(r, sa->desc.local.ip.a, sizeof(sa->desc.local.ip.a));
		sa->desc.local.len = vd_rd_u8(r);
	}
	sa->window.top = vd_rd_u64(r);
	for (uint32_t i = 0; in && i < sa->window.words; i++)
		sa->window.bits[i] = vd_rd_u64(r);
	if (mode == VD_IMPORT_TAKEOVER && !in) {
		sa->seq += ESP_TAKEOVER;
		sa->crypt.iv = (sa->crypt.iv & 0xffff000000000000ull) + (1ull << 48); /* next epoch, from 0 */
	}
	rc = vd_rd_ok(r) ? esp_sa_install(c->esp, sa, NULL, NULL) : -EBADMSG;
	if (rc < 0)
		esp_sa_free(sa);
	return rc;
}

static void barrier(struct vd_worker *w, void *arg)
{
	(void)w;
	*(bool *)arg = true;
}

/* Ids in ascending order, so that an import and a new export agree. */
static int by_id(const void *a, const void *b)
{
	const struct esp_chan *const *x = a, *const *y = b;
	return (*x)->c.id < (*y)->c.id ? -1 : (*x)->c.id > (*y)->c.id;
}

static int export_all(void *self, struct vd_wr *w, struct vd_error *err)
{
	struct esp *esp = self;
	size_t n = 0, at = 0;
	for (unsigned b = 0; b < ESP_BUCKETS; b++)
		for (struct esp_chan *c = esp->chan[b]; c; c = c->next) {
			if (c->closing)
				return vd_error_set(err, -EAGAIN, "a channel is being closed: export again in a moment");
			n++;
		}
	struct esp_chan **all = calloc(n + 1, sizeof(struct esp_chan *));
	static bool ran; /* static: a late run, with threads, must not write to a dead frame */
	if (!all)
		return -ENOMEM;
	for (unsigned b = 0; b < ESP_BUCKETS; b++)
		for (struct esp_chan *c = esp->chan[b]; c; c = c->next)
			all[at++] = c;
	qsort(all, n, sizeof(*all), by_id);
	vd_wr_u32(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct esp_chan *c = all[i];
		uint16_t sas = 0;
		ran = false;
		if (esp->dp->call(esp->dp->self, c->c.home, barrier, NULL, &ran) < 0 || !ran) {
			free(all);
			return vd_error_set(err, -EAGAIN, "the workers are running: pause the data path for an export");
		}
		vd_wr_u8(w, TAG_CHAN);
		vd_wr_u64(w, c->c.id);
		vd_wr_u64(w, c->c.peer);
		vd_wr_u8(w, c->c.home);
		vd_wr_u8(w, (uint8_t)c->mode);
		vd_wr_u8(w, (uint8_t)(c->up | c->path.natt << 1 | c->cut << 2));
		vd_wr_put(w, c->upper, sizeof(c->upper));
		vd_wr_u64(w, c->path.endpoint);
		put_sa(w, &c->path.local);
		put_sa(w, &c->path.remote);
		vd_wr_u16(w, c->c.outer);
		for (unsigned k = 0; k < ESP_RESERVED_MAX; k++)
			vd_wr_u32(w, c->reserved[k].spi);
		for (const struct esp_sa *sa = c->in; sa; sa = sa->next)
			sas++;
		for (const struct esp_sa *sa = c->out; sa; sa = sa->next)
			sas++;
		vd_wr_u16(w, sas);
		for (const struct esp_sa *sa = c->in; sa; sa = sa->next)
			put_one(w, sa);
		for (const struct esp_sa *sa = c->out; sa; sa = sa->next)
			put_one(w, sa);
	}
	free(all);
	return vd_wr_ok(w) ? 0 : -ENOSPC;
}

static int get_chan(struct esp *esp, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	struct vd_path path = { 0 };
	char upper[sizeof(((struct esp_chan *)0)->upper)];
	uint8_t tag = vd_rd_u8(r);
	uint64_t id = vd_rd_u64(r), peer = vd_rd_u64(r);
	uint8_t home = vd_rd_u8(r), how = vd_rd_u8(r), flags = vd_rd_u8(r);
	vd_rd_copy(r, upper, sizeof(upper));
	upper[sizeof(upper) - 1] = 0;
	path.endpoint = vd_rd_u64(r);
	get_sa(r, &path.local);
	get_sa(r, &path.remote);
	path.natt = flags & 2;
	uint16_t outer = version < 3 ? VD_OUTER_MTU : vd_rd_u16(r);
	if (!vd_rd_ok(r) || outer < 576 || outer > VD_OUTER_MTU || tag != TAG_CHAN || how > VD_ESP_TUNNEL || esp_chan_find(esp, id))
		return vd_error_set(err, -EBADMSG, "record of an ESP channel is damaged");
	struct esp_chan *c = esp_chan_make(esp, id, peer, home, how, &path, outer, upper);
	if (!c)
		return vd_error_set(err, -ENOMEM, "cannot make an imported ESP channel");
	int taken = vd_chan_adopt(id, &esp_maker, esp);
	if (taken < 0)
		return vd_error_set(err, taken, "the ESP channel c-%llu is not of this plugin: %s", (unsigned long long)id, strerror(-taken));
	/* Its sessions are as wide as the way was when they came up; this host's, or today's, may be another. */
	if (esp->dp->outer_mtu(esp->dp->self, &path) != outer && esp_chan_path(esp, id, &path, NULL, NULL) < 0)
		return vd_error_set(err, -ENOMEM, "cannot make an imported ESP channel");
	c->up = c->have_in = c->have_out = flags & 1;
	c->cut = flags & 4;
	for (unsigned k = 0; k < ESP_RESERVED_MAX; k++) {
		uint32_t spi = vd_rd_u32(r);
		if (spi)
			esp_spi_take(esp, &c->reserved[k], spi, c);
	}
	unsigned n = vd_rd_u16(r);
	if (n > 2 * ESP_SAS_MAX)
		return vd_error_set(err, -EBADMSG, "an ESP channel with %u SAs", n);
	while (n--) {
		int rc = get_one(c, r, mode);
		if (rc < 0)
			return vd_error_set(err, rc, "record of an SA is damaged: %s", strerror(-rc));
	}
	return 0;
}

static int import(void *self, uint16_t version, struct vd_rd *r, enum vd_import_mode mode, struct vd_error *err)
{
	uint32_t n = vd_rd_u32(r);
	if (version != 2 && version != 3)
		return vd_error_set(err, -ENOTSUP, "ESP records of version %u cannot be read", version);
	if (n > CHANS_MAX)
		return vd_error_set(err, -EBADMSG, "too many ESP channels: %u", n);
	while (n--) {
		int rc = get_chan(self, version, r, mode, err);
		if (rc < 0)
			return rc;
	}
	return vd_rd_ok(r) ? 0 : vd_error_set(err, -EBADMSG, "the ESP records are cut off");
}

const struct vd_layer esp_layer = { .name = "esp_userspace", .version = 3, .export_ = export_all, .import = import };
