/* From the book to the store: a queue of changes; all that wait are written in one transaction, by a thread of its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <viaduct/log.h>
#include <viaduct/loop.h>
#include <viaduct/work.h>

#include "plugins/pool/local/pool.h"

/* Answers that may wait. What ends may always wait: each was granted before. */
#define WAITING_MAX 4096
#define RETRY_MS 5000

struct queue {
	struct store_op *head, **tail;
};

struct writer {
	struct pools *pools;
	struct store *store;
	struct vd_lane *lane;
	struct vd_job job;
	struct queue waiting; /* for the next transaction */
	size_t n_asks;        /* somebody waits for so many of them */
	struct store_op *writing; /* the lane's while busy */
	struct vd_error err;      /* likewise */
	bool busy, failed, closing;
	struct vd_timer retry;
};

static struct store_op *op_new(enum store_what what, const char *pool, const char *user)
{
	struct store_op *op = calloc(1, sizeof(*op) + strlen(user) + 1);

	if (!op)
		return NULL;
	op->what = what;
	vd_strcpy(op->pool, sizeof(op->pool), pool);
	strcpy(op->user, user);
	return op;
}

static struct store_op *op_of(enum store_what what, const struct lease *l, uint64_t ticket)
{
	struct store_op *op = op_new(what, l->pool, what == STORE_NOTHING ? "" : l->user);

	if (!op)
		return NULL;
	op->session = l->session;
	op->address = l->address;
	op->ticket = ticket;
	op->when = (int64_t)(vd_wall() / 1000);
	return op;
}

static void push(struct queue *q, struct store_op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
}

static int write_all(struct vd_job *job)
{
	struct writer *w = VD_CONTAINER_OF(job, struct writer, job);

	return store_write(w->store, w->writing, &w->err);
}

/* What comes while this is being written goes into the next transaction, all of it. */
static void flush(struct writer *w)
{
	if (w->busy || !w->waiting.head)
		return;
	vd_timer_stop(&w->retry);
	w->writing = w->waiting.head;
	w->waiting.head = NULL;
	w->waiting.tail = &w->waiting.head;
	w->n_asks = 0;
	w->busy = vd_lane_submit(w->lane, &w->job) == 0;
	if (!w->busy) { /* out of memory; tried again later */
		w->waiting.head = w->writing;
		while (*w->waiting.tail)
			w->waiting.tail = &(*w->waiting.tail)->next;
		vd_timer_start(&w->retry, RETRY_MS);
	}
}

/* The lease that was to be saved; NULL: its session is gone by now, or gave it back and may have another. */
static struct lease *lease_of(const struct writer *w, const struct store_op *op)
{
	struct lease *l = book_of_session(&w->pools->book, op->session, op->address.family);

	return l && vd_ip_equal(&l->address, &op->address) ? l : NULL;
}

/* The grant did not get onto the disk. */
static void revoke(struct writer *w, const struct store_op *op)
{
	struct lease *l = lease_of(w, op);

	if (!l || !l->unsaved)
		return;
	book_revoke(&w->pools->book, l);
	pools_unmark(w->pools, &op->address);
}

static void tell(struct writer *w, struct store_op *op, const struct vd_error *err)
{
	struct lease *l;

	if (op->what == STORE_GRANT && err)
		revoke(w, op);
	else if (op->what == STORE_GRANT && (l = lease_of(w, op)))
		l->unsaved = false;
	if (op->ticket)
		pools_answer(w->pools, op->ticket, op->session, op->address.family, err);
	free(op);
}

static void log_failure(struct writer *w, int result)
{
	if (result && !w->failed)
		vd_log(VD_LOG_ERROR, "pool", NULL, "leases cannot be saved, and nobody who needs an address comes in: %s",
			w->err.text);
	else if (!result && w->failed)
		vd_log(VD_LOG_NOTICE, "pool", NULL, "leases are saved again");
	w->failed = result != 0;
}

static void written(struct vd_job *job, int result)
{
	struct writer *w = VD_CONTAINER_OF(job, struct writer, job);
	struct store_op *op = w->writing, *next;
	struct queue again = { NULL, &again.head };
	struct vd_error err;
	char text[VD_IP_TEXT];

	w->busy = false;
	w->writing = NULL;
	if (result == -ECANCELED)
		vd_error_set(&w->err, result, "the disk was too slow when the daemon ended");
	vd_count("pool_local.commits", !result);
	log_failure(w, result);
	for (; op; op = next) {
		next = op->next;
		if (result && !op->ticket && op->what != STORE_GRANT && op->what != STORE_NOTHING) {
			push(&again, op);
		} else if (!result && op->result) {
			vd_error_set(&err, op->result, "%s is held by somebody else, says the file of leases; restart viaductd",
				vd_ip_format(&op->address, text));
			vd_log(VD_LOG_ERROR, "pool", &(struct vd_ids){ .session = op->session }, "%s", err.text);
			tell(w, op, &err);
		} else {
			tell(w, op, result ? &w->err : NULL);
		}
	}
	if (again.head) { /* in front of what came later */
		*again.tail = w->waiting.head;
		if (!w->waiting.head)
			w->waiting.tail = again.tail;
		w->waiting.head = again.head;
		vd_timer_start(&w->retry, RETRY_MS);
	}
	/* While the disk refuses, only those who ask are a reason to try before the time; nobody is when it all ends. */
	if (!result || (w->n_asks && !w->closing))
		flush(w);
}

