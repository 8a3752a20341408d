/* What must be there on the host, and putting it back: see keep.h. */
#include "core/system/keep.h"

#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/problem.h>

#include "core/system/priv.h"
#include "core/system/sysctl.h"
#include "core/table.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Something that is removed more often than this has a reason, or a program that fights for it: it is put back slowly then, and
 * that is said. */
#define QUARREL_TIMES 5u
#define QUARREL_MS 60000u
#define PAUSE_FIRST 2000u
#define PAUSE_MOST 60000u

/* In the order in which they are put back: a route needs its device up, and its source there. */
enum kind { DEVICE, ADDRESS, UNREACHABLE, ROUTE, PIN, SYSCTL, TABLE, KINDS };

struct item {
	struct vd_link all;
	struct vd_entry by_prefix;
	enum kind kind;
	char dev[IF_NAMESIZE];
	struct vd_prefix prefix;
	union {
		struct vd_ip source;
		struct {
			unsigned mtu, txqueuelen;
		};
		struct {
			char *name, *value, *listing; /* SYSCTL: no listing. TABLE: value is commands */
		};
	};
	bool there;          /* by the comparison that goes on */
	bool look, asked;    /* TABLE: it may have changed; the answer is on its way */
	unsigned times;      /* put back since `since` */
	uint64_t since, next; /* next: not before */
	bool problem;
};

static struct {
	bool ready;
	struct vd_link all;
	struct vd_table by_prefix;
	struct vd_timer timer;
	uint64_t due; /* of the timer */
	uint32_t dev; /* index of the device; 0: it is not there */
} k;

static const char *what(const struct item *it, char out[160])
{
	char text[VD_IP_TEXT];

	switch (it->kind) {
	case DEVICE: vd_format(out, 160, "device %s up", it->dev); break;
	case ADDRESS: vd_format(out, 160, "address %s", vd_prefix_format(&it->prefix, text)); break;
	case UNREACHABLE: vd_format(out, 160, "unreachable route %s", vd_prefix_format(&it->prefix, text)); break;
	case ROUTE: vd_format(out, 160, "route %s", vd_prefix_format(&it->prefix, text)); break;
	case PIN: vd_format(out, 160, "route to gateway %s", vd_ip_format(&it->prefix.ip, text)); break;
	case SYSCTL: vd_format(out, 160, "%s = %s", it->name, it->value); break;
	default: vd_format(out, 160, "nftables table %s", it->name); break;
	}
	return out;
}

static bool on_device(const struct item *it)
{
	return it->kind == DEVICE || it->kind == ADDRESS || it->kind == ROUTE;
}

static uint64_t key_of(const struct vd_prefix *p)
{
	uint8_t octets[18] = { (uint8_t)p->ip.family, p->len };

	memcpy(octets + 2, p->ip.a, sizeof(p->ip.a));
	return vd_siphash(k.by_prefix.secret, octets, sizeof(octets));
}

static bool same_prefix(const struct vd_prefix *a, const struct vd_prefix *b)
{
	return a->len == b->len && vd_ip_equal(&a->ip, &b->ip);
}

static struct item *next_of(const struct item *it)
{
	struct vd_link *l = it ? it->all.next : k.all.next;

	return l == &k.all ? NULL : VD_CONTAINER_OF(l, struct item, all);
}

static struct item *of_prefix(enum kind kind, const struct vd_prefix *p)
{
	for (struct vd_entry *e = vd_table_find(&k.by_prefix, key_of(p)); e; e = vd_table_again(e)) {
		struct item *it = VD_CONTAINER_OF(e, struct item, by_prefix);

		if ((it->kind == kind || kind == KINDS) && same_prefix(&it->prefix, p))
			return it;
	}
	return NULL;
}

static struct item *of_name(enum kind kind, const char *name)
{
	for (struct item *it = next_of(NULL); it; it = next_of(it))
		if (it->kind == kind && strcmp(it->name, name) == 0)
			return it;
	return NULL;
}

