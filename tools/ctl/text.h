/* Text on standard output, which may be a terminal. The daemon's texts are safe (viaduct/text.h); whatever listens at the socket,
 * none of its texts steers the terminal. */
#ifndef TOOLS_CTL_TEXT_H
#define TOOLS_CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define EXIT_DEGRADED 1
#define EXIT_USAGE 2
#define EXIT_NOT_RUNNING 3

#define BOLD "\033[1m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

/* Standard output is a terminal that shows colors. */
extern bool text_color;
/* code, or nothing without colors. */
const char *color(const char *code);
/* A line on standard error. Returns status. */
int fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The string at key, or "". */
const char *word(const json_t *object, const char *key);
/* At least width columns. */
void put_clean(const char *text, size_t width);
void put_line(const char *text);
/* Text of several lines. */
void put_lines(const char *text);
/* With a newline; flags of json_dumps. Returns the exit status. */
int put_json(const json_t *value, size_t flags);
/* How many columns put_clean takes. */
size_t columns_of(const char *text);

#endif
