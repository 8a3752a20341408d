/* A turn is collected, cleansed of what nobody shall read, and written. */
#include "core/record/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <viaduct/bytes.h>
#include <viaduct/datapath.h>
#include <viaduct/file.h>
#include <viaduct/log.h>
#include <viaduct/object.h>
#include <viaduct/topics.h>

#include "core/bus.h"
#include "core/datapath/datapath.h"
#include "core/object/id.h"
#include "core/record/names.h"

#define IKE_HEADER 28
#define IKE_ENCRYPTED 1 /* flag in octet 19 (RFC 2408 section 3.1) */
#define ESP_CLEAR 8     /* SPI and sequence number */
#define TURN_MAX ((size_t)16 << 20)
#define PLACES 64
#define PROOFS 512

/* One line: words, then octets. */
struct entry {
	struct entry *next;
	char *text;
	const uint8_t *origin; /* where the octets were in memory */
	size_t len;
	uint8_t octets[];
};

struct place {
	const uint8_t *at;
	size_t len;
};
struct proof {
	uint8_t *octets;
	size_t len;
};

static struct {
	bool on, names;
	FILE *file;
	void (*fn)(void *arg, const char *line);
	void *arg;
	struct vd_tap *tap;
	struct entry *head, **tail;
	size_t turn_size, written;
	struct place places[PLACES]; /* of this turn */
	unsigned n_places;
	struct proof proofs[PROOFS]; /* the newest, since a message may be sent again */
	unsigned next_proof;
	uint64_t said; /* the time that was last told */
	bool begun, timer, closing;
} r;

bool vd_record_on(void)
{
	return r.on;
}

/* ---- a turn ---- */
static void add(const void *p, size_t len, const char *fmt, ...) VD_PRINTF(3, 4);
static void add(const void *p, size_t len, const char *fmt, ...)
{
	struct entry *e = r.turn_size + len < TURN_MAX ? calloc(1, sizeof(*e) + len) : NULL;
	va_list ap;
	int n = -1;

	va_start(ap, fmt);
	if (e)
		n = vasprintf(&e->text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		free(e);
		return; /* a hole in the recording, which the replay shows */
	}
	e->origin = p;
	e->len = len;
	if (len)
		memcpy(e->octets, p, len);
	r.turn_size += sizeof(*e) + len + (size_t)n;
	*r.tail = e;
	r.tail = &e->next;
}

static void cleanse(struct entry *e)
{
	uintptr_t from = (uintptr_t)e->origin, to = from + e->len;

	for (unsigned i = 0; i < r.n_places && from; i++) {
		uintptr_t at = (uintptr_t)r.places[i].at, end = at + r.places[i].len;

		if (at < to && end > from)
			memset(e->octets + (at > from ? at - from : 0), 0, (end < to ? end : to) - (at > from ? at : from));
	}
	for (unsigned i = 0; i < PROOFS && r.proofs[i].octets; i++) {
		const struct proof *proof = &r.proofs[i];
		uint8_t *p = e->octets;

		while ((p = memmem(p, e->len - (size_t)(p - e->octets), proof->octets, proof->len))) {
			memset(p, 0, proof->len);
			p += proof->len;
		}
	}
	if (r.names)
		return;
	vd_record_names_replace((char *)e->octets, e->len);
	vd_record_names_replace(e->text, strlen(e->text));
}

static void put(const char *line, size_t len)
{
	if (r.fn)
		r.fn(r.arg, line);
	else if (r.file)
		fprintf(r.file, "%s\n", line);
	r.written += len + 1;
}

static void write_entry(const struct entry *e)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(e->text);
	char *line = malloc(n + 2 + 2 * e->len + 1), *at;

	if (!line)
		return;
	memcpy(line, e->text, n);
	at = line + n;
	if (e->len)
		*at++ = ' ';
	for (size_t i = 0; i < e->len; i++) {
		*at++ = digits[e->octets[i] >> 4];
		*at++ = digits[e->octets[i] & 15];
	}
	*at = '\0';
	put(line, (size_t)(at - line));
	free(line);
}

static void forget(void)
{
	while (r.head) {
		struct entry *e = r.head;

		r.head = e->next;
		vd_wipe(e->octets, e->len);
		free(e->text);
		free(e);
	}
	r.tail = &r.head;
	r.turn_size = 0;
}

