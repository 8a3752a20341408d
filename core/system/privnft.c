/* nftables transactions of priv/1: milliseconds each, so they are done by the work pool, one at a time and in the order
 * in which they were asked for (a context of libnftables belongs to one thread). */
#include <config.h>

#include "core/system/keep.h"
#include "core/system/priv.h"

#include <viaduct/log.h>
#include <viaduct/work.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_NFTABLES
#include <nftables/libnftables.h>
#endif

struct transaction {
	struct vd_job job;
	struct transaction *next;
	void (*done)(void *arg, const struct vd_error *err);
	void (*listed)(void *arg, const char *listing, const struct vd_error *err); /* in the place of done */
	void *arg;
	struct vd_error err;
	char show[160], *listing;
	char commands[];
};

/* The head is with the pool. */
static struct transaction *head, **tail = &head;

/* ret_output: NULL, or what the commands print, without counters, to be freed; untouched when they fail. */
static void carry_out(const char *commands, char **ret_output, struct vd_error *err)
{
#ifdef HAVE_NFTABLES
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *text;

	if (!nft) {
		vd_error_set(err, -ENOMEM, "out of memory");
		return;
	}
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_STATELESS);
	if (nft_ctx_buffer_error(nft) != 0 || nft_ctx_buffer_output(nft) != 0) {
		vd_error_set(err, -ENOMEM, "out of memory");
	} else if (nft_run_cmd_from_buffer(nft, commands) != 0) {
		text = nft_ctx_get_error_buffer(nft);
		vd_error_set(err, -EIO, "nftables refused the rules: %.*s", (int)strcspn(text, "\n"), text);
	} else if (ret_output) {
		*ret_output = strdup(nft_ctx_get_output_buffer(nft));
	}
	nft_ctx_free(nft);
#else
	(void)commands;
	(void)ret_output;
	vd_error_set(err, -ENOTSUP, "this build has no nftables");
#endif
}

static void carry_out_all(struct transaction *t)
{
	struct vd_error none = { 0 };

	if (t->commands[0])
		carry_out(t->commands, NULL, &t->err);
	if (t->show[0] && t->err.code >= 0)
		carry_out(t->show, &t->listing, &none); /* there may be no such table */
}

static int on_pool(struct vd_job *job)
{
	struct transaction *t = VD_CONTAINER_OF(job, struct transaction, job);

	carry_out_all(t);
	return 0;
}

/* The pool ends what waits when it stops; what was asked for is nevertheless carried out, so that the last transaction
 * of the daemon, which removes its table, never falls away. It stays at the head while its asker is told: he may ask for
 * more. */
static void finish_head(bool carried_out)
{
	struct transaction *t = head;

	if (!carried_out)
		carry_out_all(t);
	if (t->listed)
		t->listed(t->arg, t->listing, &t->err);
	else
		t->done(t->arg, t->err.code < 0 ? &t->err : NULL);
	head = t->next;
	if (!head)
		tail = &head;
	free(t->listing);
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

static struct transaction *transaction_new(const char *commands, void *arg)
{
	size_t len = strlen(commands) + 1;
	struct transaction *t = calloc(1, sizeof(*t) + len);

	if (!t)
		return NULL;
	memcpy(t->commands, commands, len);
	t->job = (struct vd_job){ .run = on_pool, .done = on_done };
	t->arg = arg;
	return t;
}

static int submit(struct transaction *t)
{
	int ret = t ? 0 : -ENOMEM;

	if (ret == 0 && !head)
		ret = vd_work_submit(&t->job, VD_WORK_ESTABLISHED);
	if (ret < 0) {
		free(t);
		return ret;
	}
	*tail = t;
	tail = &t->next;
	return 0;
}

int vd_priv_nft(const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	struct transaction *t = transaction_new(commands, arg);

	if (t)
		t->done = done;
	return submit(t);
}

int vd_priv_nft_list(const char *commands, const char *show,
	void (*done)(void *arg, const char *listing, const struct vd_error *err), void *arg)
{
	struct transaction *t = transaction_new(commands ? commands : "", arg);

	if (t) {
		t->listed = done;
		vd_strcpy(t->show, sizeof(t->show), show);
	}
	return submit(t);
}

/* ---- tables as a whole ---- */
struct table {
	void (*done)(void *arg, const struct vd_error *err);
	void *arg;
	char name[80], commands[];
};

static void on_table(void *arg, const char *listing, const struct vd_error *err)
{
	struct table *t = arg;

	if (err->code >= 0)
		vd_keep_listed(t->name, t->commands, listing);
	t->done(t->arg, err->code < 0 ? err : NULL);
	free(t);
}

int vd_priv_nft_table(const char *name, const char *commands, void (*done)(void *arg, const struct vd_error *err), void *arg)
{
	/* Adding first makes deleting succeed where there is none. */
	size_t len = commands ? strlen(commands) : 0, size = len + 3 * strlen(name) + 64;
	struct table *t = calloc(1, sizeof(*t) + size);
	char show[96];
	int ret = -ENOMEM;

	if (!t || !vd_strcpy(t->name, sizeof(t->name), name)) {
		free(t);
		return t ? -EINVAL : ret;
	}
	t->done = done;
	t->arg = arg;
	vd_format(t->commands, size, "add table %s\ndelete table %s\n", name, name);
	if (commands)
		vd_format(t->commands + strlen(t->commands), size - strlen(t->commands), "add table %s\n%s", name, commands);
	vd_keep_table(name, commands ? t->commands : NULL);
	vd_format(show, sizeof(show), "list table %s", name);
	ret = vd_priv_nft_list(t->commands, show, on_table, t);
	if (ret < 0)
		free(t);
	return ret;
}

void vd_priv_nft_finish(void)
{
	while (head && vd_work_cancel(&head->job, on_orphaned))
		finish_head(false);
}

/* "table FAMILY NAME", with a name of ours? */
static bool is_ours(const char *line)
{
	char family[16], name[128];

	if (sscanf(line, "table %15s %127s", family, name) != 2 || strncmp(name, VD_NFT_OURS, strlen(VD_NFT_OURS)) != 0)
		return false;
	return name[strlen(VD_NFT_OURS)] == '\0' || name[strlen(VD_NFT_OURS)] == '_';
}

void vd_priv_nft_sweep(void)
{
	struct vd_error err = { 0 };
	char *tables = NULL, *rest, *line, command[192];

	carry_out("list tables", &tables, &err); /* a kernel without nftables has none */
	for (rest = tables; (line = strsep(&rest, "\n"));) {
		if (!is_ours(line))
			continue;
		vd_format(command, sizeof(command), "delete %s\n", line);
		err.code = 0;
		carry_out(command, NULL, &err);
		if (err.code < 0)
			vd_log(VD_LOG_WARNING, "priv", NULL, "nftables %s is left over and cannot be removed: %s", line, err.text);
		else
			vd_log(VD_LOG_NOTICE, "priv", NULL, "nftables %s was left over, and is removed", line);
	}
	free(tables);
}
