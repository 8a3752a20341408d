/* Viaduct: sealing and opening ESP packets with the keyed contexts of their SAs, by OpenSSL. */
#include <string.h>

#include "mb.h"

static void put64(uint8_t out[8], uint64_t v)
{
	struct vd_wr w;
	vd_wr_init(&w, out, 8);
	vd_wr_u64(&w, v);
}

/* What is authenticated in front: SPI and sequence number, all 64 bits of it when they are used (RFC 4106 section 5). */
size_t esp_aad(const struct esp_job *j, uint8_t aad[12])
{
	if (!j->crypt->esn) {
		memcpy(aad, j->esp, 8);
		return 8;
	}
	struct vd_wr w;
	vd_wr_init(&w, aad, 12);
	vd_wr_put(&w, j->esp, 4);
	vd_wr_u32(&w, j->hi);
	vd_wr_put(&w, j->esp + 4, 4);
	return 12;
}

/* RFC 4106 section 4, RFC 7634 section 2: nonce = salt | IV. The IV counts on its own, never from the sequence number:
 * two senders of one SA, or an imported one, get another epoch, and can never repeat a nonce. */
static bool aead_seal(const struct esp_job *j)
{
	struct esp_crypt *c = j->crypt;
	uint8_t nonce[12], aad[12], *esp = j->esp;
	size_t text = j->text, head = esp_aad(j, aad);
	int n;
	memcpy(nonce, c->salt, 4);
	memcpy(nonce + 4, esp + 8, 8);
	return EVP_EncryptInit_ex(c->ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_EncryptUpdate(c->ctx, NULL, &n, aad, (int)head) == 1 &&
	       EVP_EncryptUpdate(c->ctx, esp + 16, &n, esp + 16, (int)text) == 1 &&
	       EVP_EncryptFinal_ex(c->ctx, esp + 16 + text, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, 16, esp + 16 + text) == 1;
}

static bool aead_open(const struct esp_job *j)
{
	struct esp_crypt *c = j->crypt;
	uint8_t nonce[12], aad[12], *esp = j->esp;
	size_t text = j->text, head = esp_aad(j, aad);
	int n;
	memcpy(nonce, c->salt, 4);
	memcpy(nonce + 4, esp + 8, 8);
	return EVP_DecryptInit_ex(c->ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, 16, esp + 16 + text) == 1 &&
	       EVP_DecryptUpdate(c->ctx, NULL, &n, aad, (int)head) == 1 &&
	       EVP_DecryptUpdate(c->ctx, esp + 16, &n, esp + 16, (int)text) == 1 &&
	       EVP_DecryptFinal_ex(c->ctx, esp + 16 + text, &n) == 1;
}

/* Over the packet up to its ICV, and the upper half of the sequence number behind it (RFC 4303 section 2.2.1). */
static bool icv(const struct esp_job *j, uint8_t out[EVP_MAX_MD_SIZE])
{
	struct esp_crypt *c = j->crypt;
	uint8_t hi[4];
	struct vd_wr w;
	size_t n;
	vd_wr_init(&w, hi, 4);
	vd_wr_u32(&w, j->hi);
	return EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(c->mac, j->esp, 8u + c->suite.iv + j->text) == 1 &&
	       (!c->esn || EVP_MAC_update(c->mac, hi, 4) == 1) &&
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

static bool cbc_seal(const struct esp_job *j)
{
	struct esp_crypt *c = j->crypt;
	uint8_t mac[EVP_MAX_MD_SIZE], *esp = j->esp;
	size_t head = 8u + c->suite.iv, text = j->text;
	int n;
	if (EVP_EncryptInit_ex(c->ctx, NULL, NULL, NULL, esp + 8) != 1 ||
		EVP_EncryptUpdate(c->ctx, esp + head, &n, esp + head, (int)text) != 1 || (size_t)n != text ||
		!icv(j, mac))
		return false;
	memcpy(esp + head + text, mac, j->icv);
	return true;
}

static bool cbc_open(const struct esp_job *j)
{
	struct esp_crypt *c = j->crypt;
	uint8_t mac[EVP_MAX_MD_SIZE], *esp = j->esp;
	size_t head = 8u + c->suite.iv, text = j->text;
	int n;
	/* Encrypt, then MAC: nothing is decrypted that is not authentic. */
	return icv(j, mac) && vd_same(mac, esp + head + text, j->icv) &&
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

static uint32_t text_with(const struct esp_crypt *c, size_t len, unsigned icv)
{
	size_t least = 8u + c->suite.iv + c->suite.align + icv;
	if (len < least || (len - least) % c->suite.align)
		return 0;
	return (uint32_t)(len - 8u - c->suite.iv - icv);
}

uint32_t esp_text(const struct esp_crypt *c, size_t len, uint8_t *ret_icv)
{
	uint32_t text = text_with(c, len, c->suite.icv);
	*ret_icv = c->suite.icv;
	if (!text && c->icv_open) {
		*ret_icv = ESP_ICV_CUT;
		text = text_with(c, len, ESP_ICV_CUT);
	}
	return text;
}

void esp_seal_jobs(struct esp_mb *mb, struct esp_job *jobs, unsigned n)
{
	if (mb)
		esp_mb_run(mb, jobs, n, true);
	for (unsigned i = 0; i < n; i++) {
		struct esp_job *j = &jobs[i];
		if (!j->done)
			j->ok = j->crypt->suite.aead ? aead_seal(j) : cbc_seal(j);
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
			j->ok = j->crypt->suite.aead ? aead_open(j) : cbc_open(j);
		j->done = true;
	}
}

bool esp_seal(struct esp_crypt *c, uint8_t *esp, size_t text, uint32_t hi)
{
	struct esp_job job = { .crypt = c, .esp = esp, .text = (uint32_t)text, .hi = hi, .icv = c->suite.icv };
	if (!esp_iv(c, esp))
		return false;
	esp_seal_jobs(NULL, &job, 1);
	return job.ok;
}

long esp_open(struct esp_crypt *c, uint8_t *esp, size_t len, uint32_t hi)
{
	struct esp_job job = { .crypt = c, .esp = esp, .hi = hi };
	job.text = esp_text(c, len, &job.icv);
	if (!job.text)
		return -1;
	esp_open_jobs(NULL, &job, 1);
	return job.ok ? (long)job.text : -1;
}
