/* Field tables of the core's topics. */
#include <viaduct/topics.h>

#include "core/bus.h"
#include "core/report/report.h"

#define ID(strct, member, letter) VD_FIELD_X(strct, member, VD_F_ID, 0, letter)
#define EVENT(name_, fields_, doc_)                                                                    \
	const struct vd_topic vd_topic_##name_ = { .name = #name_, .kind = VD_EVENT,                   \
		.pressure = VD_PRESSURE_KEEP, .size = sizeof(struct vd_##name_), .fields = fields_,    \
		.n_fields = VD_ARRAY_SIZE(fields_), .doc = doc_ }

static const struct vd_field peer_up_fields[] = {
	ID(vd_peer_up, peer, "p"), VD_FIELD(vd_peer_up, connection, VD_F_TEXT), VD_FIELD(vd_peer_up, local, VD_F_SA),
	VD_FIELD(vd_peer_up, remote, VD_F_SA), VD_FIELD(vd_peer_up, identity, VD_F_TEXT),
	VD_FIELD(vd_peer_up, suite, VD_F_TEXT), VD_FIELD(vd_peer_up, profile, VD_F_TEXT),
	VD_FIELD(vd_peer_up, version, VD_F_TEXT), VD_FIELD(vd_peer_up, home, VD_F_U8),
};
EVENT(peer_up, peer_up_fields, "a peer authenticated");

static const struct vd_field peer_down_fields[] = {
	ID(vd_peer_down, peer, "p"), VD_FIELD(vd_peer_down, reason, VD_F_TEXT),
};
EVENT(peer_down, peer_down_fields, "nothing of the peer is left");

static const struct vd_field chan_up_fields[] = {
	ID(vd_chan_up, chan, "c"), ID(vd_chan_up, peer, "p"), VD_FIELD(vd_chan_up, connection, VD_F_TEXT),
	VD_FIELD(vd_chan_up, upper, VD_F_TEXT), VD_FIELD(vd_chan_up, mtu, VD_F_U16), VD_FIELD(vd_chan_up, home, VD_F_U8),
};
EVENT(chan_up, chan_up_fields, "a channel to the peer works in both directions");

static const struct vd_field chan_down_fields[] = {
	ID(vd_chan_down, chan, "c"), ID(vd_chan_down, peer, "p"), VD_FIELD(vd_chan_down, reason, VD_F_TEXT),
};
EVENT(chan_down, chan_down_fields, "the channel is gone");

static const struct vd_field l2tp_tunnel_up_fields[] = {
	ID(vd_l2tp_tunnel_up, chan, "c"), ID(vd_l2tp_tunnel_up, peer, "p"), VD_FIELD(vd_l2tp_tunnel_up, local_id, VD_F_U16),
	VD_FIELD(vd_l2tp_tunnel_up, remote_id, VD_F_U16), VD_FIELD(vd_l2tp_tunnel_up, host_name, VD_F_TEXT),
	VD_FIELD(vd_l2tp_tunnel_up, vendor_name, VD_F_TEXT),
};
EVENT(l2tp_tunnel_up, l2tp_tunnel_up_fields, "an L2TP tunnel is established");

static const struct vd_field session_new_fields[] = {
	ID(vd_session_new, session, "s"), ID(vd_session_new, chan, "c"), ID(vd_session_new, peer, "p"),
	VD_FIELD(vd_session_new, connection, VD_F_TEXT),
};
EVENT(session_new, session_new_fields, "a session was begun");

static const struct vd_field auth_ok_fields[] = {
	ID(vd_auth_ok, session, "s"), VD_FIELD(vd_auth_ok, user, VD_F_TEXT), VD_FIELD(vd_auth_ok, realm, VD_F_TEXT),
	VD_FIELD(vd_auth_ok, provider, VD_F_TEXT), VD_FIELD(vd_auth_ok, method, VD_F_TEXT),
};
EVENT(auth_ok, auth_ok_fields, "the user proved who he is");

static const struct vd_field auth_failed_fields[] = {
	ID(vd_auth_failed, session, "s"), VD_FIELD(vd_auth_failed, user, VD_F_TEXT),
	VD_FIELD(vd_auth_failed, realm, VD_F_TEXT), VD_FIELD(vd_auth_failed, method, VD_F_TEXT),
	VD_FIELD(vd_auth_failed, reason, VD_F_TEXT),
};
EVENT(auth_failed, auth_failed_fields, "the user did not prove who he is");

