/* esp_userspace: ESP (RFC 4303) in worker threads. *_stage.c is what workers run; the rest is the control thread's.
 *
 * An SA is made on the control thread, keys and all, and given to the worker of its peer's home slot; from then on that
 * worker alone touches what is marked "worker", without locks or atomics, until a command has taken the SA back. */
#ifndef ESP_USERSPACE_ESP_H
#define ESP_USERSPACE_ESP_H

#include <openssl/evp.h>

#include <viaduct/esp.h>
#include <viaduct/loop.h>
#include <viaduct/object.h>
#include <viaduct/plugin.h>
#include <viaduct/record.h>
#include <viaduct/state.h>

#define ESP_BUCKETS 4096u
#define ESP_WINDOW 1024u
#define ESP_WINDOW_MAX 4096u
#define ESP_WINDOW_WORDS 128u
#define ESP_ICV_MAX 32u
#define ESP_ICV_CUT 12u       /* HMAC-SHA2-256 of peers that cut it to 96 bits, as Linux did and Android up to 7 does */
#define ESP_SAS_MAX 48u    /* of one channel and direction */
#define ESP_RESERVED_MAX 8u /* SPIs of one channel that wait for their SA */
#define ESP_TAKEOVER (1u << 20)
#define ESP_UNANSWERED_MS 3000u /* longer than TCP takes for two repetitions on a path that is alive */

struct esp_suite {
	uint8_t encr, integ;
	uint16_t key_bits;
	uint8_t iv, icv, align; /* octets; align: of what is encrypted */
	bool aead;
	uint8_t key, salt, integ_key;
	const char *cipher, *md;
};

struct esp_mb; /* intel-ipsec-mb of one worker, mb.c */

/* One packet to seal or open in place: SPI, sequence number, IV, text, ICV. */
struct esp_crypt;
struct esp_job {
	struct esp_crypt *crypt;
	uint8_t *esp;
	uint32_t text; /* octets between IV and ICV */
	uint32_t hi;   /* upper half of an extended sequence number */
	uint8_t icv;   /* octets */
	bool done, ok; /* a provider took it; it is sealed, or authentic and plain */
};

struct esp_crypt {
	struct esp_suite suite;
	EVP_CIPHER_CTX *ctx;   /* keyed */
	EVP_CIPHER_CTX *ivgen; /* CBC, outbound: AES under a key of its own */
	EVP_MAC_CTX *mac;      /* keyed */
	struct esp_mb_key *mb; /* the same keys for intel-ipsec-mb, or NULL */
	uint8_t salt[4];
	bool icv_open;         /* inbound: ESP_ICV_CUT is possible too, until a whole one came */
	bool esn;              /* the upper half of sequence numbers is authenticated too */
	uint64_t iv;           /* AEAD: epoch(16) | counter(48); CBC: number of the next IV */
};

/* RFC 6479. bits has room for one word more than the window needs, so that moving on clears whole words. */
struct esp_window {
	uint32_t size, words; /* packets; words a power of two */
	uint64_t top;         /* highest number seen, 0: none */
	uint64_t *bits;       /* borrowed: they stand behind the SA. NULL: outbound, nothing is looked up */
};

/* An inbound SPI that is taken: by an SA, or by a channel that waits for one. Control thread. */
struct esp_chan;
struct esp_spi {
	struct esp_spi *next;
	uint32_t spi; /* 0: not in the table */
	struct esp_chan *chan;
};

struct esp_sa {
	struct esp_spi taken;   /* control, inbound */
	struct esp_sa *next;    /* control: of its channel, oldest first */
	struct esp_sa *chain;   /* worker: of its bucket; outbound: of its channel, newest first */
	struct esp_chan *chan;
	bool in;
	struct vd_esp_sa desc;  /* constant; a reference of keymat is held */
	struct esp_crypt crypt; /* worker */
	struct esp_window window; /* worker, inbound */
	uint64_t seq;           /* worker, outbound: last number used */
	uint64_t packets, bytes; /* worker */
	bool soft_told, hard_told, first_told; /* worker */
};

struct esp_close { /* a removal on its way; c is NULL when the channel was freed before its end */
	struct esp_chan *c;
};

struct esp_chan {
	struct vd_chan c;       /* first; c.lower is the current outbound SA */
	struct esp *esp;
	/* worker */
	struct vd_path path, seen;
	bool seen_told;
	uint64_t alive_told;
	uint64_t unanswered, unanswered_told; /* the first packet sent since the last one came, 0: none */
	bool cut; /* the peer cuts HMAC-SHA2-256, and so do we */
	enum vd_esp_mode mode;  /* constant */
	/* control */
	struct esp_chan *next;
	struct vd_path control_path;
	char upper[16];
	const struct vd_esp_events *events;
	void *arg;
	struct esp_sa *in, *out;
	struct esp_spi reserved[ESP_RESERVED_MAX];
	bool have_in, have_out, up, closing;
	uint64_t last_in;
	struct esp_close *close; /* with closing */
	char reason[VD_ID_TEXT];
};

struct esp_table { /* one per worker */
	struct esp_mb *mb;
	struct esp_sa *bucket[ESP_BUCKETS];
};

struct esp {
	const struct vd_datapath_1 *dp;
	struct vd_host *host;
	struct vd_esp_1 service;
	struct esp_chan *chan[ESP_BUCKETS];
	struct esp_spi *spi[ESP_BUCKETS];
	struct esp_table *table[VD_MAX_WORKERS];
	bool tables;
};