static void problem(struct item *it, const char *text)
{
	char name[160], key[64];

	vd_format(key, sizeof(key), "keep/%.58s", what(it, name));
	if (text)
		vd_problem_set(key, "%s", text);
	else if (it->problem)
		vd_problem_clear(key);
	it->problem = text != NULL;
}

static void forget(struct item *it)
{
	problem(it, NULL);
	vd_link_del(&it->all);
	if (it->prefix.ip.family)
		vd_table_del(&k.by_prefix, &it->by_prefix);
	if (it->kind == SYSCTL || it->kind == TABLE) {
		free(it->name);
		free(it->value);
	}
	if (it->kind == TABLE)
		free(it->listing);
	free(it);
}

static struct item *remember(enum kind kind, const struct vd_prefix *prefix)
{
	struct item *it = calloc(1, sizeof(*it));

	if (it) {
		it->kind = kind;
		if (prefix)
			it->prefix = *prefix;
	}
	if (!it || (prefix && vd_table_add(&k.by_prefix, &it->by_prefix, key_of(prefix)) < 0)) {
		free(it);
		vd_log(VD_LOG_ERROR, "keep", NULL, "out of memory: what is set on the host is not watched");
		return NULL;
	}
	vd_link_add(&k.all, &it->all);
	return it;
}

/* ---- declared ---- */
void vd_keep_device(const char *dev, unsigned mtu, unsigned txqueuelen)
{
	struct item *it, *next;

	if (!k.ready)
		return;
	for (it = next_of(NULL); it; it = next) {
		next = next_of(it);
		if (on_device(it))
			forget(it);
	}
	it = remember(DEVICE, NULL);
	if (!it)
		return;
	vd_strcpy(it->dev, sizeof(it->dev), dev);
	it->mtu = mtu;
	it->txqueuelen = txqueuelen;
}

static struct item *declare(bool add, enum kind kind, const struct vd_prefix *prefix)
{
	struct item *it = k.ready ? of_prefix(kind, prefix) : NULL;

	if (!add && it)
		forget(it);
	return !add || !k.ready ? NULL : it ? it : remember(kind, prefix);
}

void vd_keep_address(bool add, const char *dev, const struct vd_prefix *address)
{
	struct item *it = declare(add, ADDRESS, address);

	if (it)
		vd_strcpy(it->dev, sizeof(it->dev), dev);
}

void vd_keep_route(bool add, const char *dev, const struct vd_prefix *dst, const struct vd_ip *source)
{
	struct item *it = declare(add, ROUTE, dst);

	if (!it)
		return;
	vd_strcpy(it->dev, sizeof(it->dev), dev);
	it->source = source ? *source : (struct vd_ip){ 0 };
}

void vd_keep_unreachable(bool add, const struct vd_prefix *dst)
{
	declare(add, UNREACHABLE, dst);
}

void vd_keep_pin(bool add, const struct vd_ip *host)
{
	struct vd_prefix prefix = { *host, host->family == AF_INET ? 32 : 128 };

	declare(add, PIN, &prefix);
}

static void declare_name(enum kind kind, const char *name, const char *value)
{
	struct item *it = k.ready ? of_name(kind, name) : NULL;
	char *copy = value && k.ready ? strdup(value) : NULL;

	if (copy && !it && (it = remember(kind, NULL)))
		it->name = strdup(name);
	if (!copy || !it || !it->name) {
		free(copy);
		if (it)
			forget(it);
		return;
	}
	free(it->value);
	it->value = copy;
}

void vd_keep_sysctl(const char *name, const char *value)
{
	declare_name(SYSCTL, name, value);
}

void vd_keep_table(const char *name, const char *commands)
{
	struct item *it;

	declare_name(TABLE, name, commands);
	it = k.ready ? of_name(TABLE, name) : NULL;
	if (!it)
		return;
	free(it->listing);
	it->listing = NULL;
}

