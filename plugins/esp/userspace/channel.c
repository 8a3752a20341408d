/* Viaduct: channels made of SAs, on the control thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/log.h>

#include "mb.h"

static const struct vd_chan_ops ops = { .send = esp_output };

static struct esp_chan **bucket(struct esp *esp, uint64_t id)
{
	return &esp->chan[id % ESP_BUCKETS];
}

/* Channels that are being closed are not found. */
struct esp_chan *esp_chan_find(struct esp *esp, uint64_t id)
{
	struct esp_chan *c = *bucket(esp, id);
	while (c && (c->c.id != id || c->closing))
		c = c->next;
	return c;
}

static void w_table(struct vd_worker *w, void *arg)
{
	struct esp *esp = arg;
	vd_worker_set_state(w, esp_slot, esp->table[vd_worker_index(w)]);
}

/* The workers' tables: made with the first channel, because workers exist only after the plugins' start. */
int esp_tables(struct esp *esp)
{
	unsigned n = esp->dp->workers(esp->dp->self);
	if (esp->tables)
		return 0;
	if (!n)
		return -ESHUTDOWN;
	for (unsigned i = 0; i < n; i++) {
		if (esp->table[i])
			continue;
		esp->table[i] = calloc(1, sizeof(*esp->table[i]));
		if (!esp->table[i])
			return -ENOMEM;
		esp->table[i]->mb = esp_mb_new(); /* without it OpenSSL does all */
	}
	int rc = esp->dp->call_all(esp->dp->self, w_table, NULL, esp);
	esp->tables = !rc;
	return rc;
}

struct esp_chan *esp_chan_make(struct esp *esp, uint64_t id, uint64_t peer, uint8_t home, enum vd_esp_mode mode,
	const struct vd_path *path, uint16_t outer, const char *upper)
{
	struct esp_chan *c = esp_tables(esp) < 0 ? NULL : calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->c = (struct vd_chan){ .id = id, .peer = peer, .home = home, .flags = VD_CHAN_PROTECTED, .head = 8 + 16,
		.tail = 15 + 2 + ESP_ICV_MAX, .ops = &ops,
		.local = path->local.ip, .remote = path->remote.ip };
	c->c.outer = outer ? outer : esp->dp->outer_mtu(esp->dp->self, path);
	c->c.mtu = esp_mtu(NULL, path, c->c.outer);
	c->esp = esp;
	c->path = c->control_path = *path;
	c->mode = mode;
	c->last_in = vd_now();
	vd_strcpy(c->upper, sizeof(c->upper), upper);
	if (esp->dp->chan_add(esp->dp->self, &c->c, NULL, NULL) < 0) {
		free(c);
		return NULL;
	}
	c->next = *bucket(esp, id);
	*bucket(esp, id) = c;
	return c;
}

