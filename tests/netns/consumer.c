/* A plugin as third parties write them: it counts sessions, and a worker of its own writes down what it hears, slowly. Events that
 * come after its stop are lost to it. Built by case 52-last-events with one cc line. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <viaduct/bus.h>
#include <viaduct/plugin.h>
#include <viaduct/report.h>
#include <viaduct/topics.h>

#define ROOM 512

struct consumer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	char lines[ROOM][128];
	unsigned n, written;
	bool stopping, stopped;
	int fd;
};

static void say(struct consumer *c, const char *line)
{
	if (write(c->fd, line, strlen(line)) < 0)
		abort();
}

static void *work(void *arg)
{
	struct consumer *c = arg;

	pthread_mutex_lock(&c->lock);
	while (c->written < c->n || !c->stopping) {
		if (c->written == c->n) {
			pthread_cond_wait(&c->more, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		usleep(20000);
		say(c, c->lines[c->written]);
		pthread_mutex_lock(&c->lock);
		c->written++;
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void heard(struct consumer *c, const char *what, uint64_t session)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%s s-%llu\n", c->stopped ? "lost: " : "", what, (unsigned long long)session);
	if (c->stopped) {
		say(c, line);
		return;
	}
	pthread_mutex_lock(&c->lock);
	if (c->n < ROOM)
		memcpy(c->lines[c->n++], line, sizeof(line));
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
}

/* What goes wrong in a plugin of its own, and what clients show then. */
static const struct vd_failure hungry = { .word = "consumer-hungry", .stage = "counting",
	.say = "the consumer wants more than {count} sessions of {peer}s like {user}", .remedy = "feed it{at}" };
static const struct vd_failure *const failures[] = { &hungry, NULL };
static const struct vd_shown shown[] = { { "consumer-hungry", "windows", "Windows shows error 4711" }, { NULL, NULL, NULL } };

static void on_up(void *arg, const void *event)
{
	uint64_t session = ((const struct vd_session_up *)event)->session;

	vd_report_failure(&(struct vd_report){ .kind = &hungry, .session = session, .count = 1, .origin = "50-consumer.yaml:1" });
	heard(arg, "up", session);
}

static void on_down(void *arg, const void *event)
{
	heard(arg, "down", ((const struct vd_session_down *)event)->session);
}

static void on_gone(void *arg, const void *event)
{
	heard(arg, "gone", ((const struct vd_session_gone *)event)->session);
}

/* A request that nobody answers, for an end that has something to wait for. */
struct question {
	uint64_t session;
};
static const struct vd_field question_fields[] = { VD_FIELD_X(question, session, VD_F_ID, 0, "s") };
static const struct vd_topic question = { .name = "consumer_question", .kind = VD_REQUEST, .pressure = VD_PRESSURE_KEEP,
	.size = sizeof(struct question), .fields = question_fields, .n_fields = 1, .answer_size = sizeof(struct question),
	.answer_fields = question_fields, .n_answer_fields = 1, .doc = "Nothing." };
static const struct vd_topic *const topics[] = { &question, NULL };

static void never(void *arg, const struct vd_ask *ask)
{
	(void)arg;
	(void)ask;
}

static void answered(void *arg, const struct vd_answer *answer)
{
	(void)arg;
	(void)answer;
}

static int consumer_init(struct vd_host *host, void **ret_self, struct vd_error *err)
{
	struct consumer *c = calloc(1, sizeof(*c));

	(void)err;
	if (!c)
		return -1;
	*ret_self = c;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	c->fd = open(getenv("CONSUMER_FILE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (vd_provide(host, "consumer_question", "consumer", never, NULL, c) < 0)
		return -1;
	return vd_event_subscribe(host, "session_up", on_up, c) < 0 || vd_event_subscribe(host, "session_down", on_down, c) < 0 ||
		vd_event_subscribe(host, "session_gone", on_gone, c) < 0 ? -1 : 0;
}

static int consumer_start(void *self, struct vd_error *err)
{
	struct consumer *c = self;

	(void)err;
	if (getenv("CONSUMER_ASKS"))
		vd_request(&question, &(struct question){ 0 }, &(struct vd_request_opts){ .deadline_ms = 60000 }, answered, c);
	return -pthread_create(&c->thread, NULL, work, c);
}

static void consumer_stop(void *self)
{
	struct consumer *c = self;

	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	c->stopped = true;
	say(c, "stop\n");
}

static void consumer_fini(void *self)
{
	struct consumer *c = self;

	say(c, "fini\n");
	close(c->fd);
	free(c);
}

static const struct vd_opt schema[] = {
	{ "consumer", VD_T_MAP, 0, NULL, NULL, "Writes sessions down." },
	{ NULL, 0, 0, NULL, NULL, NULL },
};

VD_PLUGIN(consumer, .version = "1.0", .license = "MIT", .summary = "writes sessions down", .schema = schema, .topics = topics,
	.failures = failures, .shown = shown, .init = consumer_init, .start = consumer_start, .stop = consumer_stop, .fini = consumer_fini);
