/* A scripted IKEv1 initiator for tests: straight from RFC 2409 on OpenSSL, sharing nothing with the plugin. */
#ifndef TESTS_IKE_CLIENT_H
#define TESTS_IKE_CLIENT_H

#include <openssl/bn.h>
#include <viaduct/datapath.h>

struct client {
	struct vd_path path;
	const char *psk, *md, *cipher;
	unsigned group, hash_len, key_len, block, enc, enc_bits, hash;
	unsigned auth; /* of phase 1; 0: a pre-shared key */
	uint8_t ic[8], rc[8];
	uint8_t sa[4096];
	size_t sa_len;
	BIGNUM *x;
	const struct client *dh_of; /* whose key pair is ours, too; NULL: one of our own */
	uint8_t gxi[512], gxr[512], gxy[512];
	size_t g_len, gxy_len;
	uint8_t ni[32], nr[256];
	size_t nr_len;
	uint8_t skeyid[64], d[64], a[64], e[64], key[32], iv[16], last[16];
	uint8_t id[64];
	size_t id_len;
	uint8_t said[64]; /* the identity that the other side told */
	size_t said_len;
	/* Who answers quick mode: what it was asked: SA payload's body, selectors, how many NAT-OA payloads. */
	uint8_t asked_sa[512], asked_ci[72], asked_cr[72];
	size_t asked_sa_len, asked_ci_len, asked_cr_len;
	unsigned asked_oa;
	uint8_t inside[4];     /* in its selectors */
	bool initial_contact, bad_natd_us, bad_natd_peer, windows, dpd; /* windows: it says that it is one */
	/* quick mode */
	bool seen_id; /* a gateway may write the address that it sees into our selector, as strongSwan does behind NAT */
	uint8_t tunnel[12]; /* its address inside, and network and mask of the other side, instead of UDP 1701; 0: not */
	uint16_t port_r; /* the gateway's in its selector; 0: 1701 */
	unsigned also_auth; /* a second transform with this integrity; 0: none */
	bool natoa; /* NAT-OA payloads behind the identities, as behind NAT */
	unsigned qgroup; /* of PFS; 0: none */
	const char *fqdn; /* quick mode: its identity is this name; NULL: its address */
	uint8_t idci[72], idcr[12];
	size_t idci_len, idcr_len;
	unsigned esp, esp_bits, esp_auth; /* of the answer */
	bool esp_unchanged; /* client_qm1_sa: it is one transform of the offer, octet by octet */
	uint32_t mid, spi_i, spi_r;
	const uint8_t *go_on; /* client_sealed_with: the IV that it goes on from; NULL: it begins an exchange */
	uint8_t qiv[16], qni[32], qnr[256];
	size_t qnr_len;
	uint8_t keymat_in[128], keymat_out[128]; /* as the gateway sees them */
};

/* One built message. */
struct msg {
	uint8_t p[4096];
	size_t len;
};

void client_init(struct client *c, const char *psk, unsigned enc, unsigned bits, unsigned hash, unsigned group);
void client_free(struct client *c);
void client_mm1(struct client *c, struct msg *m);
void client_mm1_sa(struct client *c, const uint8_t *sa, size_t len, const uint8_t *const *vids, const size_t *vid_lens,
	size_t n, struct msg *m);
bool client_mm2(struct client *c, const struct msg *m);
/* When several were offered: takes what the answer chose; false when that was not offered like this. */
bool client_mm2_chosen(struct client *c, const struct msg *m);
void client_mm3(struct client *c, struct msg *m);
bool client_mm4(struct client *c, const struct msg *m);
/* Whether there is a NAT between us, after what the gateway said of our addresses in message 4. */
bool client_mm4_nat(const struct client *c, const struct msg *m);
void client_mm5(struct client *c, struct msg *m);
/* Aggressive mode, as who c->id says. */
void client_am1(struct client *c, struct msg *m);
/* With this SA payload's body, of which the first transform is expected, and these payloads, vendor ids, behind the rest. */
void client_am1_sa(struct client *c, const uint8_t *sa, size_t len, const uint8_t *vendors, size_t vendors_len, struct msg *m);
bool client_am2(struct client *c, const struct msg *m);
void client_am3(struct client *c, bool encrypted, struct msg *m);
bool client_mm6(struct client *c, const struct msg *m);
/* encap, and the ESP transform: id, bits, auth. group 0: no PFS. */
void client_qm1(struct client *c, uint32_t mid, unsigned encap, unsigned esp, unsigned bits, unsigned auth,
	unsigned group, uint16_t port, struct msg *m);
/* With this SA payload's body; its proposals have 4 octets for the SPI, which are filled in. */
void client_qm1_sa(struct client *c, uint32_t mid, const uint8_t *sa, size_t len, unsigned group, uint16_t port,
	struct msg *m);
bool client_qm2(struct client *c, const struct msg *m, size_t keymat_len);
void client_qm3(struct client *c, struct msg *m);
void client_info(struct client *c, uint32_t mid, uint8_t type, const void *body, size_t len, struct msg *m);
/* Told of every message before it is encrypted; NULL: nobody. */
extern void (*client_plain)(const struct msg *m);
/* With these payloads, the first of that type: message 5; one of an exchange after phase 1, behind the right HASH(1) when
 * hashed. body and what is added to it must fit. */
void client_main_with(struct client *c, uint8_t next, const void *body, size_t len, struct msg *m);
void client_sealed_with(struct client *c, uint8_t exchange, uint32_t mid, bool hashed, uint8_t next, const void *body,
	size_t len, struct msg *m);
/* Transaction exchanges: one message, with the IV that it goes on from and leaves behind; first: it begins the exchange.
 * open returns the body of the Attributes payload, or NULL. */
void client_cfg(struct client *c, uint32_t mid, bool first, uint8_t iv[16], const void *body, size_t len, struct msg *m);
const uint8_t *client_cfg_open(struct client *c, struct msg *m, bool first, uint8_t iv[16], size_t *ret_len);
/* The part of a message with this number, from 1, when it is cut into so many of about the same length: payload type 132, the
 * header that of the message, its encryption bit clear. */
void client_fragment(const struct msg *m, unsigned id, unsigned number, unsigned of, struct msg *ret_part);
/* HASH_I over this identification payload's body. */
void client_hash_i(const struct client *c, const void *id, size_t len, uint8_t *ret_hash);
/* The other role, as a gateway that is dialled: c->path.remote is its address, c->id its identity. Message 1, 3 or 5 in, the
 * answer out; false when it is not right. encap: what is answered in quick mode; 0: the transform that was asked for, which must
 * be the only one, with PFS as of qgroup. */
bool gateway_mm2(struct client *c, const struct msg *in, struct msg *m);
bool gateway_mm4(struct client *c, const struct msg *in, struct msg *m);
bool gateway_mm6(struct client *c, const struct msg *in, struct msg *m);
bool gateway_qm2(struct client *c, const struct msg *in, unsigned encap, size_t keymat_len, struct msg *m);
bool gateway_qm3(struct client *c, const struct msg *in);
/* A notification in the clear, as from anybody who saw the cookies. */
void gateway_plain(const struct client *c, unsigned type, struct msg *m);
/* Opens an informational message; returns its second payload's body, or NULL. */
const uint8_t *client_info_open(struct client *c, struct msg *m, uint8_t *ret_type, size_t *ret_len);

#endif