/* Unlinks and frees; its worker must have given it back. */
void esp_chan_free(struct esp *esp, struct esp_chan *c)
{
	struct esp_sa *sa;
	for (struct esp_chan **at = bucket(esp, c->c.id); *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	for (unsigned i = 0; i < ESP_RESERVED_MAX; i++)
		esp_spi_give(esp, &c->reserved[i]);
	while ((sa = c->in)) {
		c->in = sa->next;
		esp_spi_give(esp, &sa->taken);
		esp_sa_free(sa);
	}
	while ((sa = c->out)) {
		c->out = sa->next;
		esp_sa_free(sa);
	}
	free(c);
}

static int chan_new(void *self, uint64_t peer, enum vd_esp_mode mode, const struct vd_path *path, const char *upper,
	const struct vd_esp_events *events, void *arg, uint64_t *ret_chan)
{
	struct esp *esp = self;
	if (esp_tables(esp) < 0)
		return -ESHUTDOWN;
	struct vd_chan_info *info = vd_chan_record(peer, upper, esp_mtu(NULL, path, VD_OUTER_MTU), &esp_maker, esp);
	if (!info)
		return -ENOMEM;
	uint64_t id = info->id;
	info->protected_ = true;
	struct esp_chan *c = esp_chan_make(esp, id, peer, info->home, mode, path, 0, upper);
	if (!c) {
		vd_chan_gone(id, "no memory for the channel");
		return -ENOMEM;
	}
	info->mtu = c->c.mtu;
	c->events = events;
	c->arg = arg;
	*ret_chan = id;
	return 0;
}

static int chan_adopt(void *self, uint64_t chan, const struct vd_esp_events *events, void *arg)
{
	struct esp_chan *c = esp_chan_find(self, chan);
	if (!c)
		return -ESTALE;
	c->events = events;
	c->arg = arg;
	return 0;
}

struct path_op {
	struct esp_chan *c;
	struct vd_path path;
	uint16_t outer;
	void (*done)(void *arg);
	void *arg;
};

static void w_path(struct vd_worker *w, void *arg)
{
	struct path_op *op = arg;
	const struct esp_sa *sa = op->c->c.lower;
	op->c->path = op->path;
	op->c->c.local = op->path.local.ip;
	op->c->c.remote = op->path.remote.ip;
	op->c->c.mtu = esp_mtu(sa ? &sa->crypt.suite : NULL, &op->path, op->c->c.outer);
	vd_worker_narrow(w, &op->c->c, op->outer); /* its sessions have what the first path took */
}

static void path_set(void *arg)
{
	struct path_op *op = arg;
	if (op->done)
		op->done(op->arg);
	free(op);
}

int esp_chan_path(void *self, uint64_t chan, const struct vd_path *path, void (*done)(void *arg), void *arg)
{
	struct esp *esp = self;
	struct esp_chan *c = esp_chan_find(esp, chan);
	struct path_op *op = c ? malloc(sizeof(*op)) : NULL;
	if (!op)
		return c ? -ENOMEM : -ESTALE;
	*op = (struct path_op){ c, *path, esp->dp->outer_mtu(esp->dp->self, path), done, arg };
	int rc = esp->dp->call(esp->dp->self, c->c.home, w_path, path_set, op);
	if (rc < 0)
		free(op);
	else
		c->control_path = *path;
	return rc;
}

/* The only place where it is taken back: set_path may run while what was told is still on its way, and the control thread
 * reads c->seen then. */
static void w_unused_path(struct vd_worker *w, void *arg)
{
	(void)w;
	((struct esp_chan *)arg)->seen_told = false;
}

void esp_on_moved(void *arg, uint64_t chan, uint64_t unused)
{
	struct esp *esp = arg;
	struct esp_chan *c = esp_chan_find(esp, chan);
	(void)unused;
	if (!c)
		return;
	/* The worker does not write it again before seen_told is taken back. */
	struct vd_path seen = c->seen;
	if (c->events && c->events->rebind)
		c->events->rebind(c->arg, chan, &seen);
	c = esp_chan_find(esp, chan);
	if (c)
		esp->dp->call(esp->dp->self, c->c.home, w_unused_path, NULL, c);
}

void esp_on_alive(void *arg, uint64_t chan, uint64_t unused)
{
	struct esp_chan *c = esp_chan_find(arg, chan);
	(void)unused;
	if (c)
		c->last_in = vd_now();
}

void esp_on_unanswered(void *arg, uint64_t chan, uint64_t unused)
{
	struct esp_chan *c = esp_chan_find(arg, chan);
	(void)unused;
	if (c && c->events && c->events->unanswered)
		c->events->unanswered(c->arg, chan);
}

static uint64_t idle(void *self, uint64_t chan)
{
	struct esp_chan *c = esp_chan_find(self, chan);
	return c ? vd_now() - c->last_in : UINT64_MAX;
}

static void w_close(struct vd_worker *w, void *arg)
{
	struct esp_chan *c = arg;
	for (struct esp_sa *sa = c->in; sa; sa = sa->next)
		esp_table_del(vd_worker_state(w, esp_slot), sa);
	c->c.lower = NULL;
}

static void closed(void *arg)
{
	struct esp_close *op = arg;
	struct esp_chan *c = op->c;
	free(op);
	if (!c)
		return; /* the plugin ended meanwhile and freed it */
	uint64_t id = c->c.id;
	char reason[VD_ID_TEXT];
	vd_strcpy(reason, sizeof(reason), c->reason);
	esp_chan_free(c->esp, c);
	vd_chan_gone(id, reason);
}

static void chan_close(void *self, uint64_t chan, const char *reason)
{
	struct esp *esp = self;
	struct esp_chan *c = esp_chan_find(esp, chan);
	if (!c)
		return;
	struct esp_close *op = malloc(sizeof(*op));
	if (op)
		op->c = c;
	vd_strcpy(c->reason, sizeof(c->reason), reason);
	/* First out of the worker's tables, then the channel itself: in order, so the second acknowledgement is enough. */
	if (!op || esp->dp->call(esp->dp->self, c->c.home, w_close, NULL, c) < 0 ||
		esp->dp->chan_remove(esp->dp->self, chan, closed, op) < 0) {
		free(op);
		struct vd_ids ids = { c->c.peer, chan, 0 };
		vd_log(VD_LOG_ERROR, "esp", &ids, "channel cannot be closed now: its worker does not keep up");
		return;
	}
	c->closing = true;
	c->close = op;
}

const struct vd_chan_maker esp_maker = { "esp_userspace", chan_close, idle };

void esp_chan_service(struct vd_esp_1 *service)
{
	service->chan_new = chan_new;
	service->set_path = esp_chan_path;
	service->chan_adopt = chan_adopt;
}
