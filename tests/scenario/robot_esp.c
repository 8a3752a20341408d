/* ESP (RFC 4303) in transport mode around UDP 1701, or with XAuth in tunnel mode: AES-256-CBC with SHA-256, 3DES-CBC with SHA-1, or AES-256-GCM. */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "tests/scenario/robot.h"

/* As in the transform: ESP id, bits of the key, integrity. */
static unsigned esp(const struct robot *r) { return r->stock ? r->ike[0].c.esp : r->old ? 3 : r->gcm ? 20 : 12; }
static bool sha1(const struct robot *r) { return r->stock ? r->ike[0].c.esp_auth == 2 : r->old; }
static bool aes128(const struct robot *r) { return r->stock && r->ike[0].c.esp_bits == 128; }
static bool is_gcm(const struct robot *r) { return esp(r) == 20; }
static size_t key_len(const struct robot *r) { return esp(r) == 3 ? 24 : aes128(r) ? 16 : 32; }
static size_t integ_len(const struct robot *r) { return is_gcm(r) ? 4 : sha1(r) ? 20 : 32; }
static size_t icv_len(const struct robot *r) { return !is_gcm(r) && sha1(r) ? 12 : 16; }
static size_t block_len(const struct robot *r) { return esp(r) == 3 || is_gcm(r) ? 8 : 16; } /* and IV */
static uint16_t port(const struct robot *r) { return r->port ? r->port : 1701; }

size_t robot_keymat(const struct robot *r)
{
	return r->stock ? 64 : key_len(r) + integ_len(r); /* what is chosen is not known yet */
}

void robot_keys(const struct robot *r, struct robot_sa *sa, uint32_t spi, const uint8_t *keymat)
{
	*sa = (struct robot_sa){ .live = true, .spi = spi };
	memcpy(sa->encr, keymat, key_len(r));
	memcpy(sa->integ, keymat + key_len(r), integ_len(r));
}

static void cbc(const struct robot *r, const struct robot_sa *sa, bool enc, const uint8_t *iv, uint8_t *p, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;

	ck_assert_int_eq(EVP_CipherInit_ex(ctx, esp(r) == 3 ? EVP_des_ede3_cbc() : aes128(r) ? EVP_aes_128_cbc() :
		EVP_aes_256_cbc(), NULL, sa->encr, iv, enc), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	ck_assert_int_eq(EVP_CipherUpdate(ctx, p, &n, p, (int)len), 1);
	EVP_CIPHER_CTX_free(ctx);
}

static void icv(const struct robot *r, const struct robot_sa *sa, const uint8_t *p, size_t len, uint8_t *out)
{
	uint8_t md[32];
	unsigned n;

	HMAC(sha1(r) ? EVP_sha1() : EVP_sha256(), sa->integ, (int)integ_len(r), p, len, md, &n);
	memcpy(out, md, icv_len(r));
}

/* RFC 4106: in place, with the ICV behind the text. False when it is not authentic. */
static bool gcm(const struct robot *r, const struct robot_sa *sa, bool enc, uint8_t *esp, size_t text)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t nonce[12], *tag = esp + 16 + text;
	int n = 0;
	bool ok;

	memcpy(nonce, sa->integ, 4);
	memcpy(nonce + 4, esp + 8, 8);
	ck_assert_int_eq(EVP_CipherInit_ex(ctx, aes128(r) ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), NULL, sa->encr, nonce, enc), 1);
	if (!enc)
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag);
	EVP_CipherUpdate(ctx, NULL, &n, esp, 8);
	EVP_CipherUpdate(ctx, esp + 16, &n, esp + 16, (int)text);
	ok = EVP_CipherFinal_ex(ctx, esp + 16 + text, &n) == 1;
	if (enc)
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The head of UDP, if any, then the rest. */
static void seal(struct robot *r, const uint8_t *head, size_t head_len, const uint8_t *p, size_t len, uint8_t next)
{
	struct vd_path path = { .endpoint = 1, .local = r->ike[0].c.path.local, .remote = r->at4500, .natt = r->nat };
	uint8_t out[2048], *text;
	size_t block = block_len(r), n = 0;

	if (!r->out.live)
		return;
	put32(out, r->out.spi);
	put32(out + 4, ++r->out.seq);
	RAND_bytes(out + 8, (int)block);
	text = out + 8 + block;
	if (head_len)
		memcpy(text, head, head_len);
	memcpy(text + head_len, p, len);
	n = len + head_len;
	for (uint8_t pad = 1; (n + 2) % block != 0; pad++)
		text[n++] = pad;
	text[n] = (uint8_t)(n - len - head_len);
	text[n + 1] = next;
	n += 2;
	if (is_gcm(r))
		ck_assert(gcm(r, &r->out, true, out, n));
	else
		cbc(r, &r->out, true, out + 8, text, n);
	n += 8 + block;
	if (!is_gcm(r))
		icv(r, &r->out, out, n, out + n);
	path.local.port = r->nat ? 4500 : 0;
	if (!r->nat)
		path.remote.port = 0;
	wire_up(&path, out, n + icv_len(r));
}

void robot_esp_send(struct robot *r, const uint8_t *p, size_t len)
{
	uint8_t udp[8] = { (uint8_t)(port(r) >> 8), (uint8_t)port(r), 1701 >> 8, 1701 & 255, (uint8_t)((len + 8) >> 8), (uint8_t)(len + 8) };

	seal(r, udp, sizeof(udp), p, len, 17);
}

void robot_esp_packet(struct robot *r, const uint8_t *p, size_t len)
{
	seal(r, NULL, 0, p, len, 4);
}

void robot_esp_receive(struct robot *r, const uint8_t *p, size_t len)
{
	uint8_t in[2048], want[32];
	struct robot_sa *sa = NULL;
	size_t block = block_len(r), n;

	ck_assert_uint_ge(len, 8 + block + icv_len(r));
	ck_assert_uint_le(len, sizeof(in));
	for (unsigned i = 0; i < VD_ARRAY_SIZE(r->in); i++)
		if (r->in[i].live && r->in[i].spi == get32(p))
			sa = &r->in[i];
	if (!sa || get32(p + 4) <= sa->seq)
		return; /* an SA that was deleted meanwhile, or a datagram that came twice */
	n = len - icv_len(r);
	if (!is_gcm(r)) {
		icv(r, sa, p, n, want);
		ck_assert_mem_eq(p + n, want, icv_len(r));
	}
	sa->seq = get32(p + 4);
	memcpy(in, p, len);
	n -= 8 + block;
	ck_assert_uint_eq(n % (is_gcm(r) ? 4 : block), 0);
	uint8_t *text = in + 8 + block;
	if (is_gcm(r))
		ck_assert(gcm(r, sa, false, in, n));
	else
		cbc(r, sa, false, in + 8, text, n);
	ck_assert_uint_eq(text[n - 1], r->xauth.kind ? 4 : 17);
	ck_assert_uint_le((size_t)text[n - 2] + 2 + 8, n);
	n -= (size_t)text[n - 2] + 2;
	if (r->xauth.kind) {
		ck_assert_uint_le(n, sizeof(r->packet.p));
		memcpy(r->packet.p, text, n);
		r->packet.len = n;
		r->n_packets++;
		return;
	}
	/* Our ports, and the length of UDP is that of the datagram. */
	ck_assert_mem_eq(text, "\x06\xa5", 2);
	ck_assert_uint_eq((unsigned)text[2] << 8 | text[3], port(r));
	ck_assert_uint_eq((size_t)text[4] << 8 | text[5], n);
	robot_l2tp_input(r, text + 8, n - 8);
}
