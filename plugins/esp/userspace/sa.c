/* Viaduct: SAs on the control thread: SPIs, installing, removing, and what workers tell about them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "esp.h"

static struct esp_sa *sa_find(struct esp_sa *list, uint32_t spi)
{
	while (list && list->desc.spi != spi)
		list = list->next;
	return list;
}

static struct esp_spi **spi_bucket(struct esp *esp, uint32_t spi)
{
	return &esp->spi[(spi >> 8) % ESP_BUCKETS]; /* our own random numbers */
}

static struct esp_spi *spi_find(struct esp *esp, uint32_t spi)
{
	struct esp_spi *s = spi ? *spi_bucket(esp, spi) : NULL;
	while (s && s->spi != spi)
		s = s->next;
	return s;
}

void esp_spi_take(struct esp *esp, struct esp_spi *s, uint32_t spi, struct esp_chan *chan)
{
	struct esp_spi **at = spi_bucket(esp, spi);
	*s = (struct esp_spi){ *at, spi, chan };
	*at = s;
}

void esp_spi_give(struct esp *esp, struct esp_spi *s)
{
	for (struct esp_spi **at = spi_bucket(esp, s->spi); s->spi && *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	s->spi = 0;
}

/* The reservation of this channel, or NULL. */
static struct esp_spi *reserved(struct esp_chan *c, uint32_t spi)
{
	for (unsigned i = 0; spi && i < ESP_RESERVED_MAX; i++)
		if (c->reserved[i].spi == spi)
			return &c->reserved[i];
	return NULL;
}

static size_t keymat_len(void *self, uint8_t encr, uint16_t key_bits, uint8_t integ)
{
	struct esp_suite s;
	(void)self;
	return esp_suite(encr, key_bits, integ, &s) ? 0 : esp_suite_keymat(&s);
}

static int alloc_spi(void *self, uint64_t chan, uint32_t *ret_spi)
{
	struct esp *esp = self;
	struct esp_chan *c = esp_chan_find(esp, chan);
	if (!c)
		return -ESTALE;
	unsigned slot = 0;
	while (slot < ESP_RESERVED_MAX && c->reserved[slot].spi)
		slot++;
	if (slot == ESP_RESERVED_MAX)
		return -ENOSPC;
	for (unsigned tries = 0; tries < 64; tries++) {
		uint32_t spi;
		vd_random_seen("spi", &spi, sizeof(spi));
		spi = (spi & 0xffffff00u) | c->c.home;
		if (spi >> 8 == 0 || spi_find(esp, spi))
			continue;
		esp_spi_take(esp, &c->reserved[slot], spi, c);
		*ret_spi = spi;
		return 0;
	}
	return -EAGAIN;
}

static void free_spi(void *self, uint32_t spi)
{
	struct esp_spi *s = spi_find(self, spi);
	if (s && (s = reserved(s->chan, spi)))
		esp_spi_give(self, s);
}

void esp_sa_free(struct esp_sa *sa)
{
	if (!sa)
		return;
	esp_crypt_fini(&sa->crypt);
	vd_secret_free(sa->desc.keymat);
	free(sa);
}

int esp_sa_make(struct esp_chan *c, const struct vd_esp_sa *desc, bool in, struct esp_sa **ret_sa)
{
	struct esp_suite suite;
	int rc = esp_suite(desc->encr, desc->key_bits, desc->integ, &suite);
	if (rc < 0)
		return rc;
	if (!desc->keymat || vd_secret_len(desc->keymat) != esp_suite_keymat(&suite) || desc->spi < 256)
		return -EINVAL;
	uint32_t window = desc->window ? desc->window : ESP_WINDOW;
	struct esp_sa *sa = calloc(1, sizeof(*sa) + (in ? esp_window_words(window) * sizeof(uint64_t) : 0));
	if (!sa)
		return -ENOMEM;
	sa->chan = c;
	sa->in = in;
	sa->desc = *desc;
	sa->desc.keymat = vd_secret_ref(desc->keymat);
	esp_limits(&suite, &sa->desc);
	if (in)
		esp_window_init(&sa->window, window, (uint64_t *)(sa + 1));
	rc = esp_crypt_init(&sa->crypt, &suite, desc->keymat, in);
	if (rc < 0) {
		esp_sa_free(sa);
		return rc;
	}
	sa->crypt.esn = desc->esn;
	*ret_sa = sa;
	return 0;
}

struct sa_op {
	struct esp *esp;
	struct esp_sa *sa;
	uint64_t chan;
	bool in;
	uint16_t mtu;
	void (*done)(void *arg);
	void *arg;
};

static void w_install(struct vd_worker *w, void *arg)
{
	struct sa_op *op = arg;
	struct esp_sa *sa = op->sa;
	if (op->in) {
		esp_table_add(vd_worker_state(w, esp_slot), sa);
		return;
	}
	sa->chain = sa->chan->c.lower; /* the newest is used for sending */
	sa->chan->c.lower = sa;
	sa->chan->c.mtu = op->mtu;
}

static void installed(void *arg)
{
	struct sa_op *op = arg;
	struct esp_chan *c = esp_chan_find(op->esp, op->chan);
	if (op->done)
		op->done(op->arg);
	c = c ? esp_chan_find(op->esp, op->chan) : NULL;
	if (c) {
		*(op->in ? &c->have_in : &c->have_out) = true;
		if (c->have_in && c->have_out && !c->up) {
			c->up = true;
			vd_chan_set_up(c->c.id);
		}
	}
	free(op);
}

int esp_sa_install(struct esp *esp, struct esp_sa *sa, void (*done)(void *arg), void *arg)
{
	struct esp_chan *c = sa->chan;
	struct esp_sa **list = sa->in ? &c->in : &c->out;
	struct sa_op *op = calloc(1, sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = (struct sa_op){ esp, sa, c->c.id, sa->in, 0, done, arg };
	op->mtu = esp_mtu(&sa->crypt.suite, &c->control_path, c->c.outer);
	int rc = esp->dp->call(esp->dp->self, c->c.home, w_install, installed, op);
	if (rc < 0) {
		free(op);
		return rc;
	}
	while (*list)
		list = &(*list)->next;
	*list = sa;
	if (sa->in) {
		esp_spi_take(esp, &sa->taken, sa->desc.spi, c);
	} else {
		struct vd_chan_info *info = vd_chan_find(c->c.id);
		if (info)
			info->mtu = op->mtu;
	}
	return 0;
}

static int install(struct esp *esp, const struct vd_esp_sa *desc, bool in, void (*done)(void *arg), void *arg)
{
	struct esp_chan *c = esp_chan_find(esp, desc->chan);
	struct esp_sa *sa;
	unsigned n = 0;
	if (!c)
		return -ESTALE;
	for (struct esp_sa *s = in ? c->in : c->out; s; s = s->next)
		n++;
	if (n >= ESP_SAS_MAX)
		return -ENOSPC;
	if (in && (desc->spi & 255) != c->c.home)
		return -EINVAL;
	struct esp_spi *mine = in ? reserved(c, desc->spi) : NULL;
	if (in ? !mine && spi_find(esp, desc->spi) : sa_find(c->out, desc->spi) != NULL)
		return -EEXIST;
	int rc = esp_sa_make(c, desc, in, &sa);
	if (rc < 0)
		return rc;
	rc = esp_sa_install(esp, sa, done, arg);
	if (rc < 0)
		esp_sa_free(sa);
	else if (mine)
		esp_spi_give(esp, mine);
	return rc;
}

static int install_in(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg)
{
	return install(self, sa, true, done, arg);
}

static int install_out(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg)
{
	return install(self, sa, false, done, arg);
}

static void w_remove(struct vd_worker *w, void *arg)
{
	struct esp_sa *sa = arg, *newer = sa->chan->c.lower;
	if (sa->in) {
		esp_table_del(vd_worker_state(w, esp_slot), sa);
		return;
	}
	if (newer == sa)
		sa->chan->c.lower = sa->chain;
	while (newer && newer->chain != sa)
		newer = newer->chain;
	if (newer)
		newer->chain = sa->chain;
}

static void removed(void *arg)
{
	esp_sa_free(arg);
}

static void sa_remove(struct esp *esp, uint64_t chan, uint32_t spi, bool in)
{
	struct esp_chan *c = esp_chan_find(esp, chan);
	struct esp_sa *sa = c ? sa_find(in ? c->in : c->out, spi) : NULL, **at;
	if (!sa || esp->dp->call(esp->dp->self, c->c.home, w_remove, removed, sa) < 0)
		return; /* unknown; without memory it stays until the channel goes */
	for (at = in ? &c->in : &c->out; *at != sa; at = &(*at)->next)
		continue;
	*at = sa->next;
	esp_spi_give(esp, &sa->taken);
}

static void remove_in(void *self, uint64_t chan, uint32_t spi)
{
	sa_remove(self, chan, spi, true);
}

static void remove_out(void *self, uint64_t chan, uint32_t spi)
{
	sa_remove(self, chan, spi, false);
}

void esp_on_soft(void *arg, uint64_t chan, uint64_t sa)
{
	struct esp_chan *c = esp_chan_find(arg, chan);
	vd_count("esp_userspace.soft_limit", 1);
	if (c && c->events && c->events->soft)
		c->events->soft(c->arg, chan, (uint32_t)sa);
}

void esp_on_hard(void *arg, uint64_t chan, uint64_t sa)
{
	struct esp_chan *c = esp_chan_find(arg, chan);
	struct vd_ids ids = { c ? c->c.peer : 0, chan, 0 };
	vd_count("esp_userspace.hard_limit", 1);
	if (!c)
		return;
	vd_log(VD_LOG_NOTICE, "esp", &ids, "SA %08x reached its limit and is gone", (unsigned)(uint32_t)sa);
	sa_remove(arg, chan, (uint32_t)sa, sa & ESP_TOLD_IN);
	if (c->events && c->events->hard)
		c->events->hard(c->arg, chan, (uint32_t)sa);
}

void esp_on_first(void *arg, uint64_t chan, uint64_t spi)
{
	struct esp_chan *c = esp_chan_find(arg, chan);
	if (c && c->events && c->events->first_in)
		c->events->first_in(c->arg, chan, (uint32_t)spi);
}

void esp_on_cut(void *arg, uint64_t chan, uint64_t cut)
{
	vd_count(cut ? "esp_userspace.cut_icv" : "esp_userspace.whole_icv", 1);
	if (esp_chan_find(arg, chan))
		vd_note('c', chan, cut ? "the peer cuts HMAC-SHA2-256 to 96 bits (Android up to 7, old Linux): so do we" :
			"the peer sends whole HMAC-SHA2-256 values after all: so do we");
}

void esp_sa_service(struct vd_esp_1 *service)
{
	service->keymat_len = keymat_len;
	service->alloc_spi = alloc_spi;
	service->free_spi = free_spi;
	service->install_in = install_in;
	service->install_out = install_out;
	service->remove_in = remove_in;
	service->remove_out = remove_out;
}
