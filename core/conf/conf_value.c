/* One scalar, taken apart by the type of its option. */
#include "core/conf/conf_node.h"

#include "core/system/keys.h"
#include "core/system/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <viaduct/loop.h>

/* Not "false" but a switch word of YAML 1.1: true, false or a string, depending on who reads it. */
static bool is_switch_word(const char *text)
{
	static const char *const words[] = { "yes", "no", "on", "off", "y", "n" };
	size_t i;

	for (i = 0; i < VD_ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

static bool bad_bool(const struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	bool yes = !strcasecmp(v->text, "yes") || !strcasecmp(v->text, "on") || !strcasecmp(v->text, "y") ||
		   !strcasecmp(v->text, "true");

	if (is_switch_word(v->text) || !strcasecmp(v->text, "true") || !strcasecmp(v->text, "false"))
		conf_bad(errs, v, "%s: `%s`%s is no value here; write %s", path, v->text,
			v->style == CONF_QUOTED ? " in quotes" : "", yes ? "true" : "false");
	else
		conf_bad(errs, v, "%s must be true or false, not `%s`", path, v->text);
	return false;
}

/* Digits only. 0 or -EINVAL, -ERANGE. */
static int digits(const char *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	if (!n)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EINVAL;
		if (v > (UINT64_MAX - 9) / 10)
			return -ERANGE;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*ret = v;
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit durations[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 }, { NULL, 0 } };
static const struct unit rates[] = { { "bit", 1 }, { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 },
	{ NULL, 0 } };

/* Digits and a unit (units NULL: none). 0, -EINVAL, -ERANGE, -ENOENT for a number without its unit. */
static int quantity(const char *text, const struct unit *units, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");
	uint64_t v;
	int err = digits(text, n, &v);

	if (err)
		return err;
	if (!units)
		return text[n] ? -EINVAL : (*ret = v, 0);
	if (!text[n])
		return -ENOENT;
	for (; units->name; units++)
		if (!strcmp(units->name, text + n))
			return v > UINT64_MAX / units->factor ? -ERANGE : (*ret = v * units->factor, 0);
	return -EINVAL;
}

/* "1..65535", "1s..1d"; an end that is left out is no limit. False when an end is no quantity. */
static bool ends(const char *arg, const struct unit *units, uint64_t *ret_low, uint64_t *ret_high)
{
	const char *dots = arg ? strstr(arg, "..") : NULL;
	char text[32];

	*ret_low = 0;
	*ret_high = UINT64_MAX;
	if (!dots)
		return true;
	if ((size_t)(dots - arg) >= sizeof(text))
		return false;
	vd_format(text, sizeof(text), "%.*s", (int)(dots - arg), arg);
	return (!*text || quantity(text, units, ret_low) == 0) && (!dots[2] || quantity(dots + 2, units, ret_high) == 0);
}

/* True when v lies within, or there is no limit. */
static bool within(const char *arg, const struct unit *units, uint64_t v)
{
	uint64_t low, high;

	return !ends(arg, units, &low, &high) || (v >= low && v <= high);
}

const char *vd_conf_range_wrong(const struct vd_opt *opt)
{
	uint64_t low, high;

	if (opt->type != VD_T_UINT && opt->type != VD_T_DURATION && opt->type != VD_T_RATE)
		return NULL;
	if (opt->arg && !strstr(opt->arg, ".."))
		return "its range is not written as LOW..HIGH";
	if (!ends(opt->arg, opt->type == VD_T_DURATION ? durations : opt->type == VD_T_RATE ? rates : NULL, &low, &high))
		return "an end of its range is no value of its type";
	return low > high ? "its range is empty: the higher end stands first" : NULL;
}

static bool number(struct vd_conf_node *v, const char *path, const char *what, const char *sample,
	const struct unit *units, struct vd_conf_errors *errs)
{
	size_t n = strspn(v->text, "0123456789");
	uint64_t value = 0;
	int err;

	if (v->style == CONF_QUOTED) {
		conf_bad(errs, v, "%s: \"%s\" in quotes is text, not %s; take the quotes away", path, v->text, what);
		return false;
	}
	err = quantity(v->text, units, &value);
	if ((n > 1 && v->text[0] == '0') || !strncasecmp(v->text, "0x", 2) || !strncasecmp(v->text, "0o", 2)) {
		conf_bad(errs, v, "%s: `%s` looks octal or hexadecimal; write it in decimal without leading zeros", path,
			v->text);
		return false;
	}
	if (err == -ENOENT) {
		conf_bad(errs, v, "%s: `%s` needs a unit, as in %s", path, v->text, sample);
		return false;
	}
	if (err == -EINVAL) {
		conf_bad(errs, v, "%s must be %s such as %s, not `%s`", path, what, sample, v->text);
		return false;
	}
	if (err || !within(v->opt->arg, units, value)) {
		conf_bad(errs, v, "%s: %s is out of range; allowed is %s", path, v->text,
			v->opt->arg ? v->opt->arg : "less than 2^64");
		return false;
	}
	v->number = value;
	return true;
}

bool conf_word_of(const char *words, const char *text)
{
	size_t n = strlen(text);

	for (; words && *words; words += strcspn(words, "|"), words += *words == '|')
		if (strcspn(words, "|") == n && !strncmp(words, text, n))
			return true;
	return false;
}

static bool bad_word(struct vd_conf *conf, const struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	struct conf_guess guess = { .wrong = v->text };
	const char *p;
	char hint[256], *word;

	if (conf_word_of(v->opt->arg, "off") && (!strcasecmp(v->text, "no") || !strcasecmp(v->text, "false")))
		guess.wrong = "off";
	if (conf_word_of(v->opt->arg, "on") && (!strcasecmp(v->text, "yes") || !strcasecmp(v->text, "true")))
		guess.wrong = "on";
	for (p = v->opt->arg; p && *p; p += strcspn(p, "|"), p += *p == '|') {
		word = conf_strndup(conf, p, strcspn(p, "|"));
		if (word)
			conf_guess_try(&guess, word);
	}
	conf_bad(errs, v, "%s: `%s` is not one of its words%s", path, v->text, conf_guess_hint(&guess, hint, sizeof(hint)));
	return false;
}

static bool is_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n && !text[n] && n <= CONF_NAME_MAX;
}

static bool string(const struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	size_t max = v->opt->type == VD_T_STRING && v->opt->arg ? strtoul(v->opt->arg, NULL, 10) : 255;
	const char *p;

	if (v->style == CONF_PLAIN &&
		(is_switch_word(v->text) || !strcasecmp(v->text, "true") || !strcasecmp(v->text, "false"))) {
		conf_bad(errs, v, "%s: `%s` may be read as true or false; write \"%s\"", path, v->text, v->text);
		return false;
	}
	if (strlen(v->text) > max) {
		conf_bad(errs, v, "%s: longer than %zu octets", path, max);
		return false;
	}
	for (p = v->text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 127) {
			conf_bad(errs, v, "%s: control characters are not allowed", path);
			return false;
		}
	}
	return true;
}

