/* YAML text to nodes, by libyaml's events. Only what has one obvious meaning passes: no anchors, no merge keys, no
 * tags but ours, one document. */
#include "core/conf/conf_node.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct vd_conf *conf;
	const struct conf_file *file;
	const char *text;
	size_t len;
	struct vd_conf_errors *errs;
	int error; /* -EINVAL: nothing more can be read; -ENOMEM */
};

static int complain(struct reader *r, yaml_mark_t at, const char *text)
{
	vd_conf_errors_add(r->errs, false, r->file->path, (unsigned)at.line + 1, (unsigned)at.column + 1, "%s", text);
	return r->error = -EINVAL;
}

/* The first line of the text that is line number n (from 0) of the file. */
static const char *line_at(const struct reader *r, size_t n, size_t *ret_len)
{
	const char *p = r->text, *end = r->text + r->len, *nl;

	while (n-- && (nl = memchr(p, '\n', (size_t)(end - p))))
		p = nl + 1;
	nl = memchr(p, '\n', (size_t)(end - p));
	*ret_len = (size_t)((nl ? nl : end) - p);
	return p;
}

static int syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t at = p->problem_mark;
	char text[400];
	const char *line, *hint = "";
	size_t len, blank = 0, i;
	bool colons = false;

	if (p->error == YAML_MEMORY_ERROR)
		return r->error = -ENOMEM;
	if (p->error == YAML_READER_ERROR) { /* has an offset only */
		memset(&at, 0, sizeof(at));
		for (i = 0; i < r->len && i < p->problem_offset; i++) {
			at.column = r->text[i] == '\n' ? 0 : at.column + 1;
			at.line += r->text[i] == '\n';
		}
		vd_format(text, sizeof(text), "%s; the file must be plain text in UTF-8", p->problem);
		return complain(r, at, text);
	}
	line = line_at(r, at.line, &len);
	while (blank < len && line[blank] == ' ')
		blank++;
	for (i = 1; i < len; i++)
		colons |= line[i] == ':' && line[i - 1] == ':';
	if (memchr(line, '\t', len))
		hint = "; there is a tab in this line: indent with spaces";
	else if (colons)
		hint = "; write IPv6 addresses in quotes: \"2001:db8::1\"";
	else if (len > blank && line[blank] == '%')
		hint = "; directives are not used here";
	vd_format(text, sizeof(text), "%s%s%s%s", p->context ? p->context : "", p->context ? ": " : "",
		p->problem ? p->problem : "this is not YAML", hint);
	return complain(r, at, text);
}

/* The next event; the caller deletes it. False: r->error is set. */
static bool next(struct reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event))
		return true;
	syntax_error(r);
	return false;
}

static struct vd_conf_node *new_node(struct reader *r, const yaml_event_t *event, enum conf_kind kind)
{
	struct vd_conf_node *node = NULL;

	if (++r->conf->nodes > CONF_NODES_MAX)
		complain(r, event->start_mark, "the configuration is too large: more than 100,000 values");
	else if (!(node = conf_node_new(r->conf, kind, r->file)))
		r->error = -ENOMEM;
	if (node) {
		node->line = (unsigned)event->start_mark.line + 1;
		node->column = (unsigned)event->start_mark.column + 1;
	}
	return node;
}

static bool is_text(const yaml_event_t *e)
{
	return !memchr(e->data.scalar.value, 0, e->data.scalar.length);
}

static struct vd_conf_node *read_scalar(struct reader *r, const yaml_event_t *e)
{
	struct vd_conf_node *node = new_node(r, e, CONF_SCALAR);
	const char *tag = (const char *)e->data.scalar.tag, *value = (const char *)e->data.scalar.value;

	if (!node)
		return NULL;
	node->style = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? CONF_PLAIN : CONF_QUOTED;
	if (tag && !strcmp(tag, "!file"))
		node->style = CONF_TAG_FILE;
	else if (tag && !strcmp(tag, "!env"))
		node->style = CONF_TAG_ENV;
	else if (tag)
		conf_bad(r->errs, node, "unknown tag `%s`; there are !file PATH and !env NAME", tag);
	if (!is_text(e))
		conf_bad(r->errs, node, "the text has a NUL octet in it");
	if (node->style == CONF_PLAIN && (!*value || !strcmp(value, "~") || !strcmp(value, "null")))
		node->kind = CONF_NULL;
	node->text = conf_strndup(r->conf, value, strlen(value));
	if (!node->text)
		r->error = -ENOMEM;
	return node;
}

