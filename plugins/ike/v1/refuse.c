/* Refusals: the one way by which an exchange is not served. Whoever refuses says three things at once: which counter it is, what
 * the other side is told, and the report that explains it; so none of them can be forgotten, and lint sees that nobody goes
 * around this file. What cannot be attributed to anybody, as garbage under a message id, is dropped and counted by itself. */
#include "v1.h"

#include <string.h>
#include <sys/socket.h>

/* Reports of one source in that time, and of all. What is beyond them is counted: a refusal must not cost more than it saves. */
#define WINDOW_MS 10000u
#define SOURCE_MAX 20u
#define ALL_MAX 200u

static bool window_take(struct ike_v1_window *w, unsigned most)
{
	uint64_t now = vd_now();

	if (w->count == 0 || now - w->since >= WINDOW_MS)
		*w = (struct ike_v1_window){ .since = now };
	return w->count < most && ++w->count > 0;
}

/* Whoever may have forged the address is held up by vd_report_failure() itself. */
static bool report_allowed(struct ike_v1 *v, const struct vd_ip *source)
{
	uint64_t h = v->secret;

	for (unsigned i = 0; i < (source->family == AF_INET6 ? 8 : 4); i++)
		h = (h ^ source->a[i]) * 0x9e3779b97f4a7c15u;
	if (window_take(&v->refused[(h ^ h >> 29) % IKE_V1_REFUSED], SOURCE_MAX) && window_take(&v->refused_all, ALL_MAX))
		return true;
	vd_count("ike_v1.unreported", 1);
	return false;
}

/* In the clear, before there are keys: a hint that authenticates nothing. */
static void plain(struct ike_v1 *v, const struct vd_path *path, const uint8_t *icookie, const uint8_t *rcookie, uint16_t type)
{
	struct ike_header h = { .exchange = IKE_X_INFORMATIONAL };
	struct ike_out out;
	uint8_t room[64];

	memcpy(h.icookie, icookie, IKE_COOKIE_LEN);
	memcpy(h.rcookie, rcookie, IKE_COOKIE_LEN);
	vd_random_seen("message id", &h.mid, sizeof(h.mid));
	ike_out_init(&out, room, sizeof(room), &h);
	ike_out_notify(&out, IKE_PROTO_ISAKMP, type, NULL, 0, NULL, 0);
	int len = ike_out_finish(&out);
	if (len > 0)
		ike_v1_send(v, path, room, (size_t)len);
}

void ike_v1_refuse_first(struct ike_v1 *v, const struct vd_path *path, const struct ike_header *h, const char *counter,
	uint16_t notify, struct vd_report report)
{
	vd_count(counter, 1);
	report.remote = &path->remote;
	if (!report.answered || report_allowed(v, &path->remote.ip))
		vd_report_failure(&report);
	if (notify != IKE_V1_SILENT)
		plain(v, path, h->icookie, h->rcookie, notify);
}

static void tell(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, uint16_t notify)
{
	if (notify == IKE_V1_SILENT)
		return;
	if (sa->state == IKE_V1_UP)
		ike_v1_info_notify(sa, path, protocol, notify, NULL, 0, NULL, 0);
	else
		plain(sa->v, path, sa->icookie, sa->rcookie, notify);
}

void ike_v1_refuse(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, const char *counter, uint16_t notify,
	struct vd_report report)
{
	vd_count(counter, 1);
	if (sa->unproven || report_allowed(sa->v, &path->remote.ip))
		ike_v1_failed(sa, report);
	tell(sa, path, protocol, notify);
}

void ike_v1_refuse_offers(struct ike_v1_sa *sa, const struct vd_path *path, uint8_t protocol, const char *counter,
	struct vd_report report, unsigned phase, const struct ike_offers *offers, const char *connection, bool have_ke)
{
	vd_count(counter, 1);
	if (sa->unproven || report_allowed(sa->v, &path->remote.ip))
		ike_v1_failed_offers(sa, report, phase, offers, connection, have_ke);
	tell(sa, path, protocol, IKE_N_NO_PROPOSAL_CHOSEN);
}

struct vd_report ike_v1_too_many(size_t len)
{
	return (struct vd_report){ .kind = &ike_fail_too_much, .count = len, .offered = "algorithms",
		.configured = "64 combinations in 1600 octets" };
}

struct vd_report ike_v1_too_many_half_open(bool answered)
{
	return (struct vd_report){ .kind = &vd_fail_resources, .stage = "phase1", .answered = answered,
		.difference = "there are as many unfinished logins as may be: in all (ike_port.half_open), or from this address while many "
		"are under way (ike_port.half_open_per_source)" };
}

struct vd_report ike_v1_too_much_work(void)
{
	return (struct vd_report){ .kind = &vd_fail_resources, .stage = "phase1",
		.difference = "more key exchanges wait for the gateway's processor than it takes in" };
}
