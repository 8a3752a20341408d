/* Mode config: what a client with a tunnel needs to know, asked (pull) or not (push), and what Cisco's Unity clients add to
 * it: Apple's, Android's and vpnc are such. */
#include "v1.h"

#include <string.h>
#include <sys/socket.h>

/* Networks of a split tunnel that fit. */
#define ROUTES_MAX 64u

static const struct vd_conf_node *option(const struct vd_session *s, const char *name)
{
	const struct vd_conf_node *all = vd_conf_at(s->conf, NULL, "connections");
	const struct vd_conf_node *one = all != NULL ? vd_conf_child(all, s->connection) : NULL;

	return one != NULL ? vd_conf_at(s->conf, one, name) : NULL;
}

static void put_ip(struct ike_out *out, uint16_t type, const struct vd_ip *ip)
{
	if (ip->family == AF_INET)
		ike_out_attr(out, type, ip->a, 4);
}

static void put_ips(struct ike_out *out, uint16_t type, const struct vd_ip *ips, size_t n)
{
	for (size_t i = 0; i < n && ips[i].family != 0; i++)
		put_ip(out, type, &ips[i]);
}

static void put_text(struct ike_out *out, uint16_t type, const char *text)
{
	if (text != NULL && text[0] != '\0')
		ike_out_attr(out, type, text, strlen(text));
}

/* Address, mask, and six octets for protocol and ports: any. All networks are in one attribute. */
static void put_routes(struct ike_out *out, const struct vd_prefix *routes, size_t n)
{
	uint8_t room[14 * ROUTES_MAX];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	for (size_t i = 0; i < n; i++) {
		vd_wr_put(&w, routes[i].ip.a, 4);
		vd_wr_u32(&w, routes[i].len != 0 ? UINT32_MAX << (32 - routes[i].len) : 0);
		vd_wr_zero(&w, 6);
	}
	if (n > 0 && vd_wr_ok(&w))
		ike_out_attr(out, IKE_UNITY_SPLIT_INCLUDE, room, w.len);
}

static const uint16_t known[] = { IKE_CFG_IP4_ADDRESS, IKE_CFG_IP4_NETMASK, IKE_CFG_IP4_DNS, IKE_CFG_IP4_NBNS,
	IKE_CFG_APPLICATION_VERSION, IKE_CFG_SUPPORTED, IKE_UNITY_BANNER, IKE_UNITY_SAVE_PASSWORD, IKE_UNITY_DEF_DOMAIN,
	IKE_UNITY_SPLIT_DNS, IKE_UNITY_SPLIT_INCLUDE, IKE_UNITY_PFS };

static void put_supported(struct ike_out *out)
{
	uint8_t room[2 * VD_ARRAY_SIZE(known)];
	struct vd_wr w;

	vd_wr_init(&w, room, sizeof(room));
	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		vd_wr_u16(&w, known[i]);
	ike_out_attr(out, IKE_CFG_SUPPORTED, room, w.len);
}

static void put(struct ike_out *out, const struct vd_session *s, uint16_t type)
{
	static const struct vd_ip host = { AF_INET, { 255, 255, 255, 255 } };
	const struct vd_leased_address *lease = &s->lease4;
	struct vd_prefix routes[ROUTES_MAX];
	size_t too_many = 0, n = vd_session_routes(s, AF_INET, routes, ROUTES_MAX, &too_many);

	switch (type) {
	case IKE_CFG_IP4_ADDRESS: put_ip(out, type, &lease->address); break;
	case IKE_CFG_IP4_NETMASK: put_ip(out, type, &host); break;
	case IKE_CFG_IP4_DNS: put_ips(out, type, lease->dns, VD_ARRAY_SIZE(lease->dns)); break;
	case IKE_CFG_IP4_NBNS: put_ips(out, type, lease->wins, VD_ARRAY_SIZE(lease->wins)); break;
	case IKE_CFG_APPLICATION_VERSION: put_text(out, type, "Viaduct"); break;
	case IKE_CFG_SUPPORTED: put_supported(out); break;
	case IKE_UNITY_BANNER: put_text(out, type, vd_conf_str(option(s, "xauth.banner"))); break;
	case IKE_UNITY_SAVE_PASSWORD:
		if (vd_conf_bool(option(s, "xauth.save_password")))
			ike_out_attr16(out, type, 1);
		break;
	case IKE_UNITY_DEF_DOMAIN: put_text(out, type, lease->search); break;
	case IKE_UNITY_SPLIT_DNS: put_text(out, type, n > 0 ? lease->search : NULL); break;
	case IKE_UNITY_SPLIT_INCLUDE:
		put_routes(out, routes, n);
		if (too_many > 0)
			vd_log(VD_LOG_WARNING, "ike", &(struct vd_ids){ .session = s->id },
				"%zu of %s's routes do not fit into mode config: make fewer of them, or a full tunnel of it", too_many,
				s->connection);
		break;
	case IKE_UNITY_PFS: ike_out_attr16(out, type, 0); break; /* taken when offered, never demanded */
	default: break; /* what we do not have is not answered */
	}
}

static const struct vd_session *session_of(const struct ike_v1_sa *sa)
{
	return sa->peer->session != 0 ? vd_session_find(sa->peer->session) : NULL;
}

void ike_v1_cfg_reply(const struct ike_v1_sa *sa, const struct ike_cfg *request, struct ike_v1_sealed *m)
{
	const struct vd_session *s = session_of(sa);
	uint32_t done = 0; /* of known: each once, whatever is asked how often */

	vd_count("ike_v1.mode_config", 1);
	ike_out_cfg(&m->out, IKE_CFG_REPLY, request->id);
	for (unsigned i = 0; s != NULL && i < request->n; i++)
		for (size_t k = 0; k < VD_ARRAY_SIZE(known); k++)
			if (request->v[i].type == known[k] && !(done >> k & 1)) {
				done |= 1u << k;
				put(&m->out, s, known[k]);
			}
}

void ike_v1_cfg_push(const struct ike_v1_sa *sa, struct ike_v1_sealed *m)
{
	const struct vd_session *s = session_of(sa);

	vd_count("ike_v1.mode_config", 1);
	for (size_t k = 0; s != NULL && k < VD_ARRAY_SIZE(known); k++)
		if (known[k] != IKE_CFG_SUPPORTED)
			put(&m->out, s, known[k]);
}
