/* Events, requests, verdicts, conversations, deadlines, and the JSON of field tables. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

#include <viaduct/log.h>
#include <viaduct/plugin.h>
#include <viaduct/topics.h>

#include "core/bus.h"
#include "tests/lib/fake.h"

static char trace[4096];

static void say(const char *fmt, ...)
{
	va_list ap;
	size_t n = strlen(trace);

	va_start(ap, fmt);
	vsnprintf(trace + n, sizeof(trace) - n, fmt, ap);
	va_end(ap);
}

static void setup(void)
{
	trace[0] = '\0';
	fake_init(1);
}

static void on_gone(void *arg, const void *event)
{
	const struct vd_session_gone *g = event;
	struct vd_session_gone more = { .session = g->session + 1 };

	say("%s%d ", (const char *)arg, (int)g->session);
	if (g->session < 3 && strcmp(arg, "a") == 0)
		ck_assert_int_eq(vd_event_post(&vd_topic_session_gone, &more), 0);
}

START_TEST(events_in_one_order)
{
	struct vd_session_gone one = { .session = 1 };

	ck_assert_int_eq(vd_event_subscribe(NULL, "session_gone", on_gone, (void *)"a"), 0);
	ck_assert_int_eq(vd_event_subscribe(NULL, "session_gone", on_gone, (void *)"b"), 0);
	ck_assert_int_eq(vd_event_subscribe(NULL, "no_such_topic", on_gone, NULL), -ENOENT);
	ck_assert_int_eq(vd_event_post(&vd_topic_session_gone, &one), 0);
	ck_assert_str_eq(trace, "");
	fake_drain();
	/* what a posts while 1 is delivered comes after b heard 1 */
	ck_assert_str_eq(trace, "a1 b1 a2 b2 a3 b3 ");
}
END_TEST

static const struct vd_field co_fields[] = { VD_FIELD_X(vd_session_gone, session, VD_F_ID, 0, "s") };
static const struct vd_topic co_topic = { .name = "co", .kind = VD_EVENT, .pressure = VD_PRESSURE_COALESCE,
	.size = sizeof(struct vd_session_gone), .fields = co_fields, .n_fields = 1 };
static const struct vd_topic co_other = { .name = "co", .kind = VD_EVENT };

static void on_co(void *arg, const void *event)
{
	(void)arg;
	say("%d ", (int)((const struct vd_session_gone *)event)->session);
}

START_TEST(coalescing_and_topic_names)
{
	struct vd_session_gone e = { .session = 7 };

	ck_assert_int_eq(vd_bus_topic(&co_topic), 0);
	ck_assert_int_eq(vd_bus_topic(&co_topic), 0);
	ck_assert_int_eq(vd_bus_topic(&co_other), -EEXIST);
	ck_assert_int_eq(vd_event_post(&co_other, &e), -ENOENT);
	ck_assert_int_eq(vd_event_subscribe(NULL, "co", on_co, NULL), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(vd_event_post(&co_topic, &e), 0);
	e.session = 8;
	ck_assert_int_eq(vd_event_post(&co_topic, &e), 0);
	fake_drain();
	ck_assert_str_eq(trace, "7 8 ");
	ck_assert_int_eq(vd_event_post(&co_topic, &e), 0);
	fake_drain();
	ck_assert_str_eq(trace, "7 8 8 ");
}
END_TEST

/* A provider that answers what it is told to, or keeps the ticket. */
struct who {
	const char *name;
	enum vd_verdict verdict;
	bool later;
	uint64_t ticket, cancelled, conversation;
	unsigned asked;
};

static void answer(struct who *w, uint64_t ticket)
{
	struct vd_authenticated a = { .user = "alice" };
	struct vd_error why;

	vd_error_set(&why, -EACCES, "%s says so", w->name);
	vd_reply(ticket, w->verdict, &a, &why);
}

static void on_ask(void *arg, const struct vd_ask *ask)
{
	struct who *w = arg;

	w->asked++;
	w->ticket = ask->ticket;
	w->conversation = ask->conversation;
	say("%s%s%s ", w->name, ask->instance[0] ? "/" : "", ask->instance);
	if (!w->later)
		answer(w, ask->ticket);
}

static void on_cancel(void *arg, uint64_t ticket)
{
	((struct who *)arg)->cancelled = ticket;
}

static unsigned answers;
static struct vd_answer last;
static char last_user[64];

static void on_answer(void *arg, const struct vd_answer *a)
{
	(void)arg;
	answers++;
	last = *a;
	vd_strcpy(last_user, sizeof(last_user), a->data ? ((const struct vd_authenticated *)a->data)->user : "");
	say("= %s by %s", vd_verdict_name(a->verdict), a->provider);
}

static struct who radius = { .name = "radius" }, users = { .name = "users" };
static const char *const order[] = { "radius/nps1", "radius/nps2", "users/local", NULL };

static void provide(void)
{
	radius = (struct who){ .name = "radius" };
	users = (struct who){ .name = "users" };
	answers = 0;
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "users", on_ask, on_cancel, &users), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "radius", on_ask, on_cancel, &radius), 0);
	ck_assert_int_eq(vd_provide(NULL, "authenticate", "radius", on_ask, NULL, &radius), -EEXIST);
}

