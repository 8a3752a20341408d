/* One report of one failed set-up: what its maker left out is looked up, then it is put into words and told to all. */
#include <string.h>

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/quirk.h>
#include <viaduct/text.h>

#include "core/report/report.h"
#include "core/session/session.h"

/* What forged datagrams can provoke: events of each kind, and what is remembered at all. */
#define FORGED_EVENTS 3
#define FORGED_EVENTS_MS 60000
/* What a key that many have can provoke. */
#define KEY_EVENTS 100
#define KEY_EVENTS_MS 10000
#define FORGED_REMEMBERED 50
#define FORGED_REMEMBERED_MS 1000
/* Items of a list that the sentence shows; the fields have all that fit. */
#define SHOWN_OFFERED 8
#define SHOWN_CONFIGURED 3

struct window {
	uint64_t since, count;
};
/* By kind. Copies of one failure in several plugins are one kind; where there are more kinds than room, the last place is of all. */
#define KINDS_MAX 192
static struct kind_limits {
	char word[VD_FAILURE_WORD];
	struct window events, keyed;
} kinds[KINDS_MAX];
static struct window remembered;

static bool allowed(struct window *w, unsigned burst, uint64_t ms)
{
	uint64_t now = vd_now();

	if (!w->count || now - w->since >= ms)
		*w = (struct window){ .since = now };
	return w->count++ < burst;
}

void vd_report_limits_reset(void)
{
	memset(kinds, 0, sizeof(kinds));
	memset(&remembered, 0, sizeof(remembered));
}

static struct kind_limits *limits_of(const char *word)
{
	size_t i = 0;

	while (i + 1 < KINDS_MAX && kinds[i].word[0] && strcmp(kinds[i].word, word))
		i++;
	if (!kinds[i].word[0])
		vd_strcpy(kinds[i].word, sizeof(kinds[i].word), word);
	return &kinds[i];
}

/* ---- words ---- */
/* A list "a, b, c; d, e, f" with at most keep items between semicolons. */
static void shorten(const char *list, unsigned keep, char *out, size_t size)
{
	unsigned n = 0;
	size_t len = 0;

	for (const char *p = list; *p && len + 6 < size;) {
		size_t item = strcspn(p, ",;");
		bool last = p[item] != ',';

		if (n < keep)
			len += vd_format(out + len, size - len, "%.*s", (int)(item + (p[item] != '\0')), p);
		else
			len += vd_format(out + len, size - len, "%s%s", n == keep ? " ..." : "", p[item] == ';' ? ";" : "");
		n = last ? 0 : n + 1;
		p += item + (p[item] != '\0');
	}
	out[len < size ? len : size - 1] = '\0';
}

struct words {
	const struct vd_setup_failed *e;
	uint64_t count;
	char offered[384], configured[384];
};

static const char *value(const struct words *w, const char *name, size_t len, char *room, size_t size)
{
	const struct vd_setup_failed *e = w->e;
	const struct { const char *name, *text; } texts[] = { { "offered", w->offered }, { "configured", w->configured },
		{ "difference", e->difference }, { "connection", e->connection }, { "user", e->user },
		{ "peer", e->dialled ? "gateway" : "client" } };

	for (size_t i = 0; i < VD_ARRAY_SIZE(texts); i++)
		if (strlen(texts[i].name) == len && !strncmp(texts[i].name, name, len))
			return texts[i].text;
	if (len == 5 && !strncmp(name, "count", 5))
		vd_format(room, size, "%llu", (unsigned long long)w->count);
	else if (len == 4 && !strncmp(name, "none", 4))
		vd_format(room, size, w->count == 1 ? "not the one" : "none of the %llu", (unsigned long long)w->count);
	else if (len == 2 && !strncmp(name, "at", 2) && e->origin[0])
		vd_format(room, size, " (%s)", e->origin);
	else
		return "";
	return room;
}

static void expand(const struct words *w, const char *pattern, char *out, size_t size)
{
	size_t len = 0;
	char room[160];

	for (const char *p = pattern; *p;) {
		size_t n = strcspn(p, "{");

		len += vd_format(out + len, size - len, "%.*s", (int)n, p);
		p += n;
		if (*p) {
			n = strcspn(++p, "}");
			len += vd_format(out + len, size - len, "%s", value(w, p, n, room, sizeof(room)));
			p += n + (p[n] != '\0');
		}
	}
	out[len < size ? len : size - 1] = '\0';
}

#define SHOWN_TEXTS 4

struct texts {
	const char *v[SHOWN_TEXTS];
	unsigned n;
};

/* In order, each once: several plugins may say the same. */
static void add_text(void *arg, const struct vd_shown *shown)
{
	struct texts *t = arg;
	unsigned at = 0;

	while (at < t->n && strcmp(t->v[at], shown->text) < 0)
		at++;
	if (t->n == SHOWN_TEXTS || (at < t->n && !strcmp(t->v[at], shown->text)))
		return;
	memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof(t->v[0]));
	t->v[at] = shown->text;
	t->n++;
}

