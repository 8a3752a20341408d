/* SKEYID of a pre-shared key that is known to be the one, and the keys that follow from it (RFC 2409 section 5). */
#include "v1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One question to keys/1; it outlives an SA that goes meanwhile. */
struct ike_v1_psk {
	struct ike_v1_sa *sa; /* NULL: abandoned */
	void (*done)(struct ike_v1_sa *sa, bool ok);
};

void ike_v1_psk_abandon(struct ike_v1_sa *sa)
{
	if (sa->psk != NULL)
		sa->psk->sa = NULL;
	sa->psk = NULL;
}

static void skeyid_done(void *arg, struct vd_secret *skeyid, const struct vd_error *err)
{
	struct ike_v1_psk *psk = arg;
	struct ike_v1_sa *sa = psk->sa;
	void (*done)(struct ike_v1_sa *, bool) = psk->done;

	free(psk);
	if (sa == NULL)
		return;
	sa->psk = NULL;
	done(sa, skeyid != NULL && (err == NULL || err->code == 0) &&
		ike_v1_keys_derive(&sa->keys, &sa->suite, vd_secret_data(skeyid), vd_secret_len(skeyid), vd_secret_data(sa->shared),
			vd_secret_len(sa->shared), sa->icookie, sa->rcookie) == 0);
}

int ike_v1_psk_ask(struct ike_v1_sa *sa, uint64_t key, void (*done)(struct ike_v1_sa *sa, bool ok))
{
	uint8_t nonces[2 * IKE_V1_NONCE_MAX];
	struct ike_v1_psk *psk = malloc(sizeof(*psk));

	if (psk == NULL)
		return -ENOMEM;
	memcpy(nonces, sa->ni.p, sa->ni.len);
	memcpy(nonces + sa->ni.len, sa->nr.p, sa->nr.len);
	*psk = (struct ike_v1_psk){ sa, done };
	sa->psk = psk;
	int rc = sa->v->keys->psk_prf(sa->v->keys->self, key, ike_hash_md(sa->suite.hash), nonces,
		(size_t)sa->ni.len + sa->nr.len, skeyid_done, psk);
	if (rc < 0) {
		sa->psk = NULL;
		free(psk);
	}
	return rc;
}
