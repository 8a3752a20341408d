/* Text on standard output, which may be a terminal. The daemon's texts are safe (viaduct/text.h); whatever listens at the socket,
 * none of its texts steers the terminal. */
#ifndef TOOLS_VIADUCTCTL_TEXT_H
#define TOOLS_VIADUCTCTL_TEXT_H

#include <stddef.h>

#include <jansson.h>

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