static void client_sees(const struct vd_failure *kind, const char *profile, char *out, size_t size)
{
	const char *family = vd_quirk(profile, VD_QUIRK_SHOWS);
	struct texts texts = { .n = 0 };
	size_t len = 0;

	if (family && !*family)
		return; /* its user reads a log */
	vd_failure_shown(kind->word, family, add_text, &texts);
	for (unsigned i = 0; i < texts.n; i++)
		len += vd_format(out + len, size - len, "%s%s", i ? "; " : "", texts.v[i]);
}

static void compose(const struct vd_report *r, struct vd_setup_failed *e, const char *profile)
{
	const struct vd_failure *t = r->kind ? r->kind : &vd_fail_other;
	const char *remedy = e->dialled && t->dial ? t->dial : t->remedy;
	struct words w = { .e = e, .count = r->count };
	size_t len;

	vd_text_safe_string(e->offered, sizeof(e->offered), r->offered ? r->offered : "");
	vd_text_safe_string(e->configured, sizeof(e->configured), r->configured ? r->configured : "");
	vd_text_safe_string(e->difference, sizeof(e->difference), r->difference ? r->difference : "");
	vd_strcpy(e->origin, sizeof(e->origin), r->origin && strcmp(r->origin, "default") ? r->origin : "");
	shorten(e->offered, SHOWN_OFFERED, w.offered, sizeof(w.offered));
	shorten(e->configured, SHOWN_CONFIGURED, w.configured, sizeof(w.configured));
	if (!e->difference[0] && t->difference)
		expand(&w, t->difference, e->difference, sizeof(e->difference));
	if (r->remedy && r->remedy[0])
		vd_text_safe_string(e->remedy, sizeof(e->remedy), r->remedy);
	else if (remedy)
		expand(&w, remedy, e->remedy, sizeof(e->remedy));
	if (r->client)
		vd_strcpy(e->client, sizeof(e->client), r->client);
	else if (!e->dialled)
		client_sees(t, profile, e->client, sizeof(e->client));
	expand(&w, t->say, e->text, sizeof(e->text));
	len = strlen(e->text);
	vd_format(e->text + len, sizeof(e->text) - len, "%s%s%s%s%s", e->remedy[0] ? "; " : "", e->remedy,
		e->client[0] ? " (" : "", e->client, e->client[0] ? ")" : "");
}

/* ---- what the core knows ---- */
static const char *look_up(const struct vd_report *r, struct vd_setup_failed *e)
{
	const struct vd_session_rec *rec = r->session ? vd_session_rec(r->session) : NULL;
	const struct vd_chan_info *chan;
	const struct vd_peer *peer;
	const char *connection = r->connection;

	*e = (struct vd_setup_failed){ .peer = r->peer, .chan = r->chan, .session = r->session, .dialled = r->dialled,
		.trust = r->answered ? VD_TRUST_ADDRESS : VD_TRUST_NONE };
	vd_strcpy(e->kind, sizeof(e->kind), r->kind ? r->kind->word : vd_fail_other.word);
	if (!e->chan && rec)
		e->chan = rec->pub.chan;
	chan = e->chan ? vd_chan_find(e->chan) : NULL;
	if (!e->peer)
		e->peer = rec ? rec->pub.peer : chan ? chan->peer : 0;
	peer = e->peer ? vd_peer_find(e->peer) : NULL;
	if (peer || r->dialled)
		e->trust = VD_TRUST_KEY; /* there is no peer before it has shown its key */
	if (rec && rec->pub.proven)
		e->trust = VD_TRUST_USER;
	if (r->remote)
		e->remote = *r->remote;
	else if (peer)
		e->remote = peer->remote;
	vd_text_safe_string(e->user, sizeof(e->user), r->user ? r->user : rec ? rec->pub.user : "");
	if (!connection)
		connection = rec ? rec->pub.connection : peer ? peer->connection : "";
	vd_strcpy(e->connection, sizeof(e->connection), connection);
	vd_strcpy(e->stage, sizeof(e->stage), r->stage ? r->stage : r->kind ? r->kind->stage : vd_fail_other.stage);
	return r->profile ? r->profile : peer ? peer->profile : "";
}

void vd_report_failure(const struct vd_report *r)
{
	struct vd_setup_failed e;
	const char *profile = look_up(r, &e);

	if (e.trust == VD_TRUST_NONE && !allowed(&remembered, FORGED_REMEMBERED, FORGED_REMEMBERED_MS)) {
		vd_count("core.report.unreported", 1);
		return;
	}
	compose(r, &e, profile);
	vd_report_remember(&e);
	vd_note(e.session ? 's' : 'p', e.session ? e.session : e.peer, "%s failed: %s", e.stage, e.text);
	if ((e.trust == VD_TRUST_NONE && !allowed(&limits_of(e.kind)->events, FORGED_EVENTS, FORGED_EVENTS_MS)) ||
		(e.trust == VD_TRUST_KEY && !e.dialled && !allowed(&limits_of(e.kind)->keyed, KEY_EVENTS, KEY_EVENTS_MS))) {
		vd_count("core.report.unreported", 1);
		return;
	}
	vd_event_post(&vd_topic_setup_failed, &e);
}
