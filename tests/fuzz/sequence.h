/* The parties of fuzz_ike_sequence: each follows one way of honest messages, and remembers what it said. */
#ifndef TESTS_FUZZ_SEQUENCE_H
#define TESTS_FUZZ_SEQUENCE_H

#include "tests/fuzz/ike.h"

#define PARTIES 4u
#define SAID 8u /* messages that each remembers */
enum way { WAY_MAIN, WAY_AGGRESSIVE, WAY_DIALLED, WAYS };
/* What a record does; in the high bits: who (two bits), and whether the pool's answers are held back until a later step. */
enum op { OP_NEXT, OP_BEGIN, OP_AGAIN, OP_CROSS, OP_PARTS, OP_CLEAR, OP_SEALED, OP_INFO, OP_MOVE, OP_DRAIN, OP_END };
#define OP_KIND 0x0fu
#define OP_HOLD 0x80u
/* Kinds of an informational message: a question whether we live, its answer, Delete of the IKE SA and of the ESP SA, first contact. */
#define INFOS 5u

struct said {
	struct msg wire, plain; /* plain: before it was encrypted; length 0: it was not */
};
struct party {
	struct client c;
	enum way way;
	unsigned step, number;
	struct said said[SAID]; /* the one said as nth is at n % SAID */
	unsigned n_said;
	unsigned since;   /* what the gateway said from then on may be an answer */
	uint32_t mid;     /* of exchanges that it begins */
	uint64_t dialled; /* the peer of a dial, 0: none */
	uint32_t asked;   /* XAuth: the message id of the last question, and the IV to answer with */
	uint8_t asked_iv[16];
};

void party_init(struct party *p, unsigned number);
/* It forgets its IKE SA, and goes this way from its first message. Only the last party is a gateway. */
void party_begin(struct party *p, enum way way);
/* Its next message, or its last one again when the answer to that did not come. Changes: triples of place (u16) and mask; with one
 * octet more it is made, and not sent. */
void party_next(struct party *p, const uint8_t *changes, size_t len);
void party_info(struct party *p, unsigned kind);
/* What was dialled is taken down. */
void party_hang_up(struct party *p);

#endif