static const struct vd_field session_up_fields[] = {
	ID(vd_session_up, session, "s"), ID(vd_session_up, chan, "c"), ID(vd_session_up, peer, "p"),
	VD_FIELD(vd_session_up, user, VD_F_TEXT), VD_FIELD(vd_session_up, connection, VD_F_TEXT),
	VD_FIELD(vd_session_up, address, VD_F_IP), VD_FIELD(vd_session_up, mtu, VD_F_U16),
	VD_FIELD(vd_session_up, dialled, VD_F_BOOL), VD_FIELD(vd_session_up, network, VD_F_PREFIX),
};
EVENT(session_up, session_up_fields, "packets flow");

static const struct vd_field session_ipv6_fields[] = {
	ID(vd_session_ipv6, session, "s"), VD_FIELD(vd_session_ipv6, up, VD_F_BOOL),
	VD_FIELD(vd_session_ipv6, network, VD_F_PREFIX), VD_FIELD(vd_session_ipv6, local, VD_F_IP),
	VD_FIELD(vd_session_ipv6, remote, VD_F_IP),
};
EVENT(session_ipv6, session_ipv6_fields, "a session that is up carries IPv6, or no longer");

static const struct vd_field session_down_fields[] = {
	ID(vd_session_down, session, "s"), ID(vd_session_down, chan, "c"), ID(vd_session_down, peer, "p"),
	VD_FIELD(vd_session_down, user, VD_F_TEXT), VD_FIELD(vd_session_down, connection, VD_F_TEXT),
	VD_FIELD(vd_session_down, reason, VD_F_TEXT), VD_FIELD(vd_session_down, address, VD_F_IP),
	VD_FIELD(vd_session_down, packets_in, VD_F_U64), VD_FIELD(vd_session_down, octets_in, VD_F_U64),
	VD_FIELD(vd_session_down, packets_out, VD_F_U64), VD_FIELD(vd_session_down, octets_out, VD_F_U64),
	VD_FIELD_X(vd_session_down, duration_ms, VD_F_U64, VD_FIELD_MS, NULL),
};
EVENT(session_down, session_down_fields, "the workers gave up the session; counters are final");

static const struct vd_field session_gone_fields[] = { ID(vd_session_gone, session, "s") };
EVENT(session_gone, session_gone_fields, "no request of the session is open; grants are freed");

static const struct vd_field lease_returned_fields[] = {
	ID(vd_lease_returned, session, "s"), VD_FIELD(vd_lease_returned, family, VD_F_U8),
};
EVENT(lease_returned, lease_returned_fields, "a session gives back what it leased of this family");

static const char *const trusts[] = { "none", "address", "key", "user", NULL };
static const struct vd_field setup_failed_fields[] = {
	ID(vd_setup_failed, peer, "p"), ID(vd_setup_failed, chan, "c"), ID(vd_setup_failed, session, "s"),
	VD_FIELD(vd_setup_failed, kind, VD_F_TEXT),
	VD_FIELD_X(vd_setup_failed, trust, VD_F_ENUM, 0, trusts), VD_FIELD(vd_setup_failed, dialled, VD_F_BOOL),
	VD_FIELD(vd_setup_failed, stage, VD_F_TEXT), VD_FIELD(vd_setup_failed, remote, VD_F_SA),
	VD_FIELD(vd_setup_failed, user, VD_F_TEXT), VD_FIELD(vd_setup_failed, connection, VD_F_TEXT),
	VD_FIELD(vd_setup_failed, offered, VD_F_TEXT), VD_FIELD(vd_setup_failed, configured, VD_F_TEXT),
	VD_FIELD(vd_setup_failed, difference, VD_F_TEXT), VD_FIELD(vd_setup_failed, remedy, VD_F_TEXT),
	VD_FIELD(vd_setup_failed, origin, VD_F_TEXT), VD_FIELD(vd_setup_failed, client, VD_F_TEXT),
	VD_FIELD(vd_setup_failed, text, VD_F_TEXT),
};
EVENT(setup_failed, setup_failed_fields, "a set-up failed, and why");