/* path against the folder of the file that says it. */
static char *absolute(struct vd_conf *conf, const struct vd_conf_node *v)
{
	char cwd[PATH_MAX], text[PATH_MAX * 2], shortest[PATH_MAX * 2];
	const char *dir = v->file ? v->file->dir : "";

	if (v->text[0] == '/')
		return conf_strndup(conf, v->text, strlen(v->text));
	cwd[0] = '\0';
	if (dir[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return NULL;
	vd_format(text, sizeof(text), "%s%s%s%s", cwd, *cwd ? "/" : "", dir, v->text);
	vd_conf_path(text, shortest, sizeof(shortest));
	return conf_strndup(conf, shortest, strlen(shortest));
}

/* Reads what !file names into room. The length, or -1 with an error added. */
static ssize_t read_secret_file(struct vd_conf_node *v, const char *name, const char *path, uint8_t *room,
	struct vd_conf_errors *errs)
{
	struct vd_error said;
	bool safe = false;
	int fd = vd_place_open(name, O_RDONLY, 0, &safe, &said); /* at a start we are root, and the folder may be somebody else's */
	struct stat st;
	ssize_t n, len = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		conf_bad(errs, v, "%s: %s%s", path, fd == -EINVAL || fd == -ELOOP || fd == -EMLINK ? "" : "cannot read ",
			fd < 0 ? said.text : name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	v->replaceable = !safe || st.st_uid != 0 || ((st.st_mode & S_IWGRP) && st.st_gid != 0);
	v->root_only = st.st_uid == 0 && (!(st.st_mode & S_IRGRP) || st.st_gid == 0);
	if (!S_ISREG(st.st_mode) || st.st_size > CONF_SECRET_MAX) {
		conf_bad(errs, v, "%s: %s is %s", path, name, S_ISREG(st.st_mode) ? "larger than 64 KiB" : "not a file");
		len = -1;
	} else if (st.st_mode & (S_IROTH | S_IWOTH)) {
		conf_bad(errs, v, "%s: everybody may %s %s; run: chmod o-rwx %s", path,
			st.st_mode & S_IROTH ? "read" : "write", name, name);
		len = -1;
	}
	while (len >= 0 && len < CONF_SECRET_MAX) {
		n = read(fd, room + len, CONF_SECRET_MAX - (size_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			conf_bad(errs, v, "%s: cannot read %s: %s", path, name, strerror(errno));
		if (n <= 0) {
			len = n < 0 ? -1 : len;
			break;
		}
		len += n;
	}
	close(fd);
	return len;
}

/* Equal octets give equal digests within one run of the process; nothing else can be learned from them. */
static bool digest(const uint8_t *data, size_t len, uint8_t ret[32])
{
	static uint8_t key[32];
	static bool ready;
	unsigned n = 32;

	if (!ready)
		vd_random(key, sizeof(key));
	ready = true;
	return HMAC(EVP_sha256(), key, sizeof(key), data, len, ret, &n) != NULL;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* What editors and other systems leave in a file, and people do not mean. Nothing of the secret is in the text. */
static const char *odd(const uint8_t *p, size_t n)
{
	if (n >= 3 && vd_same(p, "\xef\xbb\xbf", 3))
		return "begins with a byte order mark (U+FEFF), which is part of the secret";
	if (n >= 2 && (vd_same(p, "\xff\xfe", 2) || vd_same(p, "\xfe\xff", 2)))
		return "is in UTF-16, and its octets are taken as they are";
	if (memchr(p, '\n', n))
		return "has more than one line, and all of them are the secret";
	if (is_blank(p[0]) || is_blank(p[n - 1]))
		return is_blank(p[0]) ? "begins with a blank, which is part of the secret" : "ends in a blank, which is part of the secret";
	if (n >= 2 && (p[0] == '"' || p[0] == '\'') && p[n - 1] == p[0])
		return "is in quotes, which are part of the secret";
	return NULL;
}

static bool keep_secret(struct vd_conf *conf, struct vd_conf_node *v, const char *path, const uint8_t *data, size_t len,
	struct vd_conf_errors *errs)
{
	if (len && data[len - 1] == '\n')
		len -= len > 1 && data[len - 2] == '\r' ? 2 : 1;
	if (!len) {
		conf_bad(errs, v, "%s: the secret is empty", path);
		return false;
	}
	v->odd = odd(data, len);
	if (v->odd)
		vd_conf_errors_add(errs, true, v->file ? v->file->path : NULL, v->line, v->column, "%s: what %s names %s", path, v->style ==
			CONF_TAG_ENV ? "!env" : "!file", v->odd);
	if (v->opt->type == VD_T_KEY) {
		if (digest(data, len, v->digest))
			v->number = vd_keys_add(data, len);
	} else {
		v->secret = vd_secret_new(data, len);
	}
	if (!v->number && !v->secret) {
		conf_bad(errs, v, "%s: out of memory", path);
		return false;
	}
	v->next_held = conf->held;
	conf->held = v;
	return true;
}

static bool secret(struct vd_conf *conf, struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	const char *value;
	uint8_t *room;
	char *name;
	ssize_t len;
	bool ok;

	if (v->style == CONF_TAG_ENV) {
		value = getenv(v->text);
		if (value)
			return keep_secret(conf, v, path, (const uint8_t *)value, strlen(value), errs);
		conf_bad(errs, v, "%s: the environment has no variable `%s`", path, v->text);
		return false;
	}
	if (v->style != CONF_TAG_FILE) { /* the text is not repeated: it may be the secret */
		conf_bad(errs, v, "%s is a secret and does not stand here; write !file PATH or !env NAME", path);
		return false;
	}
	name = absolute(conf, v);
	room = malloc(CONF_SECRET_MAX);
	if (!name || !room) {
		free(room);
		conf_bad(errs, v, "%s: out of memory", path);
		return false;
	}
	len = read_secret_file(v, name, path, room, errs);
	ok = len >= 0 && keep_secret(conf, v, path, room, (size_t)len, errs);
	vd_wipe(room, CONF_SECRET_MAX);
	free(room);
	return ok;
}

/* Would people mean a network by this address? */
static bool is_network(const struct vd_ip *ip)
{
	static const uint8_t zero[8];

	return ip->family == AF_INET ? ip->a[3] == 0 : vd_same(ip->a + 8, zero, sizeof(zero));
}

void vd_conf_secret_files(const struct vd_conf *conf, struct vd_conf_errors *errs)
{
	for (const struct vd_conf_node *v = conf->held; v; v = v->next_held) {
		const char *file = v->file ? v->file->path : NULL;

		if (v->replaceable)
			vd_conf_errors_add(errs, true, file, v->line, v->column, "another user than root can put another file in the place of %s, "
				"so can viaductd when it was taken over; make the file root's, mode 0640 with group viaduct, and its folder root's, "
				"mode 0750 with that group", v->text);
		else if (v->root_only)
			vd_conf_errors_add(errs, true, file, v->line, v->column, "only root can read %s, so a reload cannot: viaductd is no longer "
				"root by then; do: chgrp viaduct, and chmod 0640", v->text);
	}
}

static bool address(struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	const char *t = v->text, *slash = strchr(t, '/');
	struct vd_prefix p;

	switch (v->opt->type) {
	case VD_T_ADDR:
		if (vd_ip_parse(t, &v->ip))
			return true;
		if (slash)
			conf_bad(errs, v, "%s: `%s` is a prefix; here stands one address", path, t);
		else
			conf_bad(errs, v, "%s: `%s` is no IPv4 or IPv6 address", path, t);
		return false;
	case VD_T_PREFIX:
		if (conf_word_of(v->opt->arg, t)) {
			v->prefix.ip.family = 0;
			return true;
		}
		if (vd_prefix_parse(t, &v->prefix) && (slash || !is_network(&v->prefix.ip)))
			return true;
		if (vd_prefix_parse(t, &v->prefix)) {
			conf_bad(errs, v, "%s: `%s` has no length; write the network as %s/%u, or /%u for this one address", path, t, t,
				v->prefix.ip.family == AF_INET ? 24u : 64u, v->prefix.ip.family == AF_INET ? 32u : 128u);
			return false;
		}
		if (slash && slash - t < VD_IP_TEXT) {
			char host[VD_IP_TEXT];

			vd_format(host, sizeof(host), "%.*s", (int)(slash - t), t);
			if (vd_ip_parse(host, &p.ip) && strspn(slash + 1, "0123456789") == strlen(slash + 1) &&
				strlen(slash + 1) < 4 && slash[1] && atoi(slash + 1) <= (p.ip.family == AF_INET ? 32 : 128)) {
				conf_bad(errs, v, "%s: `%s` has bits set behind its length; write the network's first address",
					path, t);
				return false;
			}
		}
		conf_bad(errs, v, "%s: `%s` is no prefix such as 10.0.0.0/8%s%s", path, t, v->opt->arg ? ", and not " : "",
			v->opt->arg ? v->opt->arg : "");
		return false;
	default:
		if (vd_range_parse(t, &v->ip, &v->ip_last))
			return true;
		conf_bad(errs, v, "%s: `%s` is no range such as 10.8.0.10-10.8.3.250 (first before last) or 10.8.0.0/22", path, t);
		return false;
	}
}

static const char *const type_names[] = {
	[VD_T_MAP] = "a map of options", [VD_T_BOOL] = "true or false", [VD_T_UINT] = "a number",
	[VD_T_DURATION] = "a time such as 30s", [VD_T_RATE] = "a rate such as 20mbit", [VD_T_STRING] = "a text",
	[VD_T_NAME] = "a name", [VD_T_WORD] = "a word", [VD_T_REF] = "the name of an object", [VD_T_ADDR] = "an address",
	[VD_T_PREFIX] = "a prefix such as 10.0.0.0/8", [VD_T_RANGE] = "a range of addresses",
	[VD_T_SECRET] = "!file PATH or !env NAME", [VD_T_KEY] = "!file PATH or !env NAME", [VD_T_PATH] = "a path",
};

bool conf_value(struct vd_conf *conf, struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	enum vd_opt_type type = v->opt->type;

	if (v->kind == CONF_NULL) {
		conf_bad_key(errs, v, "%s has no value; write %s, or take the line out", path, type_names[type]);
		return false;
	}
	if (v->kind != CONF_SCALAR) {
		conf_bad(errs, v, "%s must be %s, not a %s", path, type_names[type], v->kind == CONF_MAP ? "map" : "list");
		return false;
	}
	if (v->style == CONF_TAG_ENV && type != VD_T_SECRET && type != VD_T_KEY) {
		conf_bad(errs, v, "%s must be %s; !env is for secrets", path, type_names[type]);
		return false;
	}
	if (v->style == CONF_TAG_FILE && type != VD_T_SECRET && type != VD_T_KEY && type != VD_T_PATH) {
		conf_bad(errs, v, "%s must be %s; !file is for secrets and paths", path, type_names[type]);
		return false;
	}
	switch (type) {
	case VD_T_BOOL:
		if (v->style != CONF_PLAIN || (strcmp(v->text, "true") && strcmp(v->text, "false")))
			return bad_bool(v, path, errs);
		v->number = v->text[0] == 't';
		return true;
	case VD_T_UINT:
		return number(v, path, "a number", "10", NULL, errs);
	case VD_T_DURATION:
		return number(v, path, "a time", "30s, 8h or 1d", durations, errs);
	case VD_T_RATE:
		return number(v, path, "a rate", "20mbit", rates, errs);
	case VD_T_STRING:
		return string(v, path, errs);
	case VD_T_NAME:
		if (is_name(v->text))
			return true;
		conf_bad(errs, v, "%s: `%s` is no name; names are a-z, 0-9 and -", path, v->text);
		return false;
	case VD_T_WORD:
		return conf_word_of(v->opt->arg, v->text) || bad_word(conf, v, path, errs);
	case VD_T_REF: /* whether it is there is seen when everything has been read */
		return string(v, path, errs);
	case VD_T_ADDR:
	case VD_T_PREFIX:
	case VD_T_RANGE:
		return address(v, path, errs);
	case VD_T_SECRET:
	case VD_T_KEY:
		return secret(conf, v, path, errs);
	case VD_T_PATH:
		if (!*v->text || strlen(v->text) >= PATH_MAX) {
			conf_bad(errs, v, "%s: this is no path", path);
			return false;
		}
		v->text = absolute(conf, v);
		if (!v->text)
			conf_bad(errs, v, "%s: out of memory", path);
		return v->text != NULL;
	default:
		conf_bad(errs, v, "%s must be %s", path, type_names[VD_T_MAP]);
		return false;
	}
}

bool conf_values(struct vd_conf *conf, struct vd_conf_node *v, const char *path, struct vd_conf_errors *errs)
{
	struct vd_conf_node *only;
	bool ok = true;
	uint32_t i;

	if (!(v->opt->flags & VD_OPT_LIST))
		return conf_value(conf, v, path, errs);
	if (v->kind == CONF_SCALAR) { /* one value is a list of one */
		only = conf_alloc(conf, sizeof(*only));
		if (!only)
			return false;
		*only = *v;
		only->name = "";
		v->kind = CONF_LIST;
		if (conf_node_add(conf, v, only) < 0)
			return false;
	}
	if (v->kind != CONF_LIST)
		return conf_value(conf, v, path, errs);
	for (i = 0; i < v->n; i++) {
		v->items[i]->opt = v->opt;
		v->items[i]->schema = v->schema;
		v->items[i]->is_default = v->is_default;
		ok &= conf_value(conf, v->items[i], path, errs);
	}
	return ok;
}
