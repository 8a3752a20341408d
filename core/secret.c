#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <viaduct/secret.h>

struct vd_secret {
	atomic_uint refs; /* pool threads hold references too */
	size_t len;
	uint8_t data[];
};

struct vd_secret *vd_secret_new(const void *data, size_t len)
{
	struct vd_secret *s = malloc(sizeof(*s) + len);

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->len = len;
	if (len)
		memcpy(s->data, data, len);
	return s;
}

struct vd_secret *vd_secret_ref(struct vd_secret *s)
{
	if (s)
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void vd_secret_free(struct vd_secret *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	OPENSSL_cleanse(s->data, s->len);
	free(s);
}

void vd_secret_freep(struct vd_secret **s)
{
	vd_secret_free(*s);
	*s = NULL;
}

const uint8_t *vd_secret_data(const struct vd_secret *s)
{
	return s->data;
}

size_t vd_secret_len(const struct vd_secret *s)
{
	return s ? s->len : 0;
}

void vd_wipe(void *p, size_t len)
{
	if (p && len)
		OPENSSL_cleanse(p, len);
}

bool vd_same(const void *a, const void *b, size_t len)
{
	return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}