static const struct vd_field pool_up_fields[] = {
	VD_FIELD(vd_pool_up, pool, VD_F_TEXT), VD_FIELD(vd_pool_up, first, VD_F_IP), VD_FIELD(vd_pool_up, last, VD_F_IP),
	VD_FIELD(vd_pool_up, gateway, VD_F_IP),
};
EVENT(pool_up, pool_up_fields, "a pool of addresses is there");
static const struct vd_field pool_down_fields[] = {
	VD_FIELD(vd_pool_down, pool, VD_F_TEXT), VD_FIELD(vd_pool_down, first, VD_F_IP),
	VD_FIELD(vd_pool_down, last, VD_F_IP), VD_FIELD(vd_pool_down, gateway, VD_F_IP),
};
EVENT(pool_down, pool_down_fields, "a pool of addresses is no longer there");

static const struct vd_field address_reserved_fields[] = {
	VD_FIELD(vd_address_reserved, pool, VD_F_TEXT), VD_FIELD(vd_address_reserved, address, VD_F_IP),
	VD_FIELD(vd_address_reserved, user, VD_F_TEXT), VD_FIELD(vd_address_reserved, source, VD_F_TEXT),
};
EVENT(address_reserved, address_reserved_fields, "an address belongs to one user");
static const struct vd_field address_released_fields[] = {
	VD_FIELD(vd_address_released, pool, VD_F_TEXT), VD_FIELD(vd_address_released, address, VD_F_IP),
	VD_FIELD(vd_address_released, user, VD_F_TEXT), VD_FIELD(vd_address_released, source, VD_F_TEXT),
};
EVENT(address_released, address_released_fields, "an address belongs to nobody in particular again");

/* ---- requests ---- */
static const char *const auth_methods[] = { "pap", "chap-md5", "mschapv2", "eap", NULL };
static const struct vd_field authenticate_fields[] = {
	ID(vd_authenticate, session, "s"), ID(vd_authenticate, peer, "p"), VD_FIELD(vd_authenticate, connection, VD_F_TEXT),
	VD_FIELD(vd_authenticate, realm, VD_F_TEXT), VD_FIELD(vd_authenticate, user, VD_F_TEXT),
	VD_FIELD_X(vd_authenticate, method, VD_F_ENUM, 0, auth_methods), VD_FIELD(vd_authenticate, id, VD_F_U8),
	/* A challenge with its response allows guessing the password offline. */
	VD_FIELD_X(vd_authenticate, challenge, VD_F_BYTES, VD_FIELD_SECRET, NULL),
	VD_FIELD_X(vd_authenticate, peer_challenge, VD_F_BYTES, VD_FIELD_SECRET, NULL),
	VD_FIELD_X(vd_authenticate, response, VD_F_BYTES, VD_FIELD_SECRET, NULL),
	VD_FIELD_X(vd_authenticate, data, VD_F_BLOB, VD_FIELD_SECRET, NULL),
};
static const struct vd_field authenticated_fields[] = {
	VD_FIELD(vd_authenticated, user, VD_F_TEXT),
	VD_FIELD_X(vd_authenticated, authenticator, VD_F_TEXT, VD_FIELD_SECRET, NULL),
	VD_FIELD_X(vd_authenticated, send_key, VD_F_BYTES, VD_FIELD_SECRET, NULL),
	VD_FIELD_X(vd_authenticated, recv_key, VD_F_BYTES, VD_FIELD_SECRET, NULL),
	VD_FIELD(vd_authenticated, address, VD_F_IP), VD_FIELD(vd_authenticated, network, VD_F_IP),
	VD_FIELD(vd_authenticated, pool, VD_F_TEXT),
	VD_FIELD(vd_authenticated, session_timeout, VD_F_U32), VD_FIELD(vd_authenticated, idle_timeout, VD_F_U32),
	VD_FIELD_X(vd_authenticated, data, VD_F_BLOB, VD_FIELD_SECRET, NULL),
};
const struct vd_topic vd_topic_authenticate = { .name = "authenticate", .kind = VD_REQUEST, .pressure = VD_PRESSURE_KEEP,
	.size = sizeof(struct vd_authenticate), .fields = authenticate_fields,
	.n_fields = VD_ARRAY_SIZE(authenticate_fields), .answer_size = sizeof(struct vd_authenticated),
	.answer_fields = authenticated_fields, .n_answer_fields = VD_ARRAY_SIZE(authenticated_fields),
	.doc = "is this user who he claims to be" };

static const struct vd_field admit_fields[] = {
	ID(vd_admit, session, "s"), VD_FIELD(vd_admit, user, VD_F_TEXT), VD_FIELD(vd_admit, connection, VD_F_TEXT),
};
const struct vd_topic vd_topic_admit = { .name = "admit", .kind = VD_REQUEST, .pressure = VD_PRESSURE_KEEP,
	.size = sizeof(struct vd_admit), .fields = admit_fields, .n_fields = VD_ARRAY_SIZE(admit_fields),
	.doc = "may this user have a session" };

