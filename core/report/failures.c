/* Failures of set-ups that no protocol has for itself: users, limits, addresses. */
#include "core/report/report.h"

#include <errno.h>
#include <string.h>

#include "core/plugin.h"

const struct vd_failure vd_fail_other = { .word = "other", .stage = "set-up",
	.say = "{difference}" };

const struct vd_failure vd_fail_resources = { .word = "resources", .stage = "set-up",
	.say = "{difference}",
	.remedy = "see the gateway's log and viaductctl counters" };

const struct vd_failure vd_fail_gave_up = { .word = "gave-up", .stage = "set-up",
	.say = "the {peer} gave up: {difference}",
	.remedy = "" };

const struct vd_failure vd_fail_unknown_user = { .word = "unknown-user", .stage = "auth",
	.say = "unknown user: {configured}{at} has no user {user}",
	.difference = "the user name",
	.remedy = "add the user there, or correct the name on the client" };

const struct vd_failure vd_fail_password = { .word = "wrong-password", .stage = "auth",
	.say = "wrong password: {configured} knows user {user}{at} with another password",
	.difference = "the password",
	.remedy = "type it anew on the client, or change it there" };

const struct vd_failure vd_fail_disabled = { .word = "user-disabled", .stage = "auth",
	.say = "user {user} is disabled in {configured}{at}",
	.difference = "disabled: true",
	.remedy = "remove 'disabled' there" };

const struct vd_failure vd_fail_refused = { .word = "user-refused", .stage = "auth",
	.say = "user {user} was refused by {configured}: {difference}",
	.remedy = "the log of that provider may say more" };

const struct vd_failure vd_fail_unavailable = { .word = "no-answer-about-user", .stage = "auth",
	.say = "nobody could say whether user {user} may come in: {configured}: {difference}",
	.remedy = "see whether that provider works" };

const struct vd_failure vd_fail_no_provider = { .word = "no-provider", .stage = "auth",
	.say = "{difference}",
	.remedy = "" };

const struct vd_failure vd_fail_second_login = { .word = "second-login", .stage = "admit",
	.say = "a second login is refused: {difference}",
	.remedy = "end that session (viaductctl session kill), or write 'second_login: replace' in connection {connection}{at}" };

const struct vd_failure vd_fail_not_admitted = { .word = "not-admitted", .stage = "admit",
	.say = "user {user} is not admitted: {difference}",
	.remedy = "" };

const struct vd_failure vd_fail_pool_full = { .word = "pool-full", .stage = "address",
	.say = "{difference}",
	.remedy = "enlarge its range{at}" };

const struct vd_failure vd_fail_address_held = { .word = "address-held", .stage = "address",
	.say = "the address of user {user} is taken: {difference}",
	.remedy = "end the session that has it, or give one of both users another address" };

const struct vd_failure vd_fail_no_address = { .word = "no-address", .stage = "address",
	.say = "no address for user {user}: {difference}{at}",
	.remedy = "" };

const struct vd_failure vd_fail_crowded_out = { .word = "crowded-out", .stage = "auth",
	.say = "all {count} {offered} were taken, and no user of this {peer} had been authenticated: it made room for another",
	.difference = "its place",
	.remedy = "let it try again; if that goes on, see with viaductctl why who fills the places, and raise {configured}" };

const struct vd_failure vd_fail_guessing = { .word = "too-many-guesses", .stage = "auth",
	.say = "not looked at: too many wrong passwords came from this address; the next one is looked at in {count} s",
	.difference = "their number",
	.remedy = "correct the password on the client, and wait" };

const struct vd_failure vd_fail_establish = { .word = "establish", .stage = "establish",
	.say = "the session of user {user} cannot be brought up: {difference}",
	.remedy = "see the gateway's log" };

static const struct vd_failure *const ours[] = {
	&vd_fail_other,
	&vd_fail_resources,
	&vd_fail_gave_up,
	&vd_fail_unknown_user,
	&vd_fail_password,
	&vd_fail_disabled,
	&vd_fail_refused,
	&vd_fail_unavailable,
	&vd_fail_no_provider,
	&vd_fail_second_login,
	&vd_fail_not_admitted,
	&vd_fail_pool_full,
	&vd_fail_address_held,
	&vd_fail_no_address,
	&vd_fail_crowded_out,
	&vd_fail_guessing,
	&vd_fail_establish,
	NULL,
};

const struct vd_failure *vd_failure_named(const char *word)
{
	const struct vd_host *h = NULL;

	do {
		const struct vd_failure *const *f = h ? h->plugin->failures : ours;

		for (; f && *f; f++)
			if (!strcmp((*f)->word, word))
				return *f;
		h = h ? h->next : vd_plugins_first();
	} while (h);
	return NULL;
}

void vd_failure_shown(const char *word, const char *family, void (*fn)(void *arg, const struct vd_shown *shown), void *arg)
{
	for (const struct vd_host *h = vd_plugins_first(); h; h = h->next)
		for (const struct vd_shown *s = h->plugin->shown; s && s->failure; s++)
			if (!strcmp(s->failure, word) && (!family || !strcmp(s->family, family)))
				fn(arg, s);
}

static bool is_word(const char *text)
{
	return strlen(text) < VD_FAILURE_WORD && *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

int vd_failures_check(const struct vd_plugin *plugin, struct vd_error *err)
{
	for (const struct vd_failure *const *f = plugin->failures; f && *f; f++) {
		if (!(*f)->word || !is_word((*f)->word) || !(*f)->stage || !(*f)->say)
			return vd_error_set(err, -EINVAL, "its failure %.40s has no word of a-z, 0-9 and -, no stage or no sentence",
				(*f)->word ? (*f)->word : "");
		if (vd_failure_named((*f)->word))
			return vd_error_set(err, -EINVAL, "its failure %s is known already: give it a word of the plugin's own", (*f)->word);
		for (const struct vd_failure *const *other = plugin->failures; other < f; other++)
			if (!strcmp((*other)->word, (*f)->word))
				return vd_error_set(err, -EINVAL, "it has the failure %s twice", (*f)->word);
	}
	return 0;
}