void vd_keep_listed(const char *name, const char *commands, const char *listing)
{
	struct item *it = k.ready ? of_name(TABLE, name) : NULL;

	if (!it || strcmp(it->value, commands) != 0)
		return; /* the next one is on its way */
	free(it->listing);
	it->listing = strdup(listing ? listing : ""); /* gone again already: the next comparison sees it */
}

bool vd_keep_is_table(const char *name)
{
	return k.ready && of_name(TABLE, name);
}

bool vd_keep_routes_in(const struct vd_prefix *network)
{
	for (struct item *it = k.ready ? next_of(NULL) : NULL; it; it = next_of(it))
		if (it->kind == ROUTE && it->prefix.len >= network->len && vd_prefix_has(network, &it->prefix.ip))
			return true;
	return false;
}

bool vd_keep_has(const struct vd_prefix *dst)
{
	return k.ready && of_prefix(KINDS, dst);
}

const char *vd_keep_dev(void)
{
	for (struct item *it = k.ready ? next_of(NULL) : NULL; it; it = next_of(it))
		if (it->kind == DEVICE)
			return it->dev;
	return "";
}

/* ---- what is there ---- */
static bool sysctl_is(const char *name, const char *value)
{
	char path[256], found[64];
	ssize_t n = -1;
	int fd;

	vd_format(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, found, sizeof(found) - 1);
		close(fd);
	}
	found[n > 0 ? n : 0] = '\0';
	found[strcspn(found, "\n")] = '\0';
	return n < 0 || strcmp(found, value) == 0;
}

static void again_in(uint64_t ms)
{
	uint64_t at = vd_now() + ms;

	if (vd_timer_armed(&k.timer) && k.due <= at)
		return;
	k.due = at;
	vd_timer_start(&k.timer, ms);
}

static int read_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct item *it = arg;

	if (nlh->nlmsg_type == RTM_NEWLINK)
		it->there = ifi->ifi_flags & IFF_UP;
	return MNL_CB_OK;
}

/* Where the device is not there, nothing can be put on it. The plugin that made it makes another one, and asks for all of it. */
static int look_at_device(struct item *it)
{
	char room[VD_NETLINK_ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	int ret;

	k.dev = if_nametoindex(it->dev);
	ifi->ifi_index = (int)k.dev;
	ret = k.dev ? vd_netlink_ask(nlh, read_link, it) : 0;
	if (ret == -ENODEV) { /* in this moment */
		k.dev = 0;
		ret = 0;
	}
	return ret < 0 ? ret : 0;
}

static int read_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct vd_prefix p = { .ip.family = ifa->ifa_family, .len = ifa->ifa_prefixlen };
	const struct nlattr *attr;
	bool local = false;
	struct item *it;

	(void)arg;
	if (nlh->nlmsg_type != RTM_NEWADDR || ifa->ifa_index != k.dev)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_payload_len(attr) > sizeof(p.ip.a))
			continue;
		if (mnl_attr_get_type(attr) == IFA_LOCAL || (mnl_attr_get_type(attr) == IFA_ADDRESS && !local))
			memcpy(p.ip.a, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
		local |= mnl_attr_get_type(attr) == IFA_LOCAL;
	}
	it = of_prefix(ADDRESS, &p);
	if (it)
		it->there = true;
	return MNL_CB_OK;
}

