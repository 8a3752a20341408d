/* Viaduct: the data path without threads and sockets: what tests put in, and what they see leaving. Control thread. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/datapath/dp.h"

int vd_datapath_start_inline(unsigned workers)
{
	struct vd_ip ip;
	vd_ip_parse("192.0.2.1", &ip);
	return vd_datapath_start_inline_at(workers, &ip);
}

int vd_datapath_start_inline_at(unsigned workers, const struct vd_ip *v4)
{
	struct vd_ip listen[2] = { *v4 };
	vd_ip_parse("2001:db8::1", &listen[1]);
	return vd_datapath_start_inline_on(workers, listen, 2);
}

int vd_datapath_start_inline_on(unsigned workers, const struct vd_ip *listen, size_t n)
{
	struct vd_datapath *dp = dp_instance;
	if (!dp || dp->started || !workers || workers > VD_MAX_WORKERS || n > DP_ENDPOINTS)
		return -EINVAL;
	dp->started = dp->inline_mode = true;
	dp_caps_inline(&dp->caps);
	int rc = dp_workers_make(dp, workers);
	if (rc)
		return rc;
	dp->n_ep = (unsigned)n;
	for (size_t e = 0; e < n; e++) {
		dp->ep[e].local = (struct vd_sa){ .ip = listen[e], .port = dp->natt_port };
		for (unsigned i = 0; i < workers; i++)
			dp->w[i]->listen[e] = dp->ep[e].local;
	}
	for (unsigned i = 0; i < workers; i++)
		dp->w[i]->n_listen = (unsigned)n;
	return 0;
}

void vd_datapath_capture(void (*fn)(void *arg, const struct vd_datapath_sent *sent), void *arg)
{
	struct vd_datapath *dp = dp_instance;
	dp->capture = fn;
	dp->capture_arg = arg;
	for (unsigned i = 0; i < dp->n_workers; i++) {
		dp->w[i]->capture = fn;
		dp->w[i]->capture_arg = arg;
	}
}

void vd_datapath_conceal(void)
{
	for (unsigned i = 0; i < dp_instance->n_workers; i++)
		dp_instance->w[i]->conceal = true;
}

void vd_datapath_full(bool on)
{
	for (unsigned i = 0; i < dp_instance->n_workers; i++)
		dp_instance->w[i]->full = on;
}

void vd_datapath_inject(int worker, const struct vd_path *path, const void *p, size_t len, size_t seg)
{
	struct vd_datapath *dp = dp_instance;
	if (worker < 0) {
		dp_control_datagram(dp, path, p, len, seg);
		return;
	}
	struct vd_worker *w = dp->w[worker];
	w->now = vd_now();
	if (path->remote.port)
		dp_in_udp(w, path, p, len, seg, NULL);
	else
		dp_in_esp(w, path, p, len, NULL);
	if (!dp->gathering)
		dp_in_flush(w);
	w->touched = 0;
	dp_drain_later(dp);
}

void vd_datapath_gather(bool on)
{
	struct vd_datapath *dp = dp_instance;
	dp->gathering = on;
	for (unsigned i = 0; i < dp->n_workers && !on; i++) {
		dp_in_flush(dp->w[i]);
		dp_out_flush(dp->w[i]);
		dp->w[i]->touched = 0;
	}
	dp_drain_later(dp);
}

void vd_datapath_refuse(int error)
{
	for (unsigned i = 0; i < dp_instance->n_workers; i++)
		dp_instance->w[i]->refuse = error;
}

void vd_datapath_inject_tun(unsigned worker, const uint8_t *vnet, const void *p, size_t len)
{
	static const uint8_t none[DP_VNET];
	struct vd_worker *w = dp_instance->w[worker];
	w->now = vd_now();
	dp_out_tun(w, vnet ? vnet : none, p, len, NULL);
	if (!dp_instance->gathering)
		dp_out_flush(w);
	w->touched = 0;
	dp_drain_later(dp_instance);
}

void vd_datapath_turn(void)
{
	struct vd_datapath *dp = dp_instance;
	/* Twice: what a worker hands to one before it is handled in the same turn. */
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < dp->n_workers; i++) {
			dp->w[i]->now = vd_now();
			dp_send_held(dp->w[i]);
			dp_worker_rings(dp->w[i]);
			dp->w[i]->touched = 0;
		}
	dp_drain(dp);
}

uint64_t vd_datapath_drops(enum vd_drop why)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < dp_instance->n_workers; i++)
		n += dp_instance->w[i]->drops[why];
	return n;
}

unsigned vd_datapath_buffers(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < dp_instance->n_workers; i++)
		n += DP_BUFS - dp_instance->w[i]->n_free;
	return n;
}
