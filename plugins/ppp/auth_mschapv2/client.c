/* MS-CHAPv2 toward a gateway that we dialled (RFC 2759): challenge in, response out; then the gateway says no, in words
 * for our user, or proves that it knows the password as well. */
#include "../lib/chap.h"
#include "client.h"

#include <viaduct/conf.h>
#include <viaduct/crypto.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/record.h>
#include <viaduct/report.h>
#include <viaduct/secret.h>
#include <viaduct/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESPONSE_MS 3000 /* Success may get lost, and only we can ask for it again (RFC 1994 section 4.2) */
#define RESPONSE_TRIES 10
#define AUTHENTICATOR 42 /* "S=" and 40 digits */

enum state { WAITING, RESPONDED, ACCEPTED, REJECTED };

struct client {
	uint64_t session;
	const struct vd_ppp_auth_host *host;
	void *host_arg;
	struct vd_timer timer; /* repeats the Response */
	enum state state;
	uint8_t id, tries;
	uint8_t challenge[16];
	char authenticator[AUTHENTICATOR + 1]; /* that the gateway must say */
	uint8_t packet[4 + 1 + 49 + VD_USER_MAX];
	size_t len;
	uint8_t nt_hash[16];
	char user[VD_USER_MAX], connection[VD_NAME_MAX];
};

static void send_response(struct client *c)
{
	c->tries++;
	c->host->send(c->host_arg, CHAP, c->packet, c->len);
	vd_timer_start(&c->timer, RESPONSE_MS);
}

static void reject(struct client *c, const struct vd_failure *kind, const char *why, const char *remedy)
{
	const struct vd_session *session = vd_session_find(c->session);
	const struct vd_conf_node *node = session ? vd_conf_at(session->conf, NULL, "connections") : NULL;
	const char *odd;
	char at[256] = "";
	size_t n;

	node = node ? vd_conf_child(node, c->connection) : NULL;
	odd = kind == &vd_fail_refused ? vd_conf_odd(vd_conf_child(node, "password")) : NULL;
	if (node)
		vd_conf_origin(vd_conf_child(node, "user"), at, sizeof(at));
	n = strlen(at);
	if (odd)
		vd_format(at + n, sizeof(at) - n, ", whose password %s", odd);
	c->state = REJECTED;
	vd_timer_stop(&c->timer);
	vd_report_failure(&(struct vd_report){ .kind = kind, .stage = "auth", .session = c->session,
		.connection = c->connection, .user = c->user, .dialled = true, .configured = "the gateway",
		.difference = why, .remedy = remedy, .origin = at });
	c->host->rejected(c->host_arg, why);
}

static void timer_fired(struct vd_timer *t)
{
	struct client *c = VD_CONTAINER_OF(t, struct client, timer);

	if (c->state != RESPONDED)
		return;
	if (c->tries >= RESPONSE_TRIES)
		reject(c, &vd_fail_other, "the gateway never said whether our password is right",
			"see the gateway's log: its source of users may not answer");
	else
		send_response(c);
}

static int answer(struct client *c)
{
	uint8_t peer_challenge[16], response[24];
	struct vd_wr w;
	int r;

	vd_random_seen("challenge", peer_challenge, sizeof(peer_challenge));
	r = vd_mschapv2_response(c->challenge, peer_challenge, c->user, c->nt_hash, response);
	if (r == 0)
		r = vd_mschapv2_authenticator(c->nt_hash, response, c->challenge, peer_challenge, c->user,
			c->authenticator);
	if (r < 0)
		return r;
	vd_wr_init(&w, c->packet, sizeof(c->packet));
	vd_wr_u8(&w, CODE_RESPONSE);
	vd_wr_u8(&w, c->id);
	vd_wr_u16(&w, (uint16_t)(4 + 1 + 49 + strlen(c->user)));
	vd_wr_u8(&w, 49);
	vd_wr_put(&w, peer_challenge, sizeof(peer_challenge));
	vd_wr_zero(&w, 8);
	vd_wr_put(&w, response, sizeof(response));
	vd_wr_u8(&w, 0);
	vd_wr_put(&w, c->user, strlen(c->user));
	vd_conceal(response, sizeof(response));
	c->len = w.len;
	return vd_wr_ok(&w) ? 0 : -ENOSPC;
}

static void challenged(struct client *c, uint8_t id, struct vd_rd *body)
{
	uint8_t challenge[16];

	if (vd_rd_u8(body) != sizeof(challenge) || !vd_rd_copy(body, challenge, sizeof(challenge))) {
		vd_count("ppp_auth_mschapv2.drop.challenge", 1);
		return;
	}
	/* The same question gets the same answer: what the gateway judges now may be an earlier copy of it. */
	if (c->state == WAITING || id != c->id || !vd_same(challenge, c->challenge, sizeof(challenge))) {
		c->id = id;
		memcpy(c->challenge, challenge, sizeof(challenge));
		c->tries = 0;
		if (answer(c) < 0) {
			reject(c, &vd_fail_resources, "the answer to the gateway's challenge cannot be computed", NULL);
			return;
		}
	}
	if (c->state != ACCEPTED)
		c->state = RESPONDED;
	if (c->tries < RESPONSE_TRIES)
		send_response(c);
	if (c->state == ACCEPTED)
		vd_timer_stop(&c->timer); /* asked once more while we are in: it repeats, not we */
}