static int read_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct vd_prefix dst = { .ip.family = rtm->rtm_family, .len = rtm->rtm_dst_len };
	struct vd_ip source = { 0 };
	const struct nlattr *attr;
	uint32_t dev = 0;

	(void)arg;
	if (nlh->nlmsg_type != RTM_NEWROUTE || rtm->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm)) {
		uint16_t type = mnl_attr_get_type(attr);
		size_t len = mnl_attr_get_payload_len(attr);

		if (type == RTA_OIF && len == sizeof(dev))
			dev = mnl_attr_get_u32(attr);
		if (type == RTA_DST && len <= sizeof(dst.ip.a))
			memcpy(dst.ip.a, mnl_attr_get_payload(attr), len);
		if (type == RTA_PREFSRC && len <= sizeof(source.a)) {
			source.family = rtm->rtm_family;
			memcpy(source.a, mnl_attr_get_payload(attr), len);
		}
	}
	for (struct vd_entry *e = vd_table_find(&k.by_prefix, key_of(&dst)); e; e = vd_table_again(e)) {
		struct item *it = VD_CONTAINER_OF(e, struct item, by_prefix);

		if (!same_prefix(&it->prefix, &dst))
			continue;
		if (it->kind == ROUTE && rtm->rtm_type == RTN_UNICAST && dev == k.dev &&
			(!it->source.family || vd_ip_equal(&it->source, &source)))
			it->there = true;
		if (it->kind == UNREACHABLE && rtm->rtm_type == RTN_UNREACHABLE && rtm->rtm_protocol == VD_NETLINK_OURS)
			it->there = true;
	}
	return MNL_CB_OK;
}

static int dump_addresses(uint8_t family)
{
	char room[VD_NETLINK_ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));

	ifa->ifa_family = family;
	ifa->ifa_index = k.dev;
	return vd_netlink_ask(nlh, read_address, NULL);
}

/* A kernel that is strict sends only those of the device, or with this protocol; others send all. */
static int dump_routes(uint8_t family, uint32_t dev, uint8_t protocol)
{
	char room[VD_NETLINK_ROOM];
	struct nlmsghdr *nlh = vd_netlink_message(room, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	rtm->rtm_family = family;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = protocol;
	if (dev)
		mnl_attr_put_u32(nlh, RTA_OIF, dev);
	return vd_netlink_ask(nlh, read_route, NULL);
}

/* 0, or why the picture is not whole: then nothing can be said to be missing. */
static int look_at_all(void)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	unsigned n[KINDS] = { 0 };
	int ret = 0;

	k.dev = 0;
	for (struct item *it = next_of(NULL); it && ret == 0; it = next_of(it)) {
		n[it->kind]++;
		it->there = it->kind == TABLE;
		if (it->kind == DEVICE)
			ret = look_at_device(it);
		if (it->kind == SYSCTL)
			it->there = sysctl_is(it->name, it->value);
	}
	for (size_t i = 0; i < VD_ARRAY_SIZE(families) && ret >= 0; i++) {
		if (k.dev && n[ADDRESS])
			ret = dump_addresses(families[i]);
		if (ret >= 0 && k.dev && n[ROUTE])
			ret = dump_routes(families[i], k.dev, 0);
		if (ret >= 0 && n[UNREACHABLE])
			ret = dump_routes(families[i], 0, VD_NETLINK_OURS);
		if (ret == -EAFNOSUPPORT || ret == -EOPNOTSUPP)
			ret = 0; /* a kernel without IPv6 */
	}
	for (struct item *it = next_of(NULL); it && ret >= 0; it = next_of(it))
		if (it->kind == PIN)
			it->there = vd_netlink_match(&it->prefix.ip) == it->prefix.len; /* somebody else's serves as well */
	return ret < 0 ? ret : 0;
}

/* ---- put back ---- */
/* May it be put back now? Counts that it is. */
static bool may(struct item *it)
{
	uint64_t now = vd_now();

	if (now < it->next) {
		again_in(it->next - now);
		return false;
	}
	if (now - it->since > QUARREL_MS + (it->next > it->since ? it->next - it->since : 0)) {
		it->times = 0;
		it->since = now;
	}
	it->times++;
	return true;
}

static uint64_t pause_of(const struct item *it)
{
	uint64_t ms = PAUSE_FIRST;

	for (unsigned i = QUARREL_TIMES + 1; i < it->times && ms < PAUSE_MOST; i++)
		ms *= 2;
	return ms < PAUSE_MOST ? ms : PAUSE_MOST;
}

