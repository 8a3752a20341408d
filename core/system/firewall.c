/* Somebody else's forward chain: see firewall.h. A chain whose policy or last rule drops everything, and that has neither a
 * rule about our device nor one that accepts everything. Rules are not evaluated: who has one about us knows what it does. */
#include "core/system/firewall.h"

#include <viaduct/addr.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/problem.h>

#include "core/system/keep.h"
#include "core/system/priv.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 300u
#define PAUSE_MS 3000u /* between two looks: a host with many rules changes them often */
#define CHAINS_MAX 8

static struct {
	bool ready, busy, again;
	struct vd_timer timer;
	uint64_t last;
	char tables[CHAINS_MAX][128], chains[CHAINS_MAX][128];
	unsigned n, at;
	char found[VD_FIREWALL_TEXT], problem[VD_FIREWALL_TEXT];
	bool legacy_said[2];
} f;

/* The tables of iptables-legacy, which nft does not show; opened while that is allowed. */
static const char *const legacy_names[2] = { "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names" };
static int legacy_fds[2] = { -1, -1 };

/* ---- reading ---- */
/* The next line without what is in front of and behind it; NULL: no more. */
static char *line_of(const char **at, char out[512])
{
	size_t len = strcspn(*at, "\n"), n;

	if (!**at)
		return NULL;
	n = strspn(*at, " \t");
	n = n < len ? n : len;
	vd_format(out, 512, "%.*s", (int)(len - n < 511 ? len - n : 511), *at + n);
	*at += len + ((*at)[len] == '\n');
	return out;
}

/* "table inet x {" -> "inet x" */
static bool named(const char *line, const char *word, char out[128])
{
	size_t n = strlen(word), len = strlen(line);

	if (strncmp(line, word, n) != 0 || line[n] != ' ' || len < n + 4 || strcmp(line + len - 2, " {") != 0)
		return false;
	vd_format(out, 128, "%.*s", (int)(len - n - 3), line + n + 1);
	return true;
}

bool vd_firewall_next(const char **at, char table[128], char chain[128])
{
	char line[512];

	while (line_of(at, line))
		if (!named(line, "table", table) && !named(line, "chain", chain) && strstr(line, " hook forward "))
			return true;
	return false;
}

/* Is dev, or a pattern that dev fits, named in this rule? */
static bool names_device(const char *line, const char *dev)
{
	for (const char *p = line; (p = strstr(p, "ifname ")); p += 7) {
		const char *quote = p[7] == '"' ? p + 8 : NULL;
		size_t len = quote ? strcspn(quote, "\"") : 0;

		if (len && quote[len - 1] == '*' && strncmp(quote, dev, len - 1) == 0)
			return true;
		if (len && strlen(dev) == len && strncmp(quote, dev, len) == 0)
			return true;
		if (p[7] == '{' && strstr(p, dev))
			return true;
	}
	return false;
}

static const char *verdict_of(const char *line)
{
	static const char *const verdicts[] = { "accept", "drop", "reject", "jump", "goto" };

	for (size_t i = 0; i < VD_ARRAY_SIZE(verdicts); i++) {
		const char *p = strstr(line, verdicts[i]);

		if (p && (p == line || p[-1] == ' '))
			return verdicts[i];
	}
	return "";
}

/* Nothing but a verdict, or counters in front of it. */
static bool for_everything(const char *line, const char *verdict)
{
	const char *p = line;
	size_t n = strlen(verdict);

	if (strncmp(p, "counter ", 8) == 0)
		p = strstr(p, verdict);
	return *verdict && p && strncmp(p, verdict, n) == 0 && (!p[n] || p[n] == ' ');
}

static bool allows_source(const char *line, bool (*allowed)(const char *prefix))
{
	const char *p = strstr(line, " saddr ");
	char prefix[64];

	if (!p || !allowed || strcmp(verdict_of(line), "accept") != 0)
		return false;
	vd_format(prefix, sizeof(prefix), "%.*s", (int)strcspn(p + 7, " "), p + 7);
	return allowed(prefix);
}

static void remedy(const char *listing, const char *table, const char *chain, const char *dev, char out[VD_FIREWALL_TEXT])
{
	if (strstr(table, "firewalld"))
		vd_format(out, VD_FIREWALL_TEXT, "firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload", dev);
	else if (strstr(listing, "chain ufw-"))
		vd_format(out, VD_FIREWALL_TEXT, "ufw route allow in on %s; ufw route allow out on %s", dev, dev);
	else if (strstr(listing, "chain DOCKER-USER"))
		vd_format(out, VD_FIREWALL_TEXT, "%s -I DOCKER-USER -i %s -j ACCEPT; %s -I DOCKER-USER -o %s -j ACCEPT",
			strncmp(table, "ip6 ", 4) ? "iptables" : "ip6tables", dev, strncmp(table, "ip6 ", 4) ? "iptables" : "ip6tables", dev);
	else
		vd_format(out, VD_FIREWALL_TEXT, "nft insert rule %s %s iifname \"%s\" accept; nft insert rule %s %s oifname \"%s\" accept",
			table, chain, dev, table, chain, dev);
}

