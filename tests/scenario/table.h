/* The table of conversations in which messages were lost and repeated; filled by several processes. */
#ifndef TESTS_SCENARIO_TABLE_H
#define TESTS_SCENARIO_TABLE_H

struct row {
	char name[48];
	unsigned up, down;      /* datagrams of the client and of the gateway, when nothing is lost */
	unsigned lost, doubled; /* variants run */
	unsigned births;        /* how often the gateway was made anew in one run */
	unsigned minutes;       /* until everything was gone, at most */
};

/* Zeroed rows that children share; NULL when there is no memory. */
struct row *table_new(unsigned n);
/* For wire.delivered: the gateway is exported, made anew, imported; how often that was done. */
void table_reborn(void);
extern unsigned table_births;
/* Prints them; returns the number of variants. */
unsigned table_print(const struct row *rows, unsigned n);

#endif
