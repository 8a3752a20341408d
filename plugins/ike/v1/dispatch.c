/* Which message may say something to which IKE SA: a list. An SA knows by its state which exchange it is in, whether it asked
 * or answered, and what it waits for; what is not listed for that state is dropped and counted, and changes nothing. */
#include "v1.h"

#include <string.h>

#define IN(state) (1u << IKE_V1_##state)

static void info_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	uint8_t message[IKE_MESSAGE_MAX]; /* decrypted in place */

	memcpy(message, p, len);
	ike_v1_info_input(sa, path, h, message, len);
	vd_wipe(message, len);
}

static void hint_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	(void)path;
	ike_v1_hint(sa, h, p, len);
}

/* States in which nothing can be done yet with a repeated or early message: its answer is being made. */
static void busy(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	(void)sa;
	(void)path;
	(void)h;
	(void)p;
	(void)len;
	vd_count("ike_v1.duplicate.busy", 1);
}

enum { PLAIN = 1, SEALED = 2 };

static const struct {
	uint32_t states;
	uint8_t exchange;
	uint8_t form; /* with or without encryption */
	void (*input)(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len);
} allowed[] = {
	/* Main mode as responder: message 3 again, message 5, message 5 again (RFC 2409 section 5.4). */
	{ IN(DH) | IN(TRIAL), IKE_X_MAIN, PLAIN | SEALED, busy },
	{ IN(WAIT_MM5), IKE_X_MAIN, PLAIN, ike_v1_mm3_again },
	{ IN(WAIT_MM5), IKE_X_MAIN, SEALED, ike_v1_mm5_input },
	{ IN(UP), IKE_X_MAIN, SEALED, ike_v1_mm5_again },
	/* Aggressive mode as responder: message 3, encrypted or not. */
	{ IN(WAIT_AM3), IKE_X_AGGRESSIVE, PLAIN | SEALED, ike_v1_am3 },
	/* Main mode as initiator: messages 2 and 4, message 6, and refusals that nobody has signed. */
	{ IN(WAIT_MM2) | IN(OWN_DH) | IN(WAIT_MM4) | IN(KEYS), IKE_X_MAIN, PLAIN, ike_v1_main_answer },
	{ IN(WAIT_MM6), IKE_X_MAIN, PLAIN | SEALED, ike_v1_main_answer },
	{ IN(WAIT_MM2) | IN(OWN_DH) | IN(WAIT_MM4) | IN(KEYS) | IN(WAIT_MM6), IKE_X_INFORMATIONAL, PLAIN, hint_input },
	/* Phase 1 is done. */
	{ IN(UP), IKE_X_TRANSACTION, SEALED, ike_v1_transaction_input },
	{ IN(UP), IKE_X_QUICK, SEALED, ike_v1_quick_input },
	{ IN(UP), IKE_X_INFORMATIONAL, SEALED, info_input },
};

bool ike_v1_sa_listens(const struct ike_v1_sa *sa)
{
	for (size_t i = 0; i < VD_ARRAY_SIZE(allowed); i++)
		if (allowed[i].states & 1u << sa->state && allowed[i].input != busy && allowed[i].input != hint_input)
			return true;
	return false;
}

void ike_v1_sa_input(struct ike_v1_sa *sa, const struct vd_path *path, const struct ike_header *h, const uint8_t *p, size_t len)
{
	uint8_t form = h->flags & IKE_F_ENCRYPTED ? SEALED : PLAIN;

	for (size_t i = 0; i < VD_ARRAY_SIZE(allowed); i++)
		if (allowed[i].exchange == h->exchange && allowed[i].states & 1u << sa->state && allowed[i].form & form) {
			allowed[i].input(sa, path, h, p, len);
			return;
		}
	vd_count("ike_v1.drop.state", 1);
}