bool vd_firewall_drops(const char *listing, const char *table, const char *chain, const char *dev,
	bool (*allowed)(const char *prefix), char ret_text[VD_FIREWALL_TEXT])
{
	char line[512], name[128], add[VD_FIREWALL_TEXT];
	bool inside = false, policy = false, last = false, open = false;

	for (const char *at = listing; line_of(&at, line);) {
		const char *verdict = verdict_of(line);

		if (named(line, "chain", name)) {
			inside = strcmp(name, chain) == 0;
			continue;
		}
		if (inside && strstr(line, " hook forward ")) {
			policy = strstr(line, "policy drop") != NULL;
			continue;
		}
		if (!strcmp(line, "}") || !*line) {
			inside = inside && strcmp(line, "}") != 0;
			continue;
		}
		if (inside)
			last = for_everything(line, !strcmp(verdict, "reject") ? "reject" : "drop");
		open |= inside && for_everything(line, "accept");
		open |= names_device(line, dev) && *verdict && *verdict != 'd' && *verdict != 'r';
		open |= allows_source(line, allowed);
	}
	if (open || !(policy || last))
		return false;
	remedy(listing, table, chain, dev, add);
	vd_format(ret_text, VD_FIREWALL_TEXT, "chain %s of the nftables table %s drops what is forwarded, and no rule there lets %s "
		"through: clients have no traffic; do: %s", chain, table, dev, add);
	return true;
}

/* ---- looking ---- */
static bool ours_in(const char *prefix)
{
	struct vd_prefix p;

	return vd_prefix_parse(prefix, &p) && vd_keep_routes_in(&p);
}

static void ask(void);

static void end(void)
{
	bool differs = strcmp(f.found, f.problem) != 0;

	f.busy = false;
	f.last = vd_now();
	if (differs && f.found[0])
		vd_log(VD_LOG_WARNING, "firewall", NULL, "%s", f.found);
	else if (differs)
		vd_log(VD_LOG_NOTICE, "firewall", NULL, "what is forwarded for clients is let through now");
	vd_strcpy(f.problem, sizeof(f.problem), f.found);
	if (f.problem[0])
		vd_problem_set("firewall/forward", "%s", f.problem);
	else
		vd_problem_clear("firewall/forward");
	if (f.again)
		vd_firewall_look();
	f.again = false;
}

static void on_table(void *arg, const char *listing, const struct vd_error *err)
{
	char text[VD_FIREWALL_TEXT];

	(void)arg;
	(void)err;
	if (!f.ready)
		return;
	if (listing && !f.found[0] && vd_keep_dev()[0] &&
		vd_firewall_drops(listing, f.tables[f.at], f.chains[f.at], vd_keep_dev(), ours_in, text))
		vd_strcpy(f.found, sizeof(f.found), text);
	f.at++;
	ask();
}

static void ask(void)
{
	char command[160];

	vd_format(command, sizeof(command), "list table %s", f.at < f.n ? f.tables[f.at] : "");
	if (f.at == f.n || vd_priv_nft_list(NULL, command, on_table, NULL) < 0)
		end();
}

static void on_chains(void *arg, const char *listing, const struct vd_error *err)
{
	(void)arg;
	(void)err;
	if (!f.ready)
		return;
	f.n = f.at = 0;
	f.found[0] = '\0';
	for (const char *at = listing ? listing : ""; f.n < CHAINS_MAX && vd_firewall_next(&at, f.tables[f.n], f.chains[f.n]);)
		f.n += !vd_keep_is_table(f.tables[f.n]);
	ask();
}

bool vd_firewall_names_filter(const char *names)
{
	for (const char *p = names; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, "filter", 6) == 0 && (p[6] == '\n' || !p[6]))
			return true;
	return false;
}

/* Their rules are not read: said once, with what to do if it is they that drop. */
static void look_at_legacy(void)
{
	char names[1024];

	for (unsigned i = 0; i < 2; i++) {
		ssize_t n = legacy_fds[i] < 0 || f.legacy_said[i] ? 0 : pread(legacy_fds[i], names, sizeof(names) - 1, 0);
		const char *program = i ? "ip6tables-legacy" : "iptables-legacy", *dev = vd_keep_dev();

		if (n <= 0)
			continue;
		names[n] = '\0';
		if (!vd_firewall_names_filter(names))
			continue;
		f.legacy_said[i] = true;
		vd_log(VD_LOG_WARNING, "firewall", NULL, "this host has rules of %s, which cannot be read here; if clients have no traffic, see %s -L "
			"FORWARD, and do: %s -I FORWARD -i %s -j ACCEPT; %s -I FORWARD -o %s -j ACCEPT", program, program, program, dev,
			program, dev);
	}
}

static void look(struct vd_timer *timer)
{
	(void)timer;
	if (!vd_keep_dev()[0]) /* nothing is forwarded yet */
		return;
	look_at_legacy();
	f.busy = vd_priv_nft_list(NULL, "list chains", on_chains, NULL) == 0;
}

void vd_firewall_init(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (legacy_fds[i] < 0)
			legacy_fds[i] = open(legacy_names[i], O_RDONLY | O_CLOEXEC);
}

void vd_firewall_look(void)
{
	uint64_t now = vd_now(), wait = f.last && now < f.last + PAUSE_MS ? f.last + PAUSE_MS - now : SETTLE_MS;

	if (!f.ready)
		vd_timer_init(&f.timer, look);
	f.ready = true;
	if (f.busy)
		f.again = true;
	else if (!vd_timer_armed(&f.timer))
		vd_timer_start(&f.timer, wait);
}

void vd_firewall_fini(void)
{
	if (f.ready)
		vd_timer_stop(&f.timer);
	vd_problem_clear("firewall/forward");
	for (unsigned i = 0; i < 2; i++) {
		if (legacy_fds[i] >= 0)
			close(legacy_fds[i]);
		legacy_fds[i] = -1;
	}
	memset(&f, 0, sizeof(f));
}