static uint64_t request(const struct vd_request_opts *o)
{
	struct vd_authenticate q = { .session = o->session, .user = "alice", .data = { (const uint8_t *)"secret", 6 } };

	return vd_request(&vd_topic_authenticate, &q, o, on_answer, NULL);
}

START_TEST(first_in_the_realms_order)
{
	static const struct {
		enum vd_verdict radius, users;
		uint32_t flags;
		const char *trace;
	} cases[] = {
		{ VD_ACCEPT, VD_ACCEPT, 0, "radius/nps1 = accept by radius/nps1" },
		{ VD_REJECT, VD_ACCEPT, 0, "radius/nps1 = reject by radius/nps1" },
		{ VD_PASS, VD_ACCEPT, 0, "radius/nps1 radius/nps2 users/local = accept by users/local" },
		/* another server of the same provider always, another provider only with the realm's leave */
		{ VD_UNAVAILABLE, VD_ACCEPT, 0, "radius/nps1 radius/nps2 = unavailable by radius/nps1" },
		{ VD_UNAVAILABLE, VD_ACCEPT, VD_REQUEST_FALLBACK,
			"radius/nps1 radius/nps2 users/local = accept by users/local" },
		{ VD_PASS, VD_PASS, 0, "radius/nps1 radius/nps2 users/local = pass by " },
	};

	provide();
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		struct vd_request_opts o = { .flags = cases[i].flags, .providers = order };

		trace[0] = '\0';
		radius.verdict = cases[i].radius;
		users.verdict = cases[i].users;
		ck_assert_uint_ne(request(&o), 0);
		ck_assert_str_eq(trace, "");
		fake_drain();
		ck_assert_str_eq(trace, cases[i].trace);
		ck_assert_uint_eq(answers, i + 1);
		ck_assert_uint_eq(vd_bus_open_requests(0), 0);
	}
	ck_assert_str_eq(last_user, "");
}
END_TEST

START_TEST(absent_provider_is_unavailable)
{
	static const char *const nobody[] = { "ldap/x", "users/local", NULL };
	struct vd_request_opts o = { .providers = nobody };

	provide();
	users.verdict = VD_ACCEPT;
	request(&o);
	fake_drain();
	ck_assert_int_eq(last.verdict, VD_UNAVAILABLE);
	ck_assert_str_eq(last.why.text, "no plugin provides ldap/x for authenticate");
	o.flags = VD_REQUEST_FALLBACK;
	request(&o);
	fake_drain();
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
	ck_assert_str_eq(last_user, "alice");
}
END_TEST