/* What one comparison has to say: one line for all that was put back, one for what is taken away again and again, and one
 * for each thing that cannot be put back. */
struct said {
	char text[512];
	unsigned n, more;
};

static void mention(struct said *s, const struct item *it)
{
	char name[160];
	size_t len = strlen(s->text);

	s->n++;
	if (s->n > 4 || len + 164 > sizeof(s->text))
		s->more++;
	else
		vd_format(s->text + len, sizeof(s->text) - len, "%s%s", len ? ", " : "", what(it, name));
}

static const char *and_more(const struct said *s, char out[32])
{
	out[0] = '\0';
	if (s->more)
		vd_format(out, 32, " and %u more", s->more);
	return out;
}

static void say(const struct said *back, const struct said *again)
{
	char more[32];

	vd_count("keep.put_back", back->n);
	if (back->n)
		vd_log(VD_LOG_NOTICE, "keep", NULL, "another program removed what the gateway needs; put back: %s%s", back->text,
			and_more(back, more));
	if (again->n)
		vd_log(VD_LOG_WARNING, "keep", NULL, "another program removes this again and again: %s%s; it is put back after a pause "
			"that grows to %u s: find that program and stop it", again->text, and_more(again, more), PAUSE_MOST / 1000);
}

/* It was put back, or could not be (err). */
static void was_put_back(struct item *it, const struct vd_error *err, struct said *back, struct said *again)
{
	char name[160], text[512];

	if (err->code >= 0 && it->times <= QUARREL_TIMES) {
		mention(back, it);
		problem(it, NULL);
		return;
	}
	it->next = vd_now() + pause_of(it);
	again_in(pause_of(it));
	if (err->code < 0)
		vd_format(text, sizeof(text), "another program removed %s, and it cannot be put back: %.300s", what(it, name), err->text);
	else
		vd_format(text, sizeof(text), "another program removes %s again and again", what(it, name));
	if (!it->problem && err->code < 0)
		vd_log(VD_LOG_WARNING, "keep", NULL, "%s", text);
	else if (!it->problem)
		mention(again, it);
	problem(it, text);
}

static void put_back(struct item *it, struct vd_error *err)
{
	switch (it->kind) {
	case DEVICE: vd_netlink_up(it->dev, it->mtu, it->txqueuelen, err); break;
	case ADDRESS: vd_netlink_address(true, it->dev, &it->prefix, err); break;
	case UNREACHABLE: vd_netlink_unreachable(true, &it->prefix, err); break;
	case ROUTE: vd_netlink_route(true, it->dev, &it->prefix, it->source.family ? &it->source : NULL, err); break;
	case PIN: vd_netlink_pin(true, &it->prefix.ip, err); break; /* on the way that there is now */
	case SYSCTL: vd_sysctl_set(it->name, it->value, err); break;
	default: break;
	}
}

/* What was missing and is there again without us, or stays for long: no problem any more. */
static void at_rest(struct item *it)
{
	if (!it->problem)
		return;
	if (vd_now() - it->next > QUARREL_MS && vd_now() > it->next) {
		char name[160];

		problem(it, NULL);
		it->times = 0;
		vd_log(VD_LOG_NOTICE, "keep", NULL, "%s: stays now", what(it, name));
	} else {
		again_in(QUARREL_MS);
	}
}

/* ---- tables: asked of nft, by the work pool ---- */
struct asked {
	char *name;
	bool repaired;
};

static void asked_free(struct asked *a)
{
	free(a->name);
	free(a);
}

static void ask_table(struct item *it, bool repair);