static void succeeded(struct client *c, struct vd_rd *body)
{
	struct vd_authenticated who = { 0 };
	char said[AUTHENTICATOR] = "";

	if (c->state != RESPONDED) {
		vd_count("ppp_auth_mschapv2.repeated", 1);
		return;
	}
	/* A gateway that does not know the password takes anybody, and can only not say this (RFC 2759 section 5). */
	vd_rd_copy(body, said, sizeof(said));
	for (size_t i = 2; i < sizeof(said); i++)
		if (said[i] >= 'a' && said[i] <= 'f')
			said[i] = (char)(said[i] - 'a' + 'A');
	vd_conceal(said, sizeof(said));
	if (!vd_rd_ok(body) || !vd_verified(vd_same(said, c->authenticator, sizeof(said)))) {
		vd_count("ppp_auth_mschapv2.false_gateway", 1);
		reject(c, &vd_fail_other, "the gateway does not know our password: it is not the one we meant",
			"find out who answers at this address; anybody with the pre-shared key can");
		return;
	}
	c->state = ACCEPTED;
	vd_timer_stop(&c->timer);
	vd_strcpy(who.user, sizeof(who.user), c->user);
	c->host->accepted(c->host_arg, &who);
}

static const char *words_of(unsigned code)
{
	static const struct { unsigned code; const char *words; } known[] = {
		{ 646, "not at this time of day" },
		{ 647, "the account is disabled" },
		{ 648, "the password has expired" },
		{ 649, "no permission to dial in, or its source of users does not answer" },
		{ 691, "wrong user name or password" },
		{ 709, "the password cannot be changed" },
	};

	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		if (known[i].code == code)
			return known[i].words;
	return "refused";
}

/* "E=691 R=0 C=... V=3 M=text" (RFC 2759 section 6); some send less. */
static void failed(struct client *c, struct vd_rd *body)
{
	char text[200], why[VD_ID_TEXT];
	const uint8_t *p;
	const char *at, *says;
	unsigned code = 0;
	size_t len;

	if (c->state != RESPONDED) {
		vd_count("ppp_auth_mschapv2.repeated", 1);
		return;
	}
	p = vd_rd_rest(body, &len);
	vd_text_safe(text, sizeof(text), p, len);
	at = strstr(text, "E=");
	if (at)
		code = (unsigned)strtoul(at + 2, NULL, 10);
	says = strstr(text, " M=");
	if (code)
		vd_format(why, sizeof(why), "%s (%u)%s%.40s%s", words_of(code), code,
			says && says[3] ? "; it says \"" : "", says ? says + 3 : "", says && says[3] ? "\"" : "");
	else
		vd_format(why, sizeof(why), "refused%s%.60s", text[0] ? ": " : "", text);
	reject(c, &vd_fail_refused, why, code == 649 ? "see the gateway's log" :
		"correct user and password of the connection, or the account on the gateway");
}

static void client_input(void *self, void *state, const uint8_t *p, size_t len)
{
	struct client *c = state;
	struct vd_rd body;
	uint8_t code, id;

	(void)self;
	if (!ppp_chap_parse(p, len, &code, &id, &body)) {
		vd_count("ppp_auth_mschapv2.drop.length", 1);
		return;
	}
	if (c->state == REJECTED)
		return;
	if (code == CODE_CHALLENGE) {
		challenged(c, id, &body);
		return;
	}
	if (code != CODE_SUCCESS && code != CODE_FAILURE) {
		vd_count("ppp_auth_mschapv2.drop.code", 1);
		return;
	}
	if (c->state == WAITING || id != c->id) {
		vd_count("ppp_auth_mschapv2.drop.id", 1);
		return;
	}
	if (code == CODE_SUCCESS)
		succeeded(c, &body);
	else
		failed(c, &body);
}

static int client_start(void *self, uint64_t session, const struct vd_ppp_auth_host *host, void *host_arg,
	void **ret_state)
{
	const struct vd_session *s = vd_session_find(session);
	const struct vd_conf_node *node = s ? vd_conf_at(s->conf, NULL, "connections") : NULL;
	const struct vd_secret *password;
	const char *user;
	struct client *c;
	int r;

	(void)self;
	node = node ? vd_conf_child(node, s->connection) : NULL;
	user = node ? vd_conf_str(vd_conf_at(s->conf, node, "user")) : NULL;
	password = node ? vd_conf_secret(vd_conf_at(s->conf, node, "password")) : NULL;
	if (!user || !password)
		return -ENOKEY;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->session = session;
	c->host = host;
	c->host_arg = host_arg;
	vd_timer_init(&c->timer, timer_fired);
	vd_strcpy(c->user, sizeof(c->user), user);
	vd_strcpy(c->connection, sizeof(c->connection), s->connection);
	r = vd_mschap_nt_hash((const char *)vd_secret_data(password), vd_secret_len(password), c->nt_hash);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret_state = c;
	return 0;
}

static void client_end(void *self, void *state)
{
	struct client *c = state;

	(void)self;
	vd_timer_stop(&c->timer);
	vd_wipe(c, sizeof(*c));
	free(c);
}

const struct vd_ppp_auth_1 mschapv2_client = { .protocol = CHAP, .option = { 0xc2, 0x23, 0x81 }, .option_len = 3,
	.strength = 30, .start = client_start, .input = client_input, .end = client_end };