void vd_record_turn(void)
{
	struct entry *e;

	if (!r.on || !r.begun)
		return;
	if (r.head && r.head->text[0] == ' ') {
		char line[40];

		put(line, vd_format(line, sizeof(line), "other %llu", (unsigned long long)vd_now()));
	}
	for (e = r.head; e; e = e->next) {
		cleanse(e);
		write_entry(e);
	}
	forget();
	r.timer = false;
	r.n_places = 0;
	if (r.closing)
		return; /* why it ends was said already */
	if (r.file && (fflush(r.file) != 0 || ferror(r.file))) {
		/* A full disk, say. The daemon's work goes on. */
		vd_log(VD_LOG_ERROR, "record", NULL, "the recording ends here: it cannot be written: %s", strerror(errno));
		vd_record_close("it cannot be written");
	} else if (r.written > VD_RECORD_MAX) {
		vd_log(VD_LOG_WARNING, "record", NULL, "the recording ends here: it has %zu MiB", VD_RECORD_MAX >> 20);
		vd_record_close("the file is full");
	}
}

/* What begins a turn says when. */
static void begin_turn(void)
{
	if (vd_now() != r.said)
		add(NULL, 0, "now %llu", (unsigned long long)vd_now());
	r.said = vd_now();
}

/* ---- what plugins say ---- */
void vd_observe(const char *what, void *p, size_t len)
{
	if (r.on)
		add(p, len, " saw %s", what);
}

void vd_record_sealed(const void *p, size_t len)
{
	if (r.on && r.begun)
		add(p, len, " sealed");
}

/* What cannot be cleansed is not written. */
static void give_up(const char *why)
{
	forget();
	vd_log(VD_LOG_ERROR, "record", NULL, "the recording ends here: %s", why);
	vd_record_close(why);
}

static void proof_free(struct proof *proof)
{
	if (proof->octets)
		vd_wipe(proof->octets, proof->len);
	free(proof->octets);
	*proof = (struct proof){ 0 };
}

void vd_conceal(const void *p, size_t len)
{
	struct proof *proof = &r.proofs[r.next_proof];

	if (!r.on || len < 4)
		return;
	proof_free(proof);
	proof->octets = malloc(len);
	if (!proof->octets) {
		give_up("out of memory");
		return;
	}
	memcpy(proof->octets, p, len);
	proof->len = len;
	r.next_proof = (r.next_proof + 1) % PROOFS;
}

void vd_conceal_at(const void *p, size_t len)
{
	if (!r.on || len == 0)
		return;
	if (r.n_places == PLACES)
		give_up("too much to conceal in one turn");
	else
		r.places[r.n_places++] = (struct place){ p, len };
}

void vd_record_name(const char *name)
{
	if (r.on && !r.names)
		vd_record_names_add(name);
}

void vd_record_keep(const char *word)
{
	if (r.on && !r.names)
		vd_record_names_keep(word);
}

/* ---- what the core says ---- */
void vd_record_state(const char *what, const char *words)
{
	if (r.on && !r.begun)
		add(NULL, 0, "state %s %s", what, words);
}

void vd_record_conf(const char *dir)
{
	char *whole = r.on ? realpath(dir, NULL) : NULL;

	if (r.on)
		add(NULL, 0, "conf %s", whole ? whole : dir);
	free(whole);
}

void vd_record_file(const char *path, const char *text, size_t len)
{
	char *whole;

	if (!r.on || r.begun)
		return;
	whole = realpath(path, NULL);
	add(NULL, 0, "file %s", whole ? whole : path);
	free(whole);
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		add(NULL, 0, "| %.*s", (int)n, text);
		text += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
}

static void on_bus(void *arg, const struct vd_topic *topic, const void *data, const struct vd_answer *answer)
{
	static char fields[131072]; /* control thread only */

	(void)arg;
	if (!r.begun)
		return;
	if (topic == &vd_topic_authenticate && !answer)
		vd_record_name(((const struct vd_authenticate *)data)->user);
	if (vd_fields_json(topic->fields, topic->n_fields, data, fields, sizeof(fields)) < 0)
		return;
	add(NULL, 0, " %s %s%s%s %s", topic->kind == VD_EVENT ? "event" : answer ? "answer" : "request", topic->name,
		answer ? " " : "", answer ? vd_verdict_name(answer->verdict) : "", fields);
}

void vd_record_begin(void)
{
	if (!r.on)
		return;
	r.tap = vd_bus_tap(on_bus, NULL);
	r.said = vd_now();
	add(NULL, 0, "begin %llu %llu %llu", (unsigned long long)vd_now(), (unsigned long long)vd_wall(),
		(unsigned long long)vd_id_peek());
	r.begun = true;
	vd_record_turn();
}

void vd_record_start(void)
{
	if (!r.on)
		return;
	begin_turn();
	add(NULL, 0, "start");
}

/* How much of a datagram is clear. Of IKE the rest is kept too, since a message is told from its repetition by it. */
static size_t clear_part(bool esp, size_t len)
{
	return esp && len > ESP_CLEAR ? ESP_CLEAR : len;
}