START_TEST(deadline_late_answer_and_cancel)
{
	struct vd_request_opts o = { .deadline_ms = 3000, .providers = order, .session = 5 };
	uint64_t id, late;

	provide();
	radius.later = true;
	radius.verdict = VD_ACCEPT;
	request(&o);
	fake_advance(2999);
	ck_assert_uint_eq(answers, 0);
	late = radius.ticket;
	fake_advance(1);
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(last.verdict, VD_UNAVAILABLE);
	ck_assert_int_eq(last.why.code, -ETIMEDOUT);
	ck_assert_uint_eq(radius.cancelled, late);
	answer(&radius, late);
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(vd_counter("bus.late_answer"), 1);
	/* cancelled: nobody hears */
	id = request(&o);
	fake_drain();
	vd_request_cancel(id);
	ck_assert_uint_eq(radius.cancelled, radius.ticket);
	answer(&radius, radius.ticket);
	fake_advance(10000);
	ck_assert_uint_eq(answers, 1);
	/* cancelled before it was asked, and by session; an answer that is already in the FIFO is late */
	id = request(&o);
	vd_request_cancel(id);
	request(&o);
	fake_drain();
	answer(&radius, radius.ticket);
	vd_request_cancel_session(5);
	ck_assert_uint_eq(vd_bus_open_requests(5), 0);
	fake_advance(10000);
	ck_assert_uint_eq(answers, 1);
	vd_request_cancel(12345);
}
END_TEST

START_TEST(pending_extends_the_deadline)
{
	struct vd_request_opts o = { .deadline_ms = 3000, .providers = order };

	provide();
	radius.later = true;
	request(&o);
	fake_drain();
	radius.verdict = VD_PENDING;
	answer(&radius, radius.ticket);
	fake_advance(60000);
	ck_assert_uint_eq(answers, 0);
	radius.verdict = VD_ACCEPT;
	answer(&radius, radius.ticket);
	answer(&radius, radius.ticket); /* a second answer does not count */
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(last.verdict, VD_ACCEPT);
}
END_TEST

START_TEST(conversation_is_pinned)
{
	struct vd_request_opts o = { .providers = order, .session = 9 };

	provide();
	radius.verdict = VD_UNAVAILABLE;
	radius.later = true;
	request(&o);
	fake_drain();
	answer(&radius, radius.ticket);
	fake_drain(); /* nps2 is asked now */
	radius.verdict = VD_CONTINUE;
	answer(&radius, radius.ticket);
	fake_drain();
	ck_assert_int_eq(last.verdict, VD_CONTINUE);
	ck_assert_str_eq(last.provider, "radius/nps2");
	ck_assert_uint_ne(last.conversation, 0);
	trace[0] = '\0';
	o.conversation = last.conversation;
	radius.later = false;
	request(&o);
	fake_drain();
	ck_assert_str_eq(trace, "radius/nps2 = continue by radius/nps2");
	ck_assert_uint_eq(radius.conversation, o.conversation);
	ck_assert_uint_eq(last.conversation, o.conversation);
	/* a conversation of a closed session is forgotten: the list is walked again */
	vd_request_cancel_session(9);
	trace[0] = '\0';
	request(&o);
	fake_drain();
	ck_assert_str_eq(trace, "radius/nps1 = continue by radius/nps1");
}
END_TEST

START_TEST(all_must_agree)
{
	static const struct {
		enum vd_verdict a, b, want;
	} cases[] = {
		{ VD_PASS, VD_PASS, VD_ACCEPT }, { VD_ACCEPT, VD_PASS, VD_ACCEPT }, { VD_ACCEPT, VD_REJECT, VD_REJECT },
		{ VD_REJECT, VD_ACCEPT, VD_REJECT }, { VD_UNAVAILABLE, VD_ACCEPT, VD_UNAVAILABLE },
		{ VD_UNAVAILABLE, VD_REJECT, VD_REJECT },
	};
	struct vd_request_opts o = { .mode = VD_ALL };

	o.providers = NULL;
	request(&o);
	fake_drain();
	ck_assert_int_eq(last.verdict, VD_ACCEPT); /* nobody objects */
	provide();
	for (size_t i = 0; i < VD_ARRAY_SIZE(cases); i++) {
		radius.verdict = cases[i].a;
		users.verdict = cases[i].b;
		answers = 0;
		request(&o);
		fake_drain();
		ck_assert_uint_eq(answers, 1);
		ck_assert_int_eq(last.verdict, cases[i].want);
	}
	/* a reject does not wait for the others */
	radius.verdict = VD_REJECT;
	users.later = true;
	answers = 0;
	request(&o);
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(users.cancelled, users.ticket);
}
END_TEST

