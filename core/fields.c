#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <viaduct/addr.h>
#include <viaduct/bytes.h>
#include <viaduct/object.h>
#include <viaduct/secret.h>
#include <viaduct/text.h>

#include "core/fields.h"

#define MAX_BLOB 65535

static struct vd_blob *blob_at(void *data, const struct vd_field *f)
{
	return (struct vd_blob *)((char *)data + f->offset);
}

int vd_fields_copy(const struct vd_field *fields, size_t n, void *dst, const void *src, size_t size)
{
	memcpy(dst, src, size);
	for (size_t i = 0; i < n; i++)
		if (fields[i].type == VD_F_BLOB && blob_at(dst, &fields[i])->len > MAX_BLOB)
			return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) {
		struct vd_blob *b;
		uint8_t *copy;

		if (fields[i].type != VD_F_BLOB)
			continue;
		b = blob_at(dst, &fields[i]);
		copy = b->len ? malloc(b->len) : NULL;
		if (b->len && !copy) {
			vd_fields_free(fields, i, dst, 0);
			return -ENOMEM;
		}
		if (copy)
			memcpy(copy, b->p, b->len);
		b->p = copy;
	}
	return 0;
}

void vd_fields_free(const struct vd_field *fields, size_t n, void *data, size_t size)
{
	bool secret = false;

	for (size_t i = 0; i < n; i++) {
		secret |= (fields[i].flags & VD_FIELD_SECRET) != 0;
		if (fields[i].type == VD_F_BLOB) {
			struct vd_blob *b = blob_at(data, &fields[i]);

			if (fields[i].flags & VD_FIELD_SECRET)
				vd_wipe((void *)(uintptr_t)b->p, b->len);
			free((void *)(uintptr_t)b->p);
			b->p = NULL;
			b->len = 0;
		}
	}
	if (secret)
		vd_wipe(data, size);
}

uint64_t vd_fields_id(const struct vd_field *fields, size_t n, const void *data)
{
	uint64_t id = 0;

	for (size_t i = 0; i < n; i++) {
		if (fields[i].type == VD_F_ID) {
			memcpy(&id, (const char *)data + fields[i].offset, sizeof(id));
			break;
		}
	}
	return id;
}

/* ---- JSON ---- */
struct json {
	char *out;
	size_t len, size;
	bool full;
};

static void put(struct json *j, const char *s, size_t n)
{
	if (j->full || n >= j->size - j->len) {
		j->full = true;
		return;
	}
	memcpy(j->out + j->len, s, n);
	j->len += n;
	j->out[j->len] = '\0';
}

static void puts_(struct json *j, const char *s)
{
	put(j, s, strlen(s));
}

static void put_number(struct json *j, uint64_t v)
{
	char buf[24];

	put(j, buf, vd_format(buf, sizeof(buf), "%llu", (unsigned long long)v));
}

/* What people may not see as it is becomes an escape in the value itself, for readers of every kind. */
static void put_text(struct json *j, const char *text, size_t max)
{
	size_t len = strnlen(text, max);
	char step[VD_TEXT_STEP];

	puts_(j, "\"");
	for (size_t i = 0; i < len;) {
		i += vd_text_step(text + i, len - i, step);
		for (const char *p = step; *p; p++) {
			if (*p == '"' || *p == '\\')
				puts_(j, "\\");
			put(j, p, 1);
		}
	}
	puts_(j, "\"");
}

static void put_ip_list(struct json *j, const uint8_t *p, size_t size)
{
	char buf[VD_IP_TEXT];

	puts_(j, "[");
	for (size_t i = 0; i + sizeof(struct vd_ip) <= size; i += sizeof(struct vd_ip)) {
		struct vd_ip ip;

		memcpy(&ip, p + i, sizeof(ip));
		if (!ip.family)
			break;
		puts_(j, i ? ",\"" : "\"");
		puts_(j, vd_ip_format(&ip, buf));
		puts_(j, "\"");
	}
	puts_(j, "]");
}

static void put_hex(struct json *j, const uint8_t *p, size_t len)
{
	puts_(j, "\"");
	for (size_t i = 0; i < len && !j->full; i++) {
		char buf[3];

		puts_(j, vd_hex(buf, sizeof(buf), p + i, 1));
	}
	puts_(j, "\"");
}

static void put_value(struct json *j, const struct vd_field *f, const uint8_t *p)
{
	char buf[VD_SA_TEXT];
	uint64_t v = 0;

	switch (f->type) {
	case VD_F_BOOL:
		puts_(j, *p ? "true" : "false");
		return;
	case VD_F_U8:
		put_number(j, *p);
		return;
	case VD_F_U16: {
		uint16_t x;

		memcpy(&x, p, sizeof(x));
		put_number(j, x);
		return;
	}
	case VD_F_U32: {
		uint32_t x;

		memcpy(&x, p, sizeof(x));
		put_number(j, x);
		return;
	}
	case VD_F_U64:
		memcpy(&v, p, sizeof(v));
		put_number(j, v);
		return;
	case VD_F_ID:
		memcpy(&v, p, sizeof(v));
		puts_(j, "\"");
		puts_(j, vd_id_format(f->arg ? *(const char *)f->arg : 'x', v, buf));
		puts_(j, "\"");
		return;
	case VD_F_ENUM: {
		const char *const *names = f->arg;
		size_t i;

		for (i = 0; names && names[i] && i < *p; i++)
			;
		if (names && names[i])
			put_text(j, names[i], SIZE_MAX);
		else
			put_number(j, *p);
		return;
	}
	case VD_F_TEXT:
		put_text(j, (const char *)p, f->size);
		return;
	case VD_F_IP: {
		struct vd_ip ip;

		memcpy(&ip, p, sizeof(ip));
		put_text(j, vd_ip_format(&ip, buf), SIZE_MAX);
		return;
	}
	case VD_F_SA: {
		struct vd_sa sa;

		memcpy(&sa, p, sizeof(sa));
		put_text(j, vd_sa_format(&sa, buf), SIZE_MAX);
		return;
	}
	case VD_F_PREFIX: {
		struct vd_prefix prefix;

		memcpy(&prefix, p, sizeof(prefix));
		put_text(j, vd_prefix_format(&prefix, buf), SIZE_MAX);
		return;
	}
	case VD_F_IPS:
		put_ip_list(j, p, f->size);
		return;
	case VD_F_BYTES:
		put_hex(j, p, f->size);
		return;
	case VD_F_BLOB: {
		struct vd_blob b;

		memcpy(&b, p, sizeof(b));
		put_hex(j, b.p, b.len);
		return;
	}
	}
}

int vd_fields_json(const struct vd_field *fields, size_t n, const void *data, char *out, size_t size)
{
	struct json j = { .out = out, .size = size };

	if (size == 0)
		return -ENOSPC;
	out[0] = '\0';
	puts_(&j, "{");
	for (size_t i = 0; i < n; i++) {
		if (i)
			puts_(&j, ",");
		put_text(&j, fields[i].name, SIZE_MAX);
		puts_(&j, ":");
		if (fields[i].flags & VD_FIELD_SECRET)
			puts_(&j, "\"(secret)\"");
		else
			put_value(&j, &fields[i], (const uint8_t *)data + fields[i].offset);
	}
	puts_(&j, "}");
	return j.full ? -ENOSPC : (int)j.len;
}
