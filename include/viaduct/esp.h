/* Viaduct: service esp/1: channels made of ESP security associations (RFC 4303, RFC 3948). Control thread. */
#ifndef VIADUCT_ESP_H
#define VIADUCT_ESP_H

#include <viaduct/datapath.h>
#include <viaduct/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vd_esp_mode { VD_ESP_TRANSPORT, VD_ESP_TUNNEL };

/* Transforms by IANA IKEv2 number (IKEv1's are mapped by its plugin). */
enum vd_esp_encr { VD_ENCR_3DES = 3, VD_ENCR_NULL = 11, VD_ENCR_AES_CBC = 12, VD_ENCR_AES_GCM_16 = 20, VD_ENCR_CHACHA20_POLY1305 = 28 };
enum vd_esp_integ { VD_INTEG_NONE = 0, VD_INTEG_SHA1_96 = 2, VD_INTEG_SHA2_256_128 = 12, VD_INTEG_SHA2_384_192 = 13, VD_INTEG_SHA2_512_256 = 14 };

struct vd_esp_sa {
	uint64_t chan;
	uint32_t spi;       /* host order */
	uint8_t encr, integ;
	uint16_t key_bits;  /* of encr: 128, 192, 256 */
	bool esn;
	uint16_t window;    /* replay window in packets, inbound; 0: default 1024 */
	struct vd_secret *keymat; /* encr key, then salt (GCM, ChaCha: 4 octets), then integ key; referenced while installed */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* 0: from the transforms */
	/* Of a tunnel: what lies on our side of it; family 0: everything. Packets leave through the newest SA that has their
	 * source; what comes in and is for elsewhere is dropped (RFC 4301 section 5.2). */
	struct vd_prefix local;
};


struct vd_esp_events { /* to whoever negotiated the SAs; through the FIFO */
	/* A soft limit was reached: rekey, if we are allowed to start one. */
	void (*soft)(void *arg, uint64_t chan, uint32_t spi);
	/* A hard limit was reached: the SA is gone. */
	void (*hard)(void *arg, uint64_t chan, uint32_t spi);
	/* First authenticated packet on this inbound SA: the responder of a rekey switches its outbound SA. */
	void (*first_in)(void *arg, uint64_t chan, uint32_t spi);
	/* An authenticated, newest packet came from another address or port. */
	void (*rebind)(void *arg, uint64_t chan, const struct vd_path *path);
	/* For 3 s packets were sent on the channel and no authentic one came. Repeated every 3 s while that goes on. May be NULL. */
	void (*unanswered)(void *arg, uint64_t chan);
};

struct vd_esp_1 {
	void *self;
	size_t (*keymat_len)(void *self, uint8_t encr, uint16_t key_bits, uint8_t integ);
	/* A channel for the peer: added to its home worker at once; up when both directions are installed. upper: "l2tp", or
	 * "tunnel": its datagrams are IP packets. */
	int (*chan_new)(void *self, uint64_t peer, enum vd_esp_mode mode, const struct vd_path *path, const char *upper,
		const struct vd_esp_events *events, void *arg, uint64_t *ret_chan);
	/* An unused inbound SPI: random 24 bits (not 0) << 8 | home slot. Reserved until installed, freed or the channel goes. */
	int (*alloc_spi)(void *self, uint64_t chan, uint32_t *ret_spi);
	void (*free_spi)(void *self, uint32_t spi);
	/* done when the owner has it. -EOPNOTSUPP for transforms it cannot do. The first inbound plus the first outbound SA
	 * post chan_up. A newer outbound SA replaces the current one for sending; the older is kept until removed. */
	int (*install_in)(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg);
	int (*install_out)(void *self, const struct vd_esp_sa *sa, void (*done)(void *arg), void *arg);
	/* Removes one SA by its SPI (inbound: ours; outbound: the peer's). When the last inbound SA goes, the channel stays
	 * until the core closes it. Unknown SPIs are ignored. */
	void (*remove_in)(void *self, uint64_t chan, uint32_t spi);
	void (*remove_out)(void *self, uint64_t chan, uint32_t spi);
	/* The peer moved (the control thread decided). */
	int (*set_path)(void *self, uint64_t chan, const struct vd_path *path, void (*done)(void *arg), void *arg);
	/* After an import: whoever negotiated the SAs takes a channel over again. -ESTALE for an unknown one. */
	int (*chan_adopt)(void *self, uint64_t chan, const struct vd_esp_events *events, void *arg);
};

#ifdef __cplusplus
}
#endif
#endif
