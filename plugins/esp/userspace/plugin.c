/* Viaduct: plugin esp_userspace. */
#include <errno.h>
#include <stdlib.h>

#include "mb.h"

static int init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct esp *esp = calloc(1, sizeof(*esp));
	if (!esp)
		return vd_error_set(err, -ENOMEM, "out of memory");
	esp->host = host;
	esp->dp = vd_service_find("datapath/1", NULL);
	esp->service.self = esp;
	esp_sa_service(&esp->service);
	esp_chan_service(&esp->service);
	int slot = esp->dp ? vd_worker_slot(host) : -ENOSYS, rc = slot;
	if (slot >= 0) {
		esp_slot = (unsigned)slot;
		rc = esp->dp->esp_input(esp->dp->self, esp_input);
	}
	if (rc >= 0)
		rc = vd_service_provide(host, "esp/1", NULL, &esp->service);
	if (rc >= 0)
		rc = vd_layer_register(host, &esp_layer, esp);
	const char *trouble = esp_mb_trouble();
	if (rc >= 0 && esp->dp->cap(esp->dp->self, VD_CAP_MB, !trouble, trouble))
		rc = esp_mb_start();
	if (rc < 0) {
		free(esp);
		return vd_error_set(err, rc, "ESP cannot join the data path");
	}
	*ret_self = esp;
	return 0;
}

static void w_leave(struct vd_worker *w, void *arg)
{
	(void)arg;
	vd_worker_set_state(w, esp_slot, NULL);
}

static void fini(void *self)
{
	struct esp *esp = self;
	/* No threads any more: commands run at once. */
	esp->dp->esp_input(esp->dp->self, NULL);
	if (esp->tables)
		esp->dp->call_all(esp->dp->self, w_leave, NULL, NULL);
	for (unsigned b = 0; b < ESP_BUCKETS; b++)
		while (esp->chan[b]) {
			struct esp_chan *c = esp->chan[b];
			if (c->closing)
				c->close->c = NULL;
			else
				esp->dp->chan_remove(esp->dp->self, c->c.id, NULL, NULL);
			esp_chan_free(esp, c);
		}
	for (unsigned i = 0; i < VD_MAX_WORKERS; i++) {
		if (esp->table[i])
			esp_mb_free(esp->table[i]->mb);
		free(esp->table[i]);
	}
	esp_mb_stop();
	free(esp);
}

static const char *const provides[] = { "esp/1", NULL };
static const char *const needs[] = { "datapath/1", NULL };

static const struct vd_log_area log_areas[] = {
	{ "esp", "ESP" },
	{ NULL, NULL },
};

VD_PLUGIN(esp_userspace, .version = "0.1", .license = "MIT", .log_areas = log_areas, .summary = "ESP in userspace threads",
	.provides = provides, .needs = needs, .init = init, .fini = fini);
