/* Domains as the DNS writes them. No state. */
#ifndef NET_LIB_NAMES_H
#define NET_LIB_NAMES_H

#include <viaduct/bytes.h>

/* Writes the domains of search (blanks or commas between them) one behind the other, uncompressed (RFC 3397, 3646, 8106).
 * A domain that is none, or that the writer has no room for, is left out whole. */
void net_names_put(struct vd_wr *w, const char *search);

#endif
