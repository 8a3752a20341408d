/* Diffie-Hellman in the pool. A job owns its memory: when its owner goes first, the pool's last word frees it. */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pool thread. */
static int dh_run(struct vd_job *job)
{
	struct ike_v1_dh *dh = VD_CONTAINER_OF(job, struct ike_v1_dh, job);
	size_t len;

	int rc = dh->key != NULL ? 0 : vd_dh_new(dh->group, &dh->key);
	if (rc < 0)
		return rc;
	const uint8_t *own = vd_dh_public(dh->key, &len);
	if (len != dh->len)
		rc = -EINVAL;
	else
		memcpy(dh->own, own, len);
	if (rc == 0 && !dh->own_only)
		rc = vd_dh_shared(dh->key, dh->peer, dh->len, &dh->shared);
	return rc;
}

static void dh_free(struct ike_v1_dh *dh)
{
	vd_dh_free(dh->key);
	vd_secret_free(dh->shared);
	free(dh);
}

static void dh_done(struct vd_job *job, int result)
{
	struct ike_v1_dh *dh = VD_CONTAINER_OF(job, struct ike_v1_dh, job);

	dh->done(dh, result);
	dh_free(dh);
}

static void dh_orphaned(struct vd_job *job)
{
	dh_free(VD_CONTAINER_OF(job, struct ike_v1_dh, job));
}

struct ike_v1_dh *ike_v1_dh_start(unsigned group, struct vd_dh *key, const uint8_t *peer, size_t len, enum vd_work_class work,
	void (*done)(struct ike_v1_dh *dh, int result), void *owner)
{
	struct ike_v1_dh *dh;

	if (peer == NULL)
		len = vd_dh_public_len(group);
	dh = len == 0 || len > VD_DH_MAX_PUBLIC || len != vd_dh_public_len(group) ? NULL : calloc(1, sizeof(*dh));
	if (dh == NULL) {
		vd_dh_free(key);
		return NULL;
	}
	dh->key = key;
	dh->own_only = peer == NULL;
	dh->job.run = dh_run;
	dh->job.done = dh_done;
	/* Of a whole exchange; of those that are cheaper than the unit they are charged for, nothing is learned. */
	dh->job.units = (uint16_t)(key != NULL || peer == NULL || (vd_dh_cost(group) == 1 && group != 14) ? 0 : vd_dh_cost(group));
	dh->done = done;
	dh->owner = owner;
	dh->group = group;
	dh->len = len;
	if (peer != NULL)
		memcpy(dh->peer, peer, len);
	if (vd_work_submit(&dh->job, work) < 0) {
		vd_count("ike_v1.work_full", 1);
		dh_free(dh);
		return NULL;
	}
	return dh;
}

void ike_v1_dh_cancel(struct ike_v1_dh **dh)
{
	if (*dh != NULL && vd_work_cancel(&(*dh)->job, dh_orphaned))
		dh_free(*dh);
	*dh = NULL;
}

bool ike_v1_dh_afford(unsigned group, const struct vd_ip *source, enum vd_standing standing)
{
	return vd_budget_take(VD_COST_DH, vd_dh_cost(group), &(struct vd_budget_from){
		.source = standing == VD_STANDING_FORGEABLE ? NULL : source, .standing = standing });
}
