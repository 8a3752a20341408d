/* The automaton against the table of RFC 1661 section 4.1, typed in again as the RFC prints it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/ppp/link/fsm.h"

/* Rows are events, columns states 0 to 9; footnote letters kept. */
static const char *const rfc[PPP_EVENTS][PPP_STATES] = {
	{ "2", "irc,scr/6", "-", "-", "-", "-", "-", "-", "-", "-" },
	{ "-", "-", "0", "tls/1", "0", "1", "1", "1", "1", "tld/1" },
	{ "tls/1", "1", "irc,scr/6", "3r", "5r", "5r", "6", "7", "8", "9r" },
	{ "0", "tlf/0", "2", "2", "4", "4", "irc,str/4", "irc,str/4", "irc,str/4", "tld,irc,str/4" },
	{ "-", "-", "-", "-", "str/4", "str/5", "scr/6", "scr/6", "scr/8", "-" },
	{ "-", "-", "-", "-", "tlf/2", "tlf/3", "tlf/3p", "tlf/3p", "tlf/3p", "-" },
	{ "-", "-", "sta/2", "irc,scr,sca/8", "4", "5", "sca/8", "sca,tlu/9", "sca/8", "tld,scr,sca/8" },
	{ "-", "-", "sta/2", "irc,scr,scn/6", "4", "5", "scn/6", "scn/7", "scn/6", "tld,scr,scn/6" },
	{ "-", "-", "sta/2", "sta/3", "4", "5", "irc/7", "scr/6x", "irc,tlu/9", "tld,scr/6x" },
	{ "-", "-", "sta/2", "sta/3", "4", "5", "irc,scr/6", "scr/6x", "irc,scr/8", "tld,scr/6x" },
	{ "-", "-", "sta/2", "sta/3", "sta/4", "sta/5", "sta/6", "sta/6", "sta/6", "tld,zrc,sta/5" },
	{ "-", "-", "2", "3", "tlf/2", "tlf/3", "6", "6", "8", "tld,scr/6" },
	{ "-", "-", "scj/2", "scj/3", "scj/4", "scj/5", "scj/6", "scj/7", "scj/8", "scj/9" },
	{ "-", "-", "2", "3", "4", "5", "6", "6", "8", "9" },
	{ "-", "-", "tlf/2", "tlf/3", "tlf/2", "tlf/3", "tlf/3", "tlf/3", "tlf/3", "tld,irc,str/5" },
	{ "-", "-", "2", "3", "4", "5", "6", "7", "8", "ser/9" },
};

static unsigned action(const char *name, size_t len)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = { { "tld", PPP_TLD }, { "tls", PPP_TLS }, { "irc", PPP_IRC }, { "zrc", PPP_ZRC },
		{ "scr", PPP_SCR }, { "str", PPP_STR }, { "sca", PPP_SCA }, { "scn", PPP_SCN }, { "sta", PPP_STA },
		{ "scj", PPP_SCJ }, { "ser", PPP_SER }, { "tlu", PPP_TLU }, { "tlf", PPP_TLF } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i].name) == len && strncmp(names[i].name, name, len) == 0)
			return names[i].bit;
	ck_abort_msg("no action %.*s", (int)len, name);
}

START_TEST(test_every_cell)
{
	for (unsigned state = 0; state < PPP_STATES; state++)
		for (unsigned event = 0; event < PPP_EVENTS; event++) {
			const char *cell = rfc[event][state], *slash = strchr(cell, '/'), *p = cell;
			struct ppp_transition t = ppp_fsm_step(state, event);
			unsigned want = 0;

			if (strcmp(cell, "-") == 0) {
				ck_assert_msg(t.actions & PPP_ILLEGAL, "state %u event %u", state, event);
				continue;
			}
			while (slash && p < slash) {
				size_t n = strcspn(p, ",/");

				want |= action(p, n);
				p += n + 1;
			}
			ck_assert_msg(t.actions == want, "state %u event %u: actions %x, RFC %s", state, event,
				t.actions, cell);
			ck_assert_msg(t.next == (slash ? slash[1] : cell[0]) - '0', "state %u event %u: to %u, RFC %s",
				state, event, t.next, cell);
		}
}
END_TEST

START_TEST(test_outside)
{
	ck_assert(ppp_fsm_step(PPP_STATES, 0).actions & PPP_ILLEGAL);
	ck_assert(ppp_fsm_step(0, PPP_EVENTS).actions & PPP_ILLEGAL);
	ck_assert_str_eq(ppp_fsm_name(PPP_STATES), "?");
}
END_TEST

/* "The states in which the Restart timer is running are identifiable by the presence of TO events." */
START_TEST(test_timed)
{
	for (unsigned state = 0; state < PPP_STATES; state++)
		ck_assert_int_eq(ppp_fsm_timed(state), strcmp(rfc[PPP_EV_TO_PLUS][state], "-") != 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ppp automaton");
	TCase *t = tcase_create("table");
	SRunner *r;
	int failed;

	tcase_add_test(t, test_every_cell);
	tcase_add_test(t, test_outside);
	tcase_add_test(t, test_timed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