static void retry(struct vd_timer *t)
{
	flush(VD_CONTAINER_OF(t, struct writer, retry));
}

int writer_grant(struct writer *w, struct lease *l, uint64_t ticket, struct vd_error *err)
{
	struct store_op *op;

	if (!w)
		return 0;
	if (ticket && w->n_asks >= WAITING_MAX)
		return vd_error_set(err, -ENOBUFS, "the disk is too slow: %zu leases wait to be saved", w->n_asks);
	op = op_of(STORE_GRANT, l, ticket);
	l->end = op_of(STORE_END, l, 0);
	if (!op || !l->end) {
		free(op); /* end goes with the lease */
		return vd_error_set(err, -ENOMEM, "out of memory");
	}
	l->unsaved = true;
	push(&w->waiting, op);
	w->n_asks++;
	flush(w);
	return 0;
}

int writer_wait(struct writer *w, const struct lease *l, uint64_t ticket, struct vd_error *err)
{
	struct store_op *op;

	if (w->n_asks >= WAITING_MAX)
		return vd_error_set(err, -ENOBUFS, "the disk is too slow: %zu leases wait to be saved", w->n_asks);
	op = op_of(STORE_NOTHING, l, ticket);
	if (!op)
		return vd_error_set(err, -ENOMEM, "out of memory");
	push(&w->waiting, op);
	w->n_asks++;
	flush(w);
	return 0;
}

void writer_end(struct writer *w, struct lease *l)
{
	if (!w || !l->end)
		return;
	l->end->when = (int64_t)(vd_wall() / 1000);
	push(&w->waiting, l->end);
	l->end = NULL;
	flush(w);
}

int writer_replace(struct writer *w, struct vd_error *err)
{
	struct store_op *op;
	struct lease *l;

	if (!w)
		return 0;
	op = op_new(STORE_FORGET, "", "");
	if (!op)
		return vd_error_set(err, -ENOMEM, "out of memory");
	push(&w->waiting, op);
	for (l = w->pools->book.ended.head; l; l = l->next) {
		op = op_of(STORE_LAST, l, 0);
		if (!op)
			return vd_error_set(err, -ENOMEM, "out of memory");
		push(&w->waiting, op);
	}
	for (l = w->pools->book.active.head; l; l = l->next) {
		free(l->end);
		l->end = NULL;
		if (writer_grant(w, l, 0, err))
			return err->code;
	}
	flush(w);
	return 0;
}

static void remember(void *arg, const char *pool, const char *user, const struct vd_ip *address)
{
	struct writer *w = arg;
	char words[VD_NAME_MAX + 320], text[VD_IP_TEXT];

	vd_record_name(user);
	vd_format(words, sizeof(words), "%s %s %s", pool, vd_ip_format(address, text), user);
	vd_record_state("lease", words);
	if (book_remember(&w->pools->book, pool, user, address))
		vd_log(VD_LOG_WARNING, "pool", NULL, "out of memory: what %s had is forgotten", user);
}

int writer_open(struct pools *self, const char *folder, struct vd_error *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct store_found found;
	int ret;

	if (!w)
		return vd_error_set(err, -ENOMEM, "out of memory");
	w->pools = self;
	w->waiting.tail = &w->waiting.head;
	w->job.run = write_all;
	w->job.done = written;
	vd_timer_init(&w->retry, retry);
	ret = store_open(folder, &w->store, &found, remember, w, err);
	if (!ret && found.note[0])
		vd_log(VD_LOG_WARNING, "pool", NULL, "%s", found.note);
	if (!ret && found.unreadable)
		vd_log(VD_LOG_WARNING, "pool", NULL, "%zu rows of leases.db make no sense and were left out", found.unreadable);
	if (!ret && found.released)
		vd_log(VD_LOG_NOTICE, "pool", NULL, "%zu leases were held when viaductd ended; they are free, and kept for their users "
			"while possible", found.released);
	if (!ret && w->store) {
		w->lane = vd_lane_new("leases");
		if (!w->lane)
			ret = vd_error_set(err, -ENOMEM, "out of memory or threads");
	}
	if (ret || !w->store) {
		store_close(w->store);
		free(w);
		return ret;
	}
	self->writer = w;
	return 0;
}

void writer_close(struct writer *w)
{
	struct store_op *op;

	if (!w)
		return;
	w->closing = true;
	flush(w);
	vd_lane_free(w->lane); /* writes that, and then what waits behind it */
	vd_timer_stop(&w->retry);
	while ((op = w->waiting.head)) {
		w->waiting.head = op->next;
		free(op);
	}
	store_close(w->store);
	free(w);
}
