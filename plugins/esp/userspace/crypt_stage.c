/* Viaduct: sealing and opening ESP packets with the keyed contexts of their SAs, by OpenSSL. */
#include <string.h>

#include "mb.h"

static void put64(uint8_t out[8], uint64_t v)
{
	struct vd_wr w;
	vd_wr_init(&w, out, 8);
	vd_wr_u64(&w, v);
}

/* RFC 4106 section 4, RFC 7634 section 2: nonce = salt | IV. The IV counts on its own, never from the sequence number:
 * two senders of one SA, or an imported one, get another epoch, and can never repeat a nonce. */
static bool aead_seal(struct esp_crypt *c, uint8_t *esp, size_t text)
{
	uint8_t nonce[12];
	int n;
	memcpy(nonce, c->salt, 4);
	memcpy(nonce + 4, esp + 8, 8);
	return EVP_EncryptInit_ex(c->ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_EncryptUpdate(c->ctx, NULL, &n, esp, 8) == 1 &&
	       EVP_EncryptUpdate(c->ctx, esp + 16, &n, esp + 16, (int)text) == 1 &&
	       EVP_EncryptFinal_ex(c->ctx, esp + 16 + text, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, 16, esp + 16 + text) == 1;
}

static bool aead_open(struct esp_crypt *c, uint8_t *esp, size_t text)
{
	uint8_t nonce[12];
	int n;
	memcpy(nonce, c->salt, 4);
	memcpy(nonce + 4, esp + 8, 8);
	return EVP_DecryptInit_ex(c->ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, 16, esp + 16 + text) == 1 &&
	       EVP_DecryptUpdate(c->ctx, NULL, &n, esp, 8) == 1 &&
	       EVP_DecryptUpdate(c->ctx, esp + 16, &n, esp + 16, (int)text) == 1 &&
	       EVP_DecryptFinal_ex(c->ctx, esp + 16 + text, &n) == 1;
}

static bool icv(struct esp_crypt *c, const uint8_t *esp, size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
	size_t n;
	return EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(c->mac, esp, len) == 1 &&
	       EVP_MAC_final(c->mac, out, &n, EVP_MAX_MD_SIZE) == 1;
}

/* A CBC IV must not be predictable (RFC 3602 section 3): a counter encrypted under a key that nobody else has is as good
 * as random (SP 800-38A, appendix C) and costs one block; the key is drawn for each SA, and again after an import. */
static bool cbc_iv(struct esp_crypt *c, uint8_t *out)
{
	uint8_t block[16] = { 0 }, iv[32];
	int n;
	put64(block + 8, c->iv++);
	if (EVP_EncryptUpdate(c->ivgen, iv, &n, block, sizeof(block)) != 1)
		return false;
	memcpy(out, iv, c->suite.iv);
	return true;
}

static bool cbc_seal(struct esp_crypt *c, uint8_t *esp, size_t text)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t head = 8u + c->suite.iv;
	int n;
	if (EVP_EncryptInit_ex(c->ctx, NULL, NULL, NULL, esp + 8) != 1 ||
		EVP_EncryptUpdate(c->ctx, esp + head, &n, esp + head, (int)text) != 1 || (size_t)n != text ||
		!icv(c, esp, head + text, mac))
		return false;
	memcpy(esp + head + text, mac, c->suite.icv);
	return true;
}

static bool cbc_open(struct esp_crypt *c, uint8_t *esp, size_t text)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t head = 8u + c->suite.iv;
	int n;
	/* Encrypt, then MAC: nothing is decrypted that is not authentic. Where SHA2-256 cut to 96 bits has to be told from
	 * 128 (old kernels), the second length would be tried here, on the SA's first packet. */
	return icv(c, esp, head + text, mac) && vd_same(mac, esp + head + text, c->suite.icv) &&
	       EVP_DecryptInit_ex(c->ctx, NULL, NULL, NULL, esp + 8) == 1 &&
	       EVP_DecryptUpdate(c->ctx, esp + head, &n, esp + head, (int)text) == 1 && (size_t)n == text;
}

bool esp_iv(struct esp_crypt *c, uint8_t *esp)
{
	if (!c->suite.aead)
		return cbc_iv(c, esp + 8);
	put64(esp + 8, c->iv++);
	return true;
}

uint32_t esp_text(const struct esp_crypt *c, size_t len)
{
	size_t least = 8u + c->suite.iv + c->suite.align + c->suite.icv;
	if (len < least || (len - least) % c->suite.align)
		return 0;
	return (uint32_t)(len - 8u - c->suite.iv - c->suite.icv);
}

void esp_seal_jobs(struct esp_mb *mb, struct esp_job *jobs, unsigned n)
{
	if (mb)
		esp_mb_run(mb, jobs, n, true);
	for (unsigned i = 0; i < n; i++) {
		struct esp_job *j = &jobs[i];
		if (!j->done)
			j->ok = j->crypt->suite.aead ? aead_seal(j->crypt, j->esp, j->text) : cbc_seal(j->crypt, j->esp, j->text);
		j->done = true;
	}
}

void esp_open_jobs(struct esp_mb *mb, struct esp_job *jobs, unsigned n)
{
	if (mb)
		esp_mb_run(mb, jobs, n, false);
	for (unsigned i = 0; i < n; i++) {
		struct esp_job *j = &jobs[i];
		if (!j->done)
			j->ok = j->crypt->suite.aead ? aead_open(j->crypt, j->esp, j->text) : cbc_open(j->crypt, j->esp, j->text);
		j->done = true;
	}
}

bool esp_seal(struct esp_crypt *c, uint8_t *esp, size_t text)
{
	struct esp_job job = { .crypt = c, .esp = esp, .text = (uint32_t)text };
	if (!esp_iv(c, esp))
		return false;
	esp_seal_jobs(NULL, &job, 1);
	return job.ok;
}

long esp_open(struct esp_crypt *c, uint8_t *esp, size_t len)
{
	struct esp_job job = { .crypt = c, .esp = esp, .text = esp_text(c, len) };
	if (!job.text)
		return -1;
	esp_open_jobs(NULL, &job, 1);
	return job.ok ? (long)job.text : -1;
}
