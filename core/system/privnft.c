/* nftables transactions of priv/1: milliseconds each, so they are done by the work pool, one at a time and in the order
 * in which they were asked for (a context of libnftables belongs to one thread). */
#include <config.h>

#include "core/system/priv.h"

#include <viaduct/work.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_NFTABLES
#include <nftables/libnftables.h>
#endif

struct transaction {
	struct vd_job job;
	struct transaction *next;
	void (*done)(void *arg, const struct vd_error *err);
	void *arg;
	struct vd_error err;
	char commands[];
};

/* The head is with the pool. */
static struct transaction *head, **tail = &head;

static void carry_out(const char *commands, struct vd_error *err)
{
#ifdef HAVE_NFTABLES
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *text;

	if (!nft) {
		vd_error_set(err, -ENOMEM, "out of memory");
		return;
	}
	if (nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0) {
		vd_error_set(err, -ENOMEM, "out of memory");
	} else if (nft_run_cmd_from_buffer(nft, commands) != 0) {
		text = nft_ctx_get_error_buffer(nft);
		vd_error_set(err, -EIO, "nftables refused the rules: %.*s", (int)strcspn(text, "\n"), text);
	}
	nft_ctx_free(nft);
#else
	(void)commands;
	vd_error_set(err, -ENOTSUP, "this build has no nftables");
#endif
}

static int on_pool(struct vd_job *job)
{
	struct transaction *t = VD_CONTAINER_OF(job, struct transaction, job);

	carry_out(t->commands, &t->err);
	return 0;
}

/* The pool ends what waits when it stops; what was asked for is nevertheless carried out, so that the last transaction
 * of the daemon, which removes its table, never falls away. It stays at the head while its asker is told: he may ask for
 * more. */
static void finish_head(bool carried_out)
{
	struct transaction *t = head;

	if (!carried_out)
		carry_out(t->commands, &t->err);
	t->done(t->arg, t->err.code < 0 ? &t->err : NULL);
	head = t->next;
	if (!head)
		tail = &head;
	free(t);
}

static void on_done(struct vd_job *job, int result)
{
	(void)job;
	finish_head(result != -ECANCELED);
	/* Without memory for the pool's queue it is done here: late rather than never. */
	while (head && vd_work_submit(&head->job, VD_WORK_ESTABLISHED) < 0)
		finish_head(false);
}

static void on_orphaned(struct vd_job *job)
{
	on_done(job, 0);
}

int vd_priv_nft(const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	size_t len = strlen(commands) + 1;
	struct transaction *t = calloc(1, sizeof(*t) + len);
	int ret = t ? 0 : -ENOMEM;

	if (t) {
		memcpy(t->commands, commands, len);
		t->job = (struct vd_job){ .run = on_pool, .done = on_done };
		t->done = done;
		t->arg = arg;
		if (!head)
			ret = vd_work_submit(&t->job, VD_WORK_ESTABLISHED);
	}
	if (ret < 0) {
		free(t);
		return ret;
	}
	*tail = t;
	tail = &t->next;
	return 0;
}

void vd_priv_nft_finish(void)
{
	while (head && vd_work_cancel(&head->job, on_orphaned))
		finish_head(false);
}
