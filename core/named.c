/* What a command line says, and what it is about: see named.h. */
#include "core/named.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/text.h>
#include <viaduct/topics.h>

static bool parse_id(const char *text, struct vd_named *n)
{
	char *end;

	if (!strchr("psc", text[0]) || !text[0] || text[1] != '-' || text[2] < '0' || text[2] > '9')
		return false;
	errno = 0;
	n->letter = text[0];
	n->id = strtoull(text + 2, &end, 10);
	if (*end)
		return false;
	if (errno)
		n->id = 0; /* there is no such id, and it is no name either */
	n->kind = VD_NAMED_ID;
	return true;
}

/* "192.0.2.1", "192.0.2.1:500", "2001:db8::1", "[2001:db8::1]:500" */
static bool parse_address(const char *text, struct vd_named *n)
{
	char host[VD_SA_TEXT];
	const char *end = strrchr(text, ':'), *from = text;
	size_t len;

	n->kind = VD_NAMED_ADDRESS;
	if (vd_ip_parse(text, &n->sa.ip))
		return true;
	len = end ? (size_t)(end - text) : 0;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (!len || len >= sizeof(host) || strspn(end + 1, "0123456789") != strlen(end + 1) || strlen(end) < 2 || strlen(end) > 6)
		return false;
	memcpy(host, from, len);
	host[len] = '\0';
	n->sa.port = (uint16_t)strtoul(end + 1, NULL, 10);
	return vd_ip_parse(host, &n->sa.ip);
}

void vd_named_parse(const char *text, struct vd_named *ret_named)
{
	struct vd_named n = { .name = text };

	if (parse_id(text, &n) || parse_address(text, &n)) {
		*ret_named = n;
		return;
	}
	n = (struct vd_named){ .kind = VD_NAMED_ANY, .name = text };
	if (!strncmp(text, "user/", 5))
		n = (struct vd_named){ .kind = VD_NAMED_USER, .name = text + 5 };
	else if (!strncmp(text, "connection/", 11))
		n = (struct vd_named){ .kind = VD_NAMED_CONNECTION, .name = text + 11 };
	*ret_named = n;
}

bool vd_named_is_id(const struct vd_named *n, char letter, uint64_t id)
{
	return n->kind == VD_NAMED_ID && id && n->letter == letter && n->id == id;
}

bool vd_named_is_user(const struct vd_named *n, const char *user)
{
	char safe[4 * VD_USER_MAX];

	return (n->kind == VD_NAMED_USER || n->kind == VD_NAMED_ANY) && user[0] &&
		(!strcmp(n->name, user) || !strcmp(n->name, vd_text_safe_string(safe, sizeof(safe), user)));
}

bool vd_named_is_connection(const struct vd_named *n, const char *connection)
{
	return (n->kind == VD_NAMED_CONNECTION || n->kind == VD_NAMED_ANY) && connection[0] && !strcmp(n->name, connection);
}

bool vd_named_is_address(const struct vd_named *n, const struct vd_sa *sa)
{
	return n->kind == VD_NAMED_ADDRESS && sa->ip.family && vd_ip_equal(&n->sa.ip, &sa->ip) &&
		(!n->sa.port || n->sa.port == sa->port);
}