static void on_listing(void *arg, const char *listing, const struct vd_error *err)
{
	struct asked *a = arg;
	struct item *it = k.ready ? of_name(TABLE, a->name) : NULL;
	struct said back = { 0 }, again = { 0 };
	bool repaired = a->repaired;

	asked_free(a);
	if (!it || !it->asked)
		return; /* not wanted any more, or another one by now */
	it->asked = false;
	if (repaired) {
		if (err->code >= 0) {
			free(it->listing);
			it->listing = strdup(listing ? listing : "");
		}
		was_put_back(it, err, &back, &again);
		say(&back, &again);
	} else if (err->code >= 0 && it->listing && (!listing || strcmp(listing, it->listing) != 0)) {
		if (may(it))
			ask_table(it, true);
		else
			it->look = true;
		return;
	} else {
		at_rest(it);
	}
	if (it->look)
		again_in(VD_KEEP_SETTLE_MS);
}

/* With repair it is made anew, and listed for the next comparison. */
static void ask_table(struct item *it, bool repair)
{
	struct asked *a = calloc(1, sizeof(*a));
	char command[160];
	int ret = -ENOMEM;

	vd_format(command, sizeof(command), "list table %s", it->name);
	if (a && (a->name = strdup(it->name))) {
		a->repaired = repair;
		ret = vd_priv_nft_list(repair ? it->value : NULL, command, on_listing, a);
	}
	if (ret < 0) {
		if (a)
			asked_free(a);
		it->look = true;
		again_in(PAUSE_FIRST);
		return;
	}
	it->look = false;
	it->asked = true;
}

static void compare(struct vd_timer *timer)
{
	struct said back = { 0 }, again = { 0 };
	int ret = look_at_all();

	(void)timer;
	if (ret < 0) { /* interrupted, as where many routes change at once */
		vd_count("keep.again", 1);
		again_in(VD_KEEP_SETTLE_MS);
		return;
	}
	for (enum kind kind = DEVICE; kind < TABLE; kind++)
		for (struct item *it = next_of(NULL); it; it = next_of(it)) {
			struct vd_error err = { 0 };

			if (it->kind != kind || (on_device(it) && !k.dev))
				continue;
			if (it->there) {
				at_rest(it);
				continue;
			}
			if (!may(it))
				continue;
			put_back(it, &err);
			was_put_back(it, &err, &back, &again);
		}
	say(&back, &again);
	for (struct item *it = next_of(NULL); it; it = next_of(it))
		if (it->kind == TABLE && !it->asked && it->listing && (it->look || it->problem)) {
			if (vd_now() < it->next)
				again_in(it->next - vd_now());
			else
				ask_table(it, false);
		}
}

void vd_keep_look(void)
{
	if (k.ready)
		again_in(VD_KEEP_SETTLE_MS);
}

void vd_keep_look_table(const char *name)
{
	for (struct item *it = k.ready ? next_of(NULL) : NULL; it; it = next_of(it))
		if (it->kind == TABLE && (!name || strcmp(it->name, name) == 0)) {
			it->look = true;
			again_in(VD_KEEP_SETTLE_MS);
		}
}

void vd_keep_compare(void)
{
	if (!k.ready)
		return;
	vd_keep_look_table(NULL);
	vd_timer_stop(&k.timer);
	compare(&k.timer);
}

/* ---- life ---- */
int vd_keep_init(void)
{
	int ret;

	vd_keep_fini();
	vd_link_init(&k.all);
	vd_table_init(&k.by_prefix);
	vd_timer_init(&k.timer, compare);
	k.ready = true;
	ret = vd_watch_init();
	if (ret < 0)
		vd_log(VD_LOG_WARNING, "keep", NULL, "what other programs change on this host is not noticed: %s", strerror(-ret));
	return 0;
}

void vd_keep_fini(void)
{
	if (!k.ready)
		return;
	vd_watch_fini();
	vd_timer_stop(&k.timer);
	while (next_of(NULL))
		forget(next_of(NULL));
	vd_table_fini(&k.by_prefix);
	k.ready = false;
}
