/* Sessions: a no to who somebody says he is, kept while he may try again: only the last one is a failure. */
#include <stdlib.h>

#include <viaduct/log.h>

#include "core/encode.h"
#include "core/session/session.h"

void vd_session_no(struct vd_session_rec *rec, const struct vd_no *no)
{
	vd_session_no_forget(rec);
	rec->no = malloc(sizeof(*no));
	if (rec->no)
		*rec->no = *no;
	else
		vd_count("core.session.no_memory", 1);
}

void vd_session_no_forget(struct vd_session_rec *rec)
{
	free(rec->no);
	rec->no = NULL;
	rec->pub.refused = false;
}

void vd_session_no_report(struct vd_session_rec *rec)
{
	const struct vd_no *no = rec->no;

	if (!no)
		return;
	vd_report_failure(&(struct vd_report){ .kind = no->kind, .session = rec->pub.id, .configured = no->who,
		.difference = no->why.text, .origin = no->why.origin, .dialled = rec->pub.dialled });
	vd_session_no_forget(rec);
}

void vd_session_again(uint64_t session)
{
	struct vd_session_rec *rec = vd_session_rec(session);

	if (rec && rec->no)
		rec->pub.refused = true;
}

void vd_session_no_write(struct vd_wr *w, const struct vd_session_rec *rec)
{
	const struct vd_no *no = rec->no;

	vd_wr_u8(w, no != NULL);
	if (!no)
		return;
	vd_text_write(w, no->kind->word);
	vd_wr_u32(w, (uint32_t)-no->why.code);
	vd_text_write(w, no->why.text);
	vd_text_write(w, no->why.origin);
	vd_text_write(w, no->who);
}

void vd_session_no_read(struct vd_rd *r, struct vd_session_rec *rec)
{
	struct vd_no no = { 0 };
	char kind[VD_FAILURE_WORD];

	if (!vd_rd_u8(r))
		return;
	vd_text_read(r, kind, sizeof(kind));
	no.why.code = -(int)(vd_rd_u32(r) & INT32_MAX);
	vd_text_read(r, no.why.text, sizeof(no.why.text));
	vd_text_read(r, no.why.origin, sizeof(no.why.origin));
	vd_text_read(r, no.who, sizeof(no.who));
	no.kind = vd_failure_named(kind);
	if (!no.kind) /* of a plugin that is no longer there */
		no.kind = &vd_fail_refused;
	if (vd_rd_ok(r)) {
		vd_session_no(rec, &no);
		rec->pub.refused = true;
	}
}
