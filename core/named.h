/* How an operator names a peer, a session, a user or a connection. An id is never a name and a name never an id, so nobody is
 * met by choosing a name:
 *
 *   s-42, p-7, c-9         an id: a letter, a hyphen, a number
 *   192.0.2.1, [::1]:500   an address, with or without port
 *   user/NAME, connection/NAME   exactly that, whatever NAME looks like
 *   anything else          a user or a connection of that name
 */
#ifndef CORE_NAMED_H
#define CORE_NAMED_H

#include <viaduct/addr.h>

enum vd_named_kind { VD_NAMED_ID, VD_NAMED_ADDRESS, VD_NAMED_USER, VD_NAMED_CONNECTION, VD_NAMED_ANY };
struct vd_named {
	enum vd_named_kind kind;
	char letter;      /* of an id */
	uint64_t id;
	struct vd_sa sa;  /* port 0: any */
	const char *name; /* points into the text that was parsed */
};

/* Never fails; text must outlive what it names. */
void vd_named_parse(const char *text, struct vd_named *ret_named);
bool vd_named_is_id(const struct vd_named *named, char letter, uint64_t id);
/* The user may be written as it is, or as it is shown (text.h). */
bool vd_named_is_user(const struct vd_named *named, const char *user);
bool vd_named_is_connection(const struct vd_named *named, const char *connection);
bool vd_named_is_address(const struct vd_named *named, const struct vd_sa *sa);

#endif
