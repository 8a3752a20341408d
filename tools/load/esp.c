/* ESP of a client in transport mode (RFC 4303) around UDP 1701, with the profile's algorithms. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "load.h"

#define PORT 1701u

static EVP_CIPHER_CTX *ctx; /* one for all: keys are set for each packet */

static bool is_gcm(void) { return load_opt.profile->esp == 20; }
static size_t key_len(void) { return load_opt.profile->esp == 3 ? 24 : load_opt.profile->esp_bits / 8; }
static size_t integ_len(void) { return is_gcm() ? 4 : load_opt.profile->esp_auth == 5 ? 32 : 20; }
static size_t icv_len(void) { return is_gcm() || load_opt.profile->esp_auth == 5 ? 16 : 12; }
static size_t iv_len(void) { return is_gcm() || load_opt.profile->esp == 3 ? 8 : 16; }
static size_t align(void) { return is_gcm() ? 4 : iv_len(); }

size_t load_esp_keymat(void) { return key_len() + integ_len(); }

void load_esp_keys(struct load_sa *sa, uint32_t spi, const uint8_t *keymat)
{
	*sa = (struct load_sa){ .spi = spi };
	memcpy(sa->encr, keymat, key_len());
	memcpy(sa->integ, keymat + key_len(), integ_len());
}

/* In place, from the ESP header on: len octets of text behind header and IV, then the ICV. False: not authentic. */
static bool seal(const struct load_sa *sa, bool enc, uint8_t *esp, size_t len)
{
	uint8_t *iv = esp + 8, *text = iv + iv_len(), *icv = text + len, nonce[12], md[EVP_MAX_MD_SIZE];
	int n = 0;
	unsigned md_len;

	if (!ctx)
		ctx = EVP_CIPHER_CTX_new();
	if (is_gcm()) { /* RFC 4106 */
		memcpy(nonce, sa->integ, 4);
		memcpy(nonce + 4, iv, 8);
		EVP_CipherInit_ex(
			ctx, key_len() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL, sa->encr, nonce, enc);
		if (!enc)
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, icv);
		EVP_CipherUpdate(ctx, NULL, &n, esp, 8);
		EVP_CipherUpdate(ctx, text, &n, text, (int)len);
		if (EVP_CipherFinal_ex(ctx, text + len, &n) != 1)
			return false;
		if (enc)
			EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, icv);
		return true;
	}
	const EVP_MD *hash = load_opt.profile->esp_auth == 5 ? EVP_sha256() : EVP_sha1();
	if (!enc) {
		HMAC(hash, sa->integ, (int)integ_len(), esp, (size_t)(icv - esp), md, &md_len);
		if (memcmp(md, icv, icv_len()) != 0)
			return false;
	}
	EVP_CipherInit_ex(ctx,
		load_opt.profile->esp == 3 ? EVP_des_ede3_cbc()
		: key_len() == 32          ? EVP_aes_256_cbc()
					   : EVP_aes_128_cbc(),
		NULL, sa->encr, iv, enc);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	EVP_CipherUpdate(ctx, text, &n, text, (int)len);
	if (enc) {
		HMAC(hash, sa->integ, (int)integ_len(), esp, (size_t)(icv - esp), md, &md_len);
		memcpy(icv, md, icv_len());
	}
	return true;
}

void load_esp_send(struct load_client *c, const void *l2tp, size_t len)
{
	uint8_t out[2048];
	struct vd_wr w;
	uint8_t pad = 0;

	if (c->out.spi == 0)
		return;
	vd_wr_init(&w, out, sizeof(out));
	vd_wr_u32(&w, c->out.spi);
	vd_wr_u32(&w, ++c->out.seq);
	RAND_bytes(out + vd_wr_mark(&w, iv_len()), (int)iv_len());
	size_t text = w.len;
	vd_wr_u16(&w, PORT);
	vd_wr_u16(&w, PORT);
	vd_wr_u16(&w, (uint16_t)(len + 8));
	vd_wr_u16(&w, 0); /* RFC 3948 section 3.1.2: no checksum */
	vd_wr_put(&w, l2tp, len);
	while ((w.len - text + 2) % align() != 0)
		vd_wr_u8(&w, ++pad);
	vd_wr_u8(&w, pad);
	vd_wr_u8(&w, 17);
	text = w.len - text;
	vd_wr_mark(&w, icv_len());
	if (!vd_wr_ok(&w) || !seal(&c->out, true, out, text))
		return;
	load_stats.octets_out += w.len;
	load_net_esp(c, out, w.len);
}

void load_esp_input(struct load_client *c, const uint8_t *p, size_t len)
{
	uint8_t in[2048];
	struct load_sa *sa = NULL;
	struct vd_rd r;

	vd_rd_init(&r, p, len);
	uint32_t spi = vd_rd_u32(&r), seq = vd_rd_u32(&r);
	if (len > sizeof(in) || len < 8 + iv_len() + 2 + icv_len() || (len - 8 - iv_len() - icv_len()) % align() != 0)
		return;
	for (unsigned i = 0; i < VD_ARRAY_SIZE(c->in); i++)
		if (c->in[i].spi && c->in[i].spi == spi)
			sa = &c->in[i];
	if (!sa)
		return; /* an SA that is deleted meanwhile */
	memcpy(in, p, len);
	size_t n = len - 8 - iv_len() - icv_len();
	if (!seal(sa, false, in, n)) {
		load_stats.unauthentic++;
		return;
	}
	if (seq > sa->seq)
		sa->seq = seq;
	load_stats.octets_in += len;
	uint8_t *text = in + 8 + iv_len();
	if (text[n - 1] != 17 || (size_t)text[n - 2] + 2 + 8 > n)
		return;
	n -= (size_t)text[n - 2] + 2;
	vd_rd_init(&r, text, n);
	vd_rd_u32(&r); /* ports: who answers from another one is heard, too */
	uint16_t udp = vd_rd_u16(&r);
	if (udp >= 8 && udp <= n)
		load_l2tp_input(c, text + 8, udp - 8u);
}