static const struct vd_field lease_address_fields[] = {
	ID(vd_lease_address, session, "s"), VD_FIELD(vd_lease_address, user, VD_F_TEXT),
	VD_FIELD(vd_lease_address, pool, VD_F_TEXT), VD_FIELD(vd_lease_address, family, VD_F_U8),
	VD_FIELD(vd_lease_address, want, VD_F_IP), VD_FIELD(vd_lease_address, length, VD_F_U8),
};
static const struct vd_field leased_address_fields[] = {
	VD_FIELD(vd_leased_address, address, VD_F_IP), VD_FIELD(vd_leased_address, gateway, VD_F_IP),
	VD_FIELD(vd_leased_address, dns, VD_F_IPS), VD_FIELD(vd_leased_address, wins, VD_F_IPS),
	VD_FIELD(vd_leased_address, search, VD_F_TEXT), VD_FIELD(vd_leased_address, length, VD_F_U8),
};
const struct vd_topic vd_topic_lease_address = { .name = "lease_address", .kind = VD_REQUEST,
	.pressure = VD_PRESSURE_KEEP, .size = sizeof(struct vd_lease_address), .fields = lease_address_fields,
	.n_fields = VD_ARRAY_SIZE(lease_address_fields), .answer_size = sizeof(struct vd_leased_address),
	.answer_fields = leased_address_fields, .n_answer_fields = VD_ARRAY_SIZE(leased_address_fields),
	.doc = "an address for the session" };

static const struct vd_field route_add_fields[] = {
	ID(vd_route_add, session, "s"), VD_FIELD(vd_route_add, prefix, VD_F_PREFIX), VD_FIELD(vd_route_add, own, VD_F_BOOL),
};
const struct vd_topic vd_topic_route_add = { .name = "route_add", .kind = VD_REQUEST, .pressure = VD_PRESSURE_KEEP,
	.size = sizeof(struct vd_route_add), .fields = route_add_fields, .n_fields = VD_ARRAY_SIZE(route_add_fields),
	.doc = "a route to a network behind the session's client, or to itself" };

static const struct vd_field dialled_routes_fields[] = {
	ID(vd_dialled_routes, session, "s"), VD_FIELD(vd_dialled_routes, address, VD_F_IP),
	VD_FIELD(vd_dialled_routes, gateway, VD_F_IP),
};
const struct vd_topic vd_topic_dialled_routes = { .name = "dialled_routes", .kind = VD_REQUEST,
	.pressure = VD_PRESSURE_KEEP, .size = sizeof(struct vd_dialled_routes), .fields = dialled_routes_fields,
	.n_fields = VD_ARRAY_SIZE(dialled_routes_fields), .doc = "address and routes of a session that we dialled" };

static const struct vd_field held_way_fields[] = {
	VD_FIELD(vd_held_way, connection, VD_F_TEXT),
};
const struct vd_topic vd_topic_held_way = { .name = "held_way", .kind = VD_REQUEST, .pressure = VD_PRESSURE_KEEP,
	.size = sizeof(struct vd_held_way), .fields = held_way_fields, .n_fields = VD_ARRAY_SIZE(held_way_fields),
	.doc = "the way to a gateway around routes that are held" };

static const struct vd_field routes_free_fields[] = {
	VD_FIELD(vd_routes_free, connection, VD_F_TEXT),
};
EVENT(routes_free, routes_free_fields, "routes of a connection are held no longer");

const struct vd_topic *const vd_core_topics[] = {
	&vd_topic_peer_up, &vd_topic_peer_down, &vd_topic_chan_up, &vd_topic_chan_down, &vd_topic_l2tp_tunnel_up,
	&vd_topic_session_new, &vd_topic_auth_ok, &vd_topic_auth_failed, &vd_topic_session_up,
	&vd_topic_session_ipv6, &vd_topic_session_down,
	&vd_topic_session_gone, &vd_topic_lease_returned, &vd_topic_setup_failed, &vd_topic_pool_up, &vd_topic_pool_down,
	&vd_topic_address_reserved, &vd_topic_address_released, &vd_topic_authenticate, &vd_topic_admit,
	&vd_topic_lease_address, &vd_topic_route_add, &vd_topic_dialled_routes,
	&vd_topic_held_way, &vd_topic_routes_free, NULL,
};