START_TEST(json_is_json_and_keeps_secrets)
{
	struct vd_authenticate q = { .session = 42, .method = VD_AUTH_MSCHAPV2, .data = { (const uint8_t *)"hunter2", 7 },
		.response = "0123456789abcdef0123456" };
	struct vd_session_up up = { .session = 1, .address = { AF_INET, { 10, 8, 0, 23 } }, .mtu = 1400 };
	struct vd_leased_address lease = { .dns = { { AF_INET, { 9, 9, 9, 9 } }, { AF_INET, { 1, 1, 1, 1 } } } };
	char out[4096];
	json_t *j;
	int n;

	/* quotes, a control character, valid and broken UTF-8 */
	vd_strcpy(q.user, sizeof(q.user), "CORP\\al\"ice\n\xc3\xa9\xff\xe2\x82");
	n = vd_fields_json(vd_topic_authenticate.fields, vd_topic_authenticate.n_fields, &q, out, sizeof(out));
	ck_assert_int_eq(n, (int)strlen(out));
	j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(j != NULL, "%s", out);
	ck_assert_str_eq(json_string_value(json_object_get(j, "session")), "s-42");
	ck_assert_str_eq(json_string_value(json_object_get(j, "user")),
		"CORP\\al\"ice\\x0a\xc3\xa9\\xff\\xe2\\x82");
	ck_assert_str_eq(json_string_value(json_object_get(j, "method")), "mschapv2");
	ck_assert_str_eq(json_string_value(json_object_get(j, "response")), "(secret)");
	ck_assert_str_eq(json_string_value(json_object_get(j, "data")), "(secret)");
	ck_assert_ptr_null(strstr(out, "68756e746572")); /* "hunter" */
	json_decref(j);
	ck_assert_int_gt(vd_fields_json(vd_topic_session_up.fields, vd_topic_session_up.n_fields, &up, out, sizeof(out)), 0);
	ck_assert_ptr_nonnull(strstr(out, "\"address\":\"10.8.0.23\",\"mtu\":1400"));
	ck_assert_int_gt(vd_fields_json(vd_topic_lease_address.answer_fields, vd_topic_lease_address.n_answer_fields, &lease,
		out, sizeof(out)), 0);
	ck_assert_ptr_nonnull(strstr(out, "\"dns\":[\"9.9.9.9\",\"1.1.1.1\"],\"wins\":[]"));
	/* too little room, whatever it is: refused, terminated */
	for (size_t size = 0; size < 200; size++) {
		memset(out, 'x', sizeof(out));
		ck_assert_int_eq(vd_fields_json(vd_topic_authenticate.fields, vd_topic_authenticate.n_fields, &q, out, size),
			-ENOSPC);
		ck_assert_int_eq(out[size], 'x');
		if (size)
			ck_assert_ptr_nonnull(memchr(out, '\0', size));
	}
}
END_TEST

/* Every topic of the core has a table that the encoder can walk, and ends within its struct. */
START_TEST(core_topics_are_sound)
{
	static _Alignas(max_align_t) unsigned char zero[65536];
	static char out[65536];

	for (size_t i = 0; vd_core_topics[i]; i++) {
		const struct vd_topic *t = vd_core_topics[i];

		ck_assert_uint_lt(t->size, sizeof(zero));
		for (size_t f = 0; f < t->n_fields; f++)
			ck_assert_uint_le((size_t)t->fields[f].offset + t->fields[f].size, t->size);
		for (size_t f = 0; f < t->n_answer_fields; f++)
			ck_assert_uint_le((size_t)t->answer_fields[f].offset + t->answer_fields[f].size, t->answer_size);
		ck_assert_int_gt(vd_fields_json(t->fields, t->n_fields, zero, out, sizeof(out)), 2);
		ck_assert_ptr_nonnull(t->doc);
	}
}
END_TEST