static struct vd_conf_node *read_node(struct reader *r, yaml_event_t *e, unsigned depth);

/* The value behind a key, which is put into map. */
static int read_pair(struct reader *r, struct vd_conf_node *map, yaml_event_t *key, unsigned depth)
{
	const char *name = (const char *)key->data.scalar.value;
	struct vd_conf_node *value, *other;
	yaml_event_t e;

	if (key->type == YAML_ALIAS_EVENT)
		return complain(r, key->start_mark, "anchors and aliases are not used here; `extends: NAME` takes values over");
	if (key->type != YAML_SCALAR_EVENT)
		return complain(r, key->start_mark, "a key must be one word");
	if (key->data.scalar.anchor)
		return complain(r, key->start_mark, "anchors and aliases are not used here; `extends: NAME` takes values over");
	if (!strcmp(name, "<<") && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return complain(r, key->start_mark, "merge keys are not used here; `extends: NAME` takes values over");
	if (!next(r, &e))
		return r->error;
	value = read_node(r, &e, depth);
	yaml_event_delete(&e);
	if (!value)
		return r->error;
	value->name = conf_strndup(r->conf, name, strlen(name));
	if (!value->name)
		return r->error = -ENOMEM;
	value->name_quoted = key->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	value->key_line = (unsigned)key->start_mark.line + 1;
	value->key_column = (unsigned)key->start_mark.column + 1;
	if (!is_text(key) || key->data.scalar.tag) {
		conf_bad_key(r->errs, value, "a key must be plain text");
		return 0;
	}
	other = conf_node_find(map, value->name);
	if (other) {
		conf_bad_key(r->errs, value, "`%s` stands here twice: first in line %u", value->name, other->key_line);
		return 0;
	}
	if (conf_node_add(r->conf, map, value) < 0)
		return r->error = -ENOMEM;
	return 0;
}

static struct vd_conf_node *read_node(struct reader *r, yaml_event_t *e, unsigned depth)
{
	struct vd_conf_node *node, *child;
	const yaml_char_t *anchor = NULL, *tag = NULL;
	yaml_event_t sub;
	bool is_map = e->type == YAML_MAPPING_START_EVENT, end;

	if (e->type == YAML_SCALAR_EVENT)
		anchor = e->data.scalar.anchor;
	else if (is_map)
		anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
	else if (e->type == YAML_SEQUENCE_START_EVENT)
		anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
	if (e->type == YAML_ALIAS_EVENT || anchor) {
		complain(r, e->start_mark, "anchors and aliases are not used here; `extends: NAME` takes values over");
		return NULL;
	}
	if (e->type == YAML_SCALAR_EVENT)
		return read_scalar(r, e);
	node = new_node(r, e, is_map ? CONF_MAP : CONF_LIST);
	if (!node)
		return NULL;
	if (tag)
		conf_bad(r->errs, node, "unknown tag `%s`; !file and !env stand before one value", (const char *)tag);
	if (depth >= CONF_DEPTH_MAX) {
		complain(r, e->start_mark, "nested too deep: more than 16 levels");
		return NULL;
	}
	for (;;) {
		if (!next(r, &sub))
			return NULL;
		end = sub.type == YAML_MAPPING_END_EVENT || sub.type == YAML_SEQUENCE_END_EVENT;
		if (!end && is_map) {
			read_pair(r, node, &sub, depth + 1);
		} else if (!end) {
			child = read_node(r, &sub, depth + 1);
			if (child && conf_node_add(r->conf, node, child) < 0)
				r->error = -ENOMEM;
		}
		yaml_event_delete(&sub);
		if (end || r->error)
			break;
	}
	return r->error ? NULL : node;
}

int conf_yaml(struct vd_conf *conf, const struct conf_file *file, const char *text, size_t len,
	struct vd_conf_node **ret, struct vd_conf_errors *errs)
{
	struct reader r = { .conf = conf, .file = file, .text = text, .len = len, .errs = errs };
	struct vd_conf_node *root = NULL;
	unsigned documents = 0;
	yaml_event_t e;
	bool end = false;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	while (!end && !r.error && next(&r, &e)) {
		end = e.type == YAML_STREAM_END_EVENT;
		if (e.type == YAML_DOCUMENT_START_EVENT && documents++)
			complain(&r, e.start_mark, "one document in one file: take out this `---`, or make it a file of its own");
		else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
			 e.type != YAML_DOCUMENT_END_EVENT && !end)
			root = read_node(&r, &e, 0);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&r.parser);
	if (!r.error)
		*ret = root;
	return r.error;
}