/* ---- suite.c ---- */
/* -EOPNOTSUPP for what we cannot do. */
int esp_suite(uint8_t encr, uint16_t key_bits, uint8_t integ, struct esp_suite *ret_suite);
size_t esp_suite_keymat(const struct esp_suite *s);
/* Keys the contexts. in: for opening. esn is the caller's to set afterwards. */
int esp_crypt_init(struct esp_crypt *c, const struct esp_suite *s, const struct vd_secret *keymat, bool in);
void esp_crypt_fini(struct esp_crypt *c);
/* Fills in limits that are 0 from what the transforms bear. */
void esp_limits(const struct esp_suite *s, struct vd_esp_sa *sa);
/* Largest datagram that fits outer_mtu on this path with this suite; NULL: with any. */
uint16_t esp_mtu(const struct esp_suite *s, const struct vd_path *path, uint16_t outer_mtu);

/* ---- sa.c, channel.c, export.c ---- */
void esp_spi_take(struct esp *esp, struct esp_spi *s, uint32_t spi, struct esp_chan *chan);
/* Harmless when it is not taken. */
void esp_spi_give(struct esp *esp, struct esp_spi *s);
struct esp_chan *esp_chan_find(struct esp *esp, uint64_t id);
/* outer: what its datagrams may have outside, 0: what this path takes now. */
struct esp_chan *esp_chan_make(struct esp *esp, uint64_t id, uint64_t peer, uint8_t home, enum vd_esp_mode mode,
	const struct vd_path *path, uint16_t outer, const char *upper);
/* set_path of esp/1. */
int esp_chan_path(void *self, uint64_t chan, const struct vd_path *path, void (*done)(void *arg), void *arg);
void esp_chan_free(struct esp *esp, struct esp_chan *c);
int esp_tables(struct esp *esp);
int esp_sa_make(struct esp_chan *c, const struct vd_esp_sa *desc, bool in, struct esp_sa **ret_sa);
void esp_sa_free(struct esp_sa *sa);
/* Puts a made SA on its channel and worker; done when it is there. */
int esp_sa_install(struct esp *esp, struct esp_sa *sa, void (*done)(void *arg), void *arg);
void esp_sa_service(struct vd_esp_1 *service);
void esp_chan_service(struct vd_esp_1 *service);
extern const struct vd_layer esp_layer;
extern const struct vd_chan_maker esp_maker;
/* Told by workers; run on the control thread. */
void esp_on_soft(void *arg, uint64_t chan, uint64_t sa);
void esp_on_hard(void *arg, uint64_t chan, uint64_t sa);
void esp_on_first(void *arg, uint64_t chan, uint64_t spi);
void esp_on_moved(void *arg, uint64_t chan, uint64_t unused);
void esp_on_alive(void *arg, uint64_t chan, uint64_t unused);
void esp_on_unanswered(void *arg, uint64_t chan, uint64_t unused);
void esp_on_cut(void *arg, uint64_t chan, uint64_t cut);
#define ESP_TOLD_IN (1ull << 32) /* in the number told by soft and hard: an inbound SPI */

/* ---- window_stage.c ---- */
/* The words of a window of so many packets (64 to ESP_WINDOW_MAX, others are rounded to these): at most ESP_WINDOW_WORDS. */
uint32_t esp_window_words(uint32_t size);
/* bits: that many words, all 0. */
void esp_window_init(struct esp_window *w, uint32_t size, uint64_t *bits);
/* The whole number of a packet that carries only the lower half: the one that lies in the window or ahead of it (RFC 4303
 * appendix A2.1). 0: it would lie before the SA began. */
uint64_t esp_window_infer(const struct esp_window *w, uint32_t lo);
/* May this number still come? Changes nothing. */
bool esp_window_check(const struct esp_window *w, uint64_t seq);
/* After authentication. True when it is the newest. */
bool esp_window_update(struct esp_window *w, uint64_t seq);

/* ---- crypt_stage.c ---- */
/* Writes the next IV of an outbound SA; one is used once. */
bool esp_iv(struct esp_crypt *c, uint8_t *esp);
/* The associated data of an AEAD; its length. */
size_t esp_aad(const struct esp_job *j, uint8_t aad[12]);
/* The text of a packet of len octets, or 0: not one of this suite. The length tells the ICV where that is open: blocks of 16
 * octets, and 12 or 16 behind them. */
uint32_t esp_text(const struct esp_crypt *c, size_t len, uint8_t *ret_icv);
/* Vectors of packets, of any SAs: IVs are there already. mb: the worker's multi-buffer manager, or NULL. */
void esp_seal_jobs(struct esp_mb *mb, struct esp_job *jobs, unsigned n);
void esp_open_jobs(struct esp_mb *mb, struct esp_job *jobs, unsigned n);
/* One packet; hi: upper half of its extended number. esp: SPI, sequence number, IV (written here), text octets of plain text with trailer, then room for the ICV. */
bool esp_seal(struct esp_crypt *c, uint8_t *esp, size_t text, uint32_t hi);
/* The whole packet; on success the text behind the IV is plain and its length returned, else -1. */
long esp_open(struct esp_crypt *c, uint8_t *esp, size_t len, uint32_t hi);

/* ---- in_stage.c, out_stage.c ---- */
/* Slot of the worker's esp_table. A static, because esp_input has no argument; set by init. */
extern unsigned esp_slot;
vd_esp_input_fn esp_input;
void esp_output(struct vd_worker *w, struct vd_chan *chan, struct vd_vec *vec);
void esp_table_add(struct esp_table *t, struct esp_sa *sa);
void esp_table_del(struct esp_table *t, struct esp_sa *sa);

#endif