static bool is_esp(const struct vd_path *path, const uint8_t *p, size_t len)
{
	struct vd_rd rd;

	vd_rd_init(&rd, p, len);
	return path->remote.port == 0 || (path->natt && vd_rd_u32(&rd) != 0 && vd_rd_ok(&rd));
}

void vd_record_in(int worker, const struct vd_path *path, const uint8_t *p, size_t len)
{
	char local[VD_SA_TEXT], remote[VD_SA_TEXT], tos[16] = "";

	if (!r.on || !r.begun)
		return;
	if (path->tos)
		vd_format(tos, sizeof(tos), " tos %u", path->tos);
	begin_turn();
	add(p, clear_part(is_esp(path, p, len), len), "in %d %llu %d %s %s %zu%s", worker,
		(unsigned long long)path->endpoint, path->natt, vd_sa_format(&path->local, local),
		vd_sa_format(&path->remote, remote), len, tos);
}

void vd_record_tun(unsigned worker, const uint8_t *p, size_t len)
{
	if (!r.on || !r.begun)
		return;
	begin_turn();
	add(p, len, "tun %u %zu", worker, len);
}

void vd_record_timer(void)
{
	if (!r.on || !r.begun || r.timer)
		return;
	begin_turn();
	add(NULL, 0, "timer");
	r.timer = true;
}

/* Commands that change something and hold no secret. A reload brings files that are not recorded. */
void vd_record_control(const char *line, size_t len)
{
	static const char *const known[] = { "\"session.kill\"", "\"connection.up\"", "\"connection.down\"" };

	if (!r.on || !r.begun)
		return;
	for (size_t i = 0; i < VD_ARRAY_SIZE(known); i++)
		if (memmem(line, len, known[i], strlen(known[i]))) {
			begin_turn();
			add(NULL, 0, "control %.*s", (int)len, line);
			return;
		}
}

void vd_record_out(void *arg, const struct vd_datapath_sent *sent)
{
	char local[VD_SA_TEXT], remote[VD_SA_TEXT];
	const uint8_t *ike = sent->p;
	size_t len = sent->len, clear = sent->len, marker = sent->path.natt ? 4 : 0;

	(void)arg;
	if (!r.on || !r.begun)
		return;
	if (sent->way == VD_SENT_TUN) {
		add(sent->p, len, " out tun %zu", len);
		return;
	}
	if (is_esp(&sent->path, sent->p, len) && sent->way != VD_SENT_IKE)
		clear = len > ESP_CLEAR ? ESP_CLEAR : len;
	else if (len >= marker + IKE_HEADER && ike[marker + 19] & IKE_ENCRYPTED)
		clear = marker + IKE_HEADER;
	add(sent->p, clear, " out %s %s %s %zu", sent->way == VD_SENT_IKE ? "ike" : sent->way == VD_SENT_RAW ? "raw" : "udp",
		vd_sa_format(&sent->path.local, local), vd_sa_format(&sent->path.remote, remote), len);
}

/* ---- life ---- */
static void prepare(bool names)
{
	r.on = true;
	r.names = names;
	r.begun = false;
	r.tail = &r.head;
	r.written = 0;
	add(NULL, 0, "viaduct-recording %d %s", VD_RECORD_VERSION, VD_VERSION);
}

int vd_record_open(const char *path, bool names, struct vd_error *err)
{
	int fd = vd_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	struct vd_error said = *err;

	if (fd < 0)
		return vd_error_set(err, fd, "cannot make the recording %s%s", said.text,
			fd == -EEXIST ? "; give another name, or remove it" : "");
	r.file = fdopen(fd, "w");
	if (!r.file) {
		close(fd);
		return vd_error_set(err, -ENOMEM, "cannot make the recording %s: out of memory", path);
	}
	prepare(names);
	return 0;
}

int vd_record_to(void (*fn)(void *arg, const char *line), void *arg)
{
	r.fn = fn;
	r.arg = arg;
	prepare(true);
	return 0;
}

void vd_record_close(const char *why)
{
	if (!r.on || r.closing)
		return;
	r.closing = true;
	if (r.begun) {
		add(NULL, 0, "end %s", why);
		vd_record_turn();
	}
	r.closing = false;
	r.begun = true; /* what never began is dropped likewise */
	r.on = false;
	if (r.tap)
		vd_bus_untap(r.tap);
	if (r.file)
		fclose(r.file);
	forget();
	for (size_t i = 0; i < PROOFS; i++)
		proof_free(&r.proofs[i]);
	r.next_proof = r.n_places = 0;
	vd_record_names_free();
	r.tap = NULL;
	r.file = NULL;
	r.fn = NULL;
}
