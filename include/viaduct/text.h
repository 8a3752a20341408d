/* Viaduct: octets from the network as text for people. Names, identities and messages of peers are any octets; a terminal, a
 * log viewer or an editor obeys some of them. One rule for all of Viaduct: what could steer, hide or turn round the text beside
 * it, and what is not UTF-8, is written as an escape that can be seen. Everything else, all other languages included, stays.
 *
 *   \x1b        an octet below 0x20 or 0x7f, or one that belongs to no valid UTF-8 (RFC 3629)
 *   \u{202e}    a character: the controls U+0080-U+009F, marks, embeddings and isolates of bidirectional text, line and
 *               paragraph separators, characters without width, noncharacters
 *
 * A backslash stays as it is, so that safe text stays the same when it is made safe again. Any thread.
 */
#ifndef VIADUCT_TEXT_H
#define VIADUCT_TEXT_H

#include <viaduct/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most that one character becomes, with its terminator: "\u{10ffff}". */
#define VD_TEXT_STEP 12
/* The first character of len > 0 octets, safe, with a terminator. Returns how many octets it took, at least 1. */
VD_API size_t vd_text_step(const void *data, size_t len, char out[VD_TEXT_STEP]);
/* All of it. Ends before a character or an escape that does not fit whole; always terminates (size > 0). Returns the length of
 * what was written. out and data must not overlap. */
VD_API size_t vd_text_safe(char *out, size_t size, const void *data, size_t len);
/* The same for a string that ends with NUL; returns out. */
VD_API char *vd_text_safe_string(char *out, size_t size, const char *text);

#ifdef __cplusplus
}
#endif
#endif