/* Thousands of logins at once: each answer finds its request, and a session takes its own with it. */
START_TEST(many_at_once)
{
	struct vd_request_opts o = { .providers = order };
	uint64_t first = 0;

	provide();
	radius.verdict = VD_ACCEPT;
	radius.later = true;
	for (o.session = 1; o.session <= 5000; o.session++) {
		ck_assert_uint_ne(request(&o), 0);
		fake_drain();
		first = first ? first : radius.ticket;
	}
	ck_assert_uint_eq(vd_bus_open_requests(0), 5000);
	ck_assert_uint_eq(vd_bus_open_requests(77), 1);
	vd_request_cancel_session(77);
	ck_assert_uint_eq(vd_bus_open_requests(77), 0);
	for (uint64_t i = 0; i < 5000; i++)
		answer(&radius, first + i);
	fake_drain();
	ck_assert_uint_eq(answers, 4999);
	ck_assert_uint_eq(vd_bus_open_requests(0), 0);
}
END_TEST

/* A blob without octets arrives as one, and asking again from inside done is a request of its own. */
static uint64_t nested;
static void on_answer_again(void *arg, const struct vd_answer *a)
{
	struct vd_authenticate q = { .user = "bob", .data = { (const uint8_t *)"", 0 } };

	vd_request_cancel(nested); /* this very request: harmless */
	answers++;
	if (!arg)
		vd_request(&vd_topic_authenticate, &q, NULL, on_answer_again, (void *)a->provider);
}

START_TEST(cancelled_inside_done_and_no_blob)
{
	struct vd_authenticate q = { .user = "bob", .data = { (const uint8_t *)"", 0 } };

	provide();
	radius.verdict = VD_ACCEPT;
	nested = vd_request(&vd_topic_authenticate, &q, NULL, on_answer_again, NULL);
	fake_drain();
	ck_assert_uint_eq(answers, 2);
	ck_assert_uint_eq(vd_bus_open_requests(0), 0);
}
END_TEST

/* A plugin that ends while it is asked: who asked hears so now, not at the deadline. */
static int asked_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	(void)ret_self;
	(void)err;
	return vd_provide(host, "authenticate", "radius", on_ask, on_cancel, &radius);
}
static const struct vd_plugin asked = { .magic = VD_PLUGIN_MAGIC, .abi_major = VD_ABI_MAJOR,
	.abi_minor = VD_ABI_MINOR, .struct_size = sizeof(struct vd_plugin), .abi_hash = VD_ABI_HASH,
	.build_id = VD_BUILD_ID, .name = "asked", .init = asked_init };

START_TEST(provider_ends_while_asked)
{
	struct vd_request_opts o = { .providers = order };

	radius = (struct who){ .name = "radius", .later = true };
	answers = 0;
	fake_plugin_start(&asked);
	request(&o);
	fake_drain();
	ck_assert_uint_eq(radius.asked, 1);
	fake_plugin_stop(&asked);
	fake_drain();
	ck_assert_uint_eq(answers, 1);
	ck_assert_int_eq(last.verdict, VD_UNAVAILABLE);
	ck_assert_uint_eq(radius.cancelled, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bus");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, fake_fini);
	tcase_add_test(tc, events_in_one_order);
	tcase_add_test(tc, coalescing_and_topic_names);
	tcase_add_test(tc, first_in_the_realms_order);
	tcase_add_test(tc, absent_provider_is_unavailable);
	tcase_add_test(tc, deadline_late_answer_and_cancel);
	tcase_add_test(tc, pending_extends_the_deadline);
	tcase_add_test(tc, conversation_is_pinned);
	tcase_add_test(tc, all_must_agree);
	tcase_add_test(tc, many_at_once);
	tcase_add_test(tc, cancelled_inside_done_and_no_blob);
	tcase_add_test(tc, provider_ends_while_asked);
	tcase_add_test(tc, json_is_json_and_keeps_secrets);
	tcase_add_test(tc, core_topics_are_sound);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
