/* Viaduct: service datapath/1: what the data path can, does and drops. Control thread, except the functions named w_*,
 * which are what the commands run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/datapath/dp.h"

const char *vd_work_name(enum vd_work what)
{
	static const char *const names[VD_WORK_MAX] = {
		[VD_WORK_RECVS] = "receives", [VD_WORK_DATAGRAMS] = "datagrams", [VD_WORK_SEGMENTS] = "segments",
		[VD_WORK_HANDED] = "handed_over", [VD_WORK_TUN_READS] = "tun_reads", [VD_WORK_TUN_SUPERS] = "tun_supers",
		[VD_WORK_TUN_SEGMENTS] = "tun_segments", [VD_WORK_TUN_WRITES] = "tun_writes",
		[VD_WORK_TUN_COALESCED] = "tun_coalesced", [VD_WORK_SENDS] = "sends", [VD_WORK_SENT] = "sent",
		[VD_WORK_BATCHES] = "batches", [VD_WORK_GSO_REFUSED] = "gso_refused",
	};
	return (unsigned)what < VD_WORK_MAX ? names[what] : "unknown";
}

struct info_op {
	struct vd_datapath_info info;
	void (*done)(void *arg, const struct vd_datapath_info *info);
	void (*drops)(void *arg, const uint64_t *counts);
	void *arg;
};

static void w_info(struct vd_worker *w, void *arg)
{
	struct info_op *op = arg;
	memcpy(op->info.work[w->index], w->work, sizeof(w->work));
	memcpy(op->info.drops[w->index], w->drops, sizeof(w->drops));
}

static void info_done(void *arg)
{
	struct info_op *op = arg;
	if (op->done) {
		op->done(op->arg, &op->info);
	} else {
		uint64_t counts[VD_DROP_MAX] = { 0 };
		for (unsigned i = 0; i < op->info.workers; i++)
			for (unsigned d = 0; d < VD_DROP_MAX; d++)
				counts[d] += op->info.drops[i][d];
		op->drops(op->arg, counts);
	}
	free(op);
}

static int ask(struct vd_datapath *dp, const struct info_op *want)
{
	struct info_op *op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	*op = *want;
	op->info.workers = dp->n_workers;
	memcpy(op->info.caps, dp->caps.v, sizeof(op->info.caps));
	int rc = dp_call_all(dp, w_info, op, info_done, op);
	if (rc < 0)
		free(op);
	return rc;
}

int dp_drops(void *self, void (*done)(void *arg, const uint64_t *counts), void *arg)
{
	struct info_op op = { .drops = done, .arg = arg };
	return ask(self, &op);
}

int dp_info(void *self, void (*done)(void *arg, const struct vd_datapath_info *info), void *arg)
{
	struct info_op op = { .done = done, .arg = arg };
	return ask(self, &op);
}

bool dp_cap(void *self, enum vd_cap cap, bool there, const char *why)
{
	struct vd_datapath *dp = self;
	dp_cap_set(&dp->caps, cap, there, why);
	return dp->caps.v[cap].on;
}
