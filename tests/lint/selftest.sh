# shellcheck shell=bash disable=SC2154
# sample_RULE dirty|clean FOLDER: a small tree (source and build folder in one) that the rule must object to, or must not.
# VIOLATIONS_RULE says how many lines the dirty one must cause at least (1 when not given). Uses $cc. Sourced by tests/lint/run.

put() { # FILE LINE...
	mkdir -p "${1%/*}" && {
		local f=$1
		shift
		printf '%s\n' "$@" >"$f"
	}
}
compile() { $cc -fPIC -c -o "$1" "$2"; } # OBJECT SOURCE

sample_includes() {
	put "$2/plugins/a/x/x.c" '#include <viaduct/base.h>' '#include "x.h"' '#include "../lib/help.h"' '#include <stdio.h>'
	put "$2/plugins/a/lib/help.c" '#include "help.h"'
	put "$2/plugins/b/b.c" '#include "b.h"'
	put "$2/core/main.c" '#include "core/loader.h"'
	[ "$1" = clean ] || {
		put "$2/plugins/a/x/y.c" '#include "../../b/lib/secret.h"' '#include "core/loader.h"' '#include <core/loader.h>' \
			'#include "../y/y.h"' '#include <ev.h>'
		put "$2/plugins/a/lib/y.c" '#include "plugins/a/x/x.h"'
		put "$2/core/y.c" '#include "plugins/a/x/x.h"'
		put "$2/include/viaduct/y.h" '#include "core/loader.h"'
	}
}
VIOLATIONS_includes=8
sample_stateless() {
	put "$2/plugins/a/lib/s.c" 'static const int table[2] = { 1, 2 };' 'extern const char *const names[];' \
		'const char *const names[] = { "a", "b" };' 'int get(int i);' 'int get(int i) { return table[i]; }'
	[ "$1" = clean ] || put "$2/plugins/a/lib/s.c" 'int get(void);' 'int set = 1;' \
		'int get(void) { static int calls; return ++calls; }'
	compile "$2/plugins/a/lib/s.o" "$2/plugins/a/lib/s.c"
}
VIOLATIONS_stateless=2
sample_stage() {
	put "$2/include/viaduct/datapath.h" '/* Drops it. Worker. */' 'VD_API void vd_pkt_drop(void);' '' \
		'/* Control thread. */' 'VD_API int vd_worker_slot(void);'
	put "$2/plugins/a/x/x_stage.c" 'void vd_pkt_drop(void (*)(void));' 'void x_on_soft(void);' 'void run(void);' \
		'void run(void) { vd_pkt_drop(x_on_soft); }'
	[ "$1" = clean ] || put "$2/plugins/a/x/x_stage.c" 'int vd_worker_slot(void);' 'void x_on_soft(void);' 'extern int counter;' \
		'int run(void);' 'int run(void) { x_on_soft(); return counter + vd_worker_slot(); }'
	mkdir -p "$2/plugins/a/x/.libs" && compile "$2/plugins/a/x/.libs/libx_la-x_stage.o" "$2/plugins/a/x/x_stage.c"
}
VIOLATIONS_stage=3
sample_refusals() {
	put "$2/plugins/ike/v1/refuse.c" 'void f(void) { vd_count("ike_v1.refused.x", 1); ike_out_notify(a); }'
	put "$2/plugins/ike/v1/x.c" 'void f(void) { vd_count("ike_v1.drop.x", 1); ike_out_notify(a, IKE_N_RESPONDER_LIFETIME); }'
	[ "$1" = clean ] || put "$2/plugins/ike/v1/x.c" 'void f(void) { vd_count("ike_v1.refused.x", 1); }' 'void g(void) { ike_out_notify(a); }' \
		'void h(void) { ike_v1_info_notify(a, IKE_N_INVALID_ID_INFORMATION); }'
}
VIOLATIONS_refusals=3
sample_hidden() {
	put "$2/x.c" 'const int x_LTX_vd_plugin = 1;' '__attribute__((visibility("hidden"))) int helper;'
	[ "$1" = clean ] || put "$2/x.c" 'const int x_LTX_vd_plugin = 1;' 'int helper;'
	mkdir -p "$2/plugins/a/.libs" && $cc -shared -fPIC -nostdlib -o "$2/plugins/a/.libs/x.so" "$2/x.c"
}
sample_exports() {
	put "$2/include/viaduct/base.h" '#define VD_API __attribute__((visibility("default")))' 'VD_API int vd_one(int a,' '	int b);' 'VD_API extern const int vd_two[3];'
	put "$2/x.c" 'int vd_one(int a, int b) { return a + b; }' 'const int vd_two[3] = { 1, 2, 3 };'
	[ "$1" = clean ] || put "$2/x.c" 'int vd_one(int a, int b) { return a + b; }' 'const int vd_two[3] = { 1 };' 'int vd_three(void) { return 3; }'
	mkdir -p "$2/core/.libs" && $cc -shared -fPIC -nostdlib -o "$2/core/.libs/libviaduct.so" "$2/x.c"
}
sample_compare() {
	put "$2/core/name.c" 'int f(const char *a) { return strcmp(a, "psk") || memcmp(a, "x", 1); }'
	[ "$1" = clean ] || put "$2/core/key.c" 'struct vd_secret *s;' 'int f(const char *a) { return memcmp(a, vd_secret_data(s), 4); }' \
		'int g(const char *a) { return strcmp(a, user->password); }'
}
VIOLATIONS_compare=2
sample_headers() {
	put "$2/include/viaduct/one.h" '#include <stdint.h>' 'struct vd_one { uint8_t a; };'
	[ "$1" = clean ] || put "$2/include/viaduct/one.h" 'struct vd_one { uint8_t a; };'
}
sample_corelines() {
	mkdir -p "$2/core/crypto"
	seq 7000 >"$2/core/a.c" && seq 5990 >"$2/core/crypto/b.c"
	mkdir -p "$2/core/conf" && seq 4190 >"$2/core/conf/a.c"
	[ "$1" = clean ] || {
		seq 20 >"$2/core/conf/b.c"
		mkdir "$2/core/more"
	}
}
VIOLATIONS_corelines=2
sample_protocols() {
	put "$2/include/viaduct/esp.h" 'struct vd_esp_1 { int ike; };'
	put "$2/core/a.c" '/* like spike, espresso and mischap */ int l2tp_one;'
	put "$2/core/b.c" 'int one;'
	put "$2/tests/lint/core-words" '1 core/a.c'
	[ "$1" = clean ] || {
		put "$2/core/a.c" 'int two; /* fewer than allowed */'
		put "$2/core/b.c" 'int esp_one, vd_ike, Windows, ppp1;'
	}
}
VIOLATIONS_protocols=2
sample_filelines() {
	mkdir -p "$2/plugins/a"
	if [ "$1" = clean ]; then seq 900; else seq 901; fi >"$2/plugins/a/a.c"
}
sample_words() {
	put "$2/core/a.c" '/* does what it says */' '/* workers/ and libraries are fine, a workdir too */'
	put "$2/_build/sub/conf.d/all.yaml" "socket: /wo""rk/x/control.sock"
	[ "$1" = clean ] || {
		put "$2/core/b.c" "/* TO""DO: later */"
		put "$2/tests/b.sh" "cd /wo""rk/somewhere"
	}
}
VIOLATIONS_words=2
sample_scripts() {
	put "$2/tools/a" '#!/bin/bash' 'echo "$1"'
	[ "$1" = clean ] || put "$2/tools/b" '#!/bin/bash' 'if true; then'
}
