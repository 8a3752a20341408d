/* Kinds of clients: the rows of all plugins that were found. */
#include "core/quirk/quirk.h"

#include <stdlib.h>
#include <string.h>

#include <viaduct/object.h>

#include "core/plugin.h"

const char *vd_quirk(const char *client, const char *key)
{
	for (const struct vd_host *h = vd_plugins_first(); h; h = h->next)
		for (const struct vd_quirk *q = h->plugin->quirks; q && q->client; q++)
			if (!strcmp(q->client, client) && !strcmp(q->key, key))
				return q->value;
	return NULL;
}

void vd_quirks_each(const char *client, void (*fn)(void *arg, const struct vd_quirk *quirk), void *arg)
{
	for (const struct vd_host *h = vd_plugins_first(); h; h = h->next)
		for (const struct vd_quirk *q = h->plugin->quirks; q && q->client; q++)
			if (!strcmp(q->client, client) && vd_quirk(client, q->key) == q->value)
				fn(arg, q);
}

static uint64_t number(const char *value)
{
	return value ? strtoull(value, NULL, 10) : 0;
}

const char *vd_peer_quirk(uint64_t peer, const char *key)
{
	const struct vd_peer *p = vd_peer_find(peer);

	return p ? vd_quirk(p->profile, key) : NULL;
}

uint64_t vd_peer_quirk_number(uint64_t peer, const char *key)
{
	return number(vd_peer_quirk(peer, key));
}

/* "Micro*" or the whole. */
static bool fits(const char *pattern, const char *text)
{
	size_t n = strlen(pattern);

	return n && pattern[n - 1] == '*' ? !strncmp(text, pattern, n - 1) : !strcmp(text, pattern);
}

void vd_peer_evidence(uint64_t peer, const char *kind, const char *text)
{
	struct vd_peer *p = vd_peer_find(peer);
	size_t n = strlen(VD_QUIRK_KNOWN_BY);

	for (const struct vd_host *h = p ? vd_plugins_first() : NULL; h; h = h->next)
		for (const struct vd_quirk *q = h->plugin->quirks; q && q->client; q++) {
			if (strncmp(q->key, VD_QUIRK_KNOWN_BY, n) || strcmp(q->key + n, kind) || !fits(q->value, text) ||
				number(vd_quirk(q->client, VD_QUIRK_RANK)) <= number(vd_quirk(p->profile, VD_QUIRK_RANK)))
				continue;
			vd_note('p', peer, "it is %s, by its name \"%s\"; was %s", q->client, text, p->profile[0] ? p->profile : "unknown");
			vd_strcpy(p->profile, sizeof(p->profile), q->client);
		}
}
