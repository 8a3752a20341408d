/* Sessions that carry nothing for as long as their idle_timeout says end. Workers count packets and tell nobody of each,
 * so the counters are looked at several times in that period: a session ends at the earliest after idle_timeout, at the
 * latest an eighth (or a second) later. echoes of control protocols are no traffic: they are not counted. */
#include <config.h>

#include <viaduct/plugin.h>

#include "core/session/session.h"

static uint64_t patience_ms(const struct vd_session_rec *rec)
{
	return rec->pub.granted.idle_timeout * 1000ull;
}

static void look_again(struct vd_session_rec *rec)
{
	uint64_t step = patience_ms(rec) / 8, left = rec->idle_since + patience_ms(rec) - vd_now();

	if (step < 1000)
		step = 1000;
	vd_timer_start(&rec->idle, left < step ? left : step);
}

static void counted(void *arg, uint64_t session, const struct vd_session_counters *counters)
{
	struct vd_session_rec *rec = vd_session_rec(session);
	uint64_t carried;

	(void)arg;
	if (!rec || rec->pub.state != VD_S_UP)
		return;
	if (counters)
		vd_session_count_in(rec, counters);
	carried = rec->pub.counters.packets_in + rec->pub.counters.packets_out;
	if (carried != rec->idle_carried) {
		rec->idle_carried = carried;
		rec->idle_since = vd_now();
	} else if (vd_now() - rec->idle_since >= patience_ms(rec)) {
		vd_session_close(session, "idle timeout", false);
		return;
	}
	look_again(rec);
}

static void look(struct vd_timer *t)
{
	struct vd_session_rec *rec = VD_CONTAINER_OF(t, struct vd_session_rec, idle);
	const struct vd_datapath_1 *dp = vd_service_find("datapath/1", NULL);

	if (rec->pub.state != VD_S_UP)
		return;
	if (!dp || dp->session_counters(dp->self, rec->pub.id, counted, NULL) < 0)
		vd_timer_start(&rec->idle, 1000); /* the worker's inbox is full */
}

void vd_session_idle_begin(struct vd_session_rec *rec)
{
	vd_timer_init(&rec->idle, look);
	if (!rec->pub.granted.idle_timeout)
		return;
	rec->idle_since = vd_now();
	rec->idle_carried = rec->pub.counters.packets_in + rec->pub.counters.packets_out;
	look_again(rec);
}
