# shellcheck shell=bash disable=SC2154
# rule_NAME ROOT BUILD prints one line per violation; nothing is good. 77 with a reason: it cannot look here.
# Uses $cc, $cxx. Sourced by tests/lint/run.

RULES="includes stateless stage hidden exports compare headers corelines protocols filelines words scripts refusals"

# Sources below the given folders of ROOT, as paths relative to it.
lint_sources() { # ROOT FOLDER...
	local root=$1
	shift
	(cd "$root" && for d; do [ -d "$d" ] && find "$d" -name '*.[ch]' -type f; done | sort)
}

# A plugin includes include/viaduct, its own folder and its family's lib; the core includes no plugin.
rule_includes() {
	local f
	lint_sources "$1" plugins core include | while read -r f; do
		awk -v file="$f" '
			function resolve(dir, p,   n, i, part, out, depth) {
				if (p ~ /^(plugins|core|include|tests|tools)\//) dir = ""
				n = split(dir (dir == "" ? "" : "/") p, part, "/")
				depth = 0
				for (i = 1; i <= n; i++) {
					if (part[i] == "..") depth--
					else if (part[i] != "." && part[i] != "") out[++depth] = part[i]
					if (depth < 0) return "outside"
				}
				p = out[1]
				for (i = 2; i <= depth; i++) p = p "/" out[i]
				return p
			}
			function bad(why) { print file ":" FNR ": " why }
			BEGIN {
				dir = file; sub(/\/[^\/]*$/, "", dir)
				split(file, at, "/")
				# A family of one plugin may lie in the folder of the family.
				own = dir == at[1] "/" at[2] ? dir "/" : at[1] "/" at[2] "/" at[3] "/"
				lib = at[1] "/" at[2] "/lib/"
			}
			/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
				quoted = $0 ~ /include[ \t]*"/
				p = $0; sub(/^[^<"]*[<"]/, "", p); sub(/[>"].*$/, "", p)
				if (p == "config.h" || p == "build_id.h") next
				target = quoted ? resolve(dir, p) : p
				if (at[1] == "plugins") {
					if (!quoted && p == "ev.h") bad("includes <ev.h>: the loop is behind <viaduct/loop.h>")
					if (target ~ /^viaduct\//) next
					if (!quoted && p !~ /^(core|plugins|tests)\//) next
					if (index(target, lib) != 1 && (at[3] == "lib" || index(target, own) != 1))
						bad("includes " p ": only <viaduct/...>, its own folder and its family\047s lib")
				} else if (at[1] == "include") {
					if (quoted || p ~ /^(core|plugins|tests)\//) bad("a public header includes " p)
				} else if (target ~ /^(plugins|tests)\//)
					bad("the core includes " p)
			}' "$1/$f"
	done
}

# A family's lib is linked into each of its plugins: mutable statics there would exist once per plugin.
rule_stateless() {
	local objs=()
	mapfile -t objs < <(find "$2"/plugins/*/lib -name '*.o' 2>/dev/null | sort)
	[ ${#objs[@]} -gt 0 ] || {
		echo "no objects of a plugins/*/lib in this build folder"
		return 77
	}
	objdump -t "${objs[@]}" | awk -v build="$2/" '
		/:     file format/ { file = $1; sub(/:$/, "", file); if (index(file, build) == 1) file = substr(file, length(build) + 1) }
		/ O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ && !/ O \.data\.rel\.ro/ {
			name = $NF
			if (name !~ /^(__odr_asan|__asan|__ubsan|__tsan|__gcov)/) print file ": " name " is mutable state in a lib"
		}'
}

# What stage code may import, besides other stage code: the worker functions of the public headers, these, and the
# addresses of functions named x_on_y: those it never calls, but hands to vd_worker_tell() for the control thread.
LINT_STAGE_ALLOWED='memcpy memmove memset memcmp __memcpy_chk __memmove_chk __memset_chk strlen
	vd_same vd_wipe CRYPTO_memcmp OPENSSL_cleanse __errno_location __stack_chk_fail _GLOBAL_OFFSET_TABLE_
	EVP_CIPHER_CTX_ctrl EVP_EncryptInit_ex EVP_EncryptInit_ex2 EVP_EncryptUpdate EVP_EncryptFinal_ex
	EVP_DecryptInit_ex EVP_DecryptInit_ex2 EVP_DecryptUpdate EVP_DecryptFinal_ex EVP_CipherInit_ex EVP_CipherInit_ex2
	EVP_CipherUpdate EVP_CipherFinal_ex EVP_Cipher EVP_MAC_init EVP_MAC_update EVP_MAC_final
	recvmmsg recvmsg recv read readv sendmmsg sendmsg send sendto write writev epoll_wait poll ppoll clock_gettime
	epoll_ctl eventfd_read eventfd_write setsockopt'
lint_worker_functions() { # ROOT
	# shellcheck disable=SC2046
	awk '
		/\/\*/ { comment = ""; open = 1 }
		open { comment = comment " " $0 }
		/\*\// { open = 0; if ($0 !~ /VD_API/) next }
		/VD_API .*\(/ {
			name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
			all = FILENAME ~ /\/(bytes|addr)\.h$/
			if (all || comment ~ /[Ww]orker[. (]/) print name
		}
		/^$/ { comment = "" }' $(find "$1/include/viaduct" -name bytes.h -o -name addr.h -o -name datapath.h -o -name record.h)
}
rule_stage() {
	local objs=() f dir base o
	while read -r f; do
		dir=${f%/*} base=${f##*/}
		base=${base%.c}
		while read -r o; do objs+=("$o"); done < <(find "$2/$dir" -name "*-$base.o" -path '*/.libs/*' 2>/dev/null)
	done < <(cd "$1" && find plugins core/datapath \( -path 'plugins/*_stage.c' -o -path 'core/datapath/w_*.c' \) 2>/dev/null | sort)
	[ ${#objs[@]} -gt 0 ] || {
		echo "no stage objects in this build folder"
		return 77
	}
	{
		tr -s ' \t' '\n\n' <<<"$LINT_STAGE_ALLOWED"
		lint_worker_functions "$1"
		nm --defined-only "${objs[@]}" | awk '$2 ~ /^[TDRBV]$/ { print $3 }'
	} | sort -u >"$tmp/allowed"
	for o in "${objs[@]}"; do
		objdump -r "$o" | awk '$2 ~ /PLT32|CALL|JUMP/ { sub(/[-+]0x.*/, "", $3); print $3 }' | sort -u >"$tmp/called"
		nm -u "$o" | awk '{ print $2 }' | grep -vE '^__(asan|ubsan|tsan|lsan|odr_asan|sanitizer)|^__gcov' | sort -u |
			comm -23 - "$tmp/allowed" >"$tmp/imported"
		comm -12 "$tmp/imported" "$tmp/called" | sed "s|^|${o#"$2"/}: stage code calls |"
		comm -23 "$tmp/imported" "$tmp/called" | grep -v '_on_' | sed "s|^|${o#"$2"/}: stage code refers to |"
	done
}

# A plugin exports its descriptor and nothing else.
rule_hidden() {
	local so name out libs=()
	mapfile -t libs < <(find "$2"/plugins -path '*/.libs/*.so' 2>/dev/null | sort)
	[ ${#libs[@]} -gt 0 ] || {
		echo "no plugins in this build folder"
		return 77
	}
	for so in "${libs[@]}"; do
		name=${so##*/}
		name=${name%.so}
		out=$(nm -D --defined-only "$so" | awk '{ print $3 }' | grep -vE '^__(asan|ubsan|odr_asan|lsan|tsan)')
		[ "$out" = "${name}_LTX_vd_plugin" ] ||
			printf '%s exports %s instead of just %s_LTX_vd_plugin\n' "${so#"$2"/}" "$(tr '\n' ' ' <<<"$out")" "$name"
	done
}

# libviaduct exports exactly what the public headers, and core/daemon.h for main, declare.
rule_exports() {
	local lib=$2/core/.libs/libviaduct.so h
	[ -e "$lib" ] || {
		echo "no core/.libs/libviaduct.so in this build folder"
		return 77
	}
	for h in "$1"/include/viaduct/*.h "$1"/core/daemon.h; do
		[ -e "$h" ] && $cc -E -P -I"$1/include" -I"$2/include" -I"$2" -I"$1" -DVD_IN_TREE "$h"
	done | tr '\n' ' ' | sed 's/;/;\n/g; s/[{}]/\n/g' |
		sed -n 's/.*visibility("default").* \**\(vd_[a-z0-9_]*\) *\((.*\|\[.*\)\{0,1\};.*/\1/p' | sort -u >"$tmp/declared"
	nm -D --defined-only "$lib" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | grep -vE '^__(asan|ubsan|odr_asan|lsan|tsan)' | sort -u >"$tmp/exported"
	comm -23 "$tmp/declared" "$tmp/exported" | sed 's/$/ is declared in a public header but not exported/'
	comm -13 "$tmp/declared" "$tmp/exported" | sed 's/$/ is exported but not declared in a public header/'
}

# Secrets and MACs compare in constant time: no memcmp in a file that handles secrets, no strcmp on one anywhere.
rule_compare() {
	local f
	lint_sources "$1" core plugins | while read -r f; do
		if grep -qE 'struct vd_secret|vd_same *\(|vd_wipe *\(' "$1/$f"; then
			grep -nE '\b(memcmp|bcmp) *\(' "$1/$f" | sed "s|^|$f:|; s|$| -- memcmp in a file with secrets: vd_same|"
		fi
		grep -nE '\bstrn?(case)?cmp *\([^;]*\b[a-z_>.-]*(psk|secret|passw|nt_hash|authenticator|skeyid)[a-z_]*\b' "$1/$f" |
			grep -vE 'cmp *\([^;]*"' | # against a word that stands in the source: no secret
			sed "s|^|$f:|; s|$| -- strcmp on a secret: vd_same|"
	done
}

# Each public header compiles alone, as C11 and as C++17.
rule_headers() {
	local h n=0 out
	[ -e "$1/include/viaduct/abi.h" ] || [ -e "$2/include/viaduct/abi.h" ] || [ ! -e "$1/include/viaduct/plugin.h" ] || {
		echo "no include/viaduct/abi.h in this build folder"
		return 77
	}
	for h in "$1"/include/viaduct/*.h; do
		[ -e "$h" ] || continue
		n=$((n + 1))
		h=${h##*/}
		out=$(echo "#include <viaduct/$h>" | $cc -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$1/include" -I"$2/include" -I"$2" -x c - 2>&1) ||
			echo "$h alone in C11: $(grep -m1 error <<<"$out")"
		command -v "${cxx%% *}" >/dev/null || continue
		out=$(echo "#include <viaduct/$h>" | $cxx -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$1/include" -I"$2/include" -I"$2" -x c++ - 2>&1) ||
			echo "$h alone in C++17: $(grep -m1 error <<<"$out")"
	done
	[ "$n" -gt 0 ] || echo "no public headers found"
}

# The core stays small: what is not needed by two plugins belongs into one.
# What stands directly in core/ is its kernel; its folders are subjects of their own, with limits of their own (ARCHITECTURE.md
# says why). crypto/ and datapath/ have none.
rule_corelines() {
	local part n limit
	for part in conf:4200 connect:1000 control:1900 object:1200 quirk:200 record:700 report:700 session:2700 system:4900; do
		limit=${part#*:} part=${part%%:*}
		[ -d "$1/core/$part" ] || continue
		n=$(find "$1/core/$part" -maxdepth 1 -name '*.[ch]' -exec cat {} + | wc -l)
		[ "$n" -le "$limit" ] || echo "core/${part#.} has $n lines, more than $limit"
	done
	find "$1/core" -mindepth 1 -maxdepth 1 -type d ! -name conf ! -name connect ! -name control ! -name object ! -name quirk ! -name record ! -name report ! -name session ! -name system ! -name crypto \
		! -name datapath -printf 'core/%f is a new part of the core: give it a limit here\n'
}

# The core knows no protocol: the words of one stand in no source of core/ and include/, except in headers named after a protocol.
# core-words counts, file by file, those that are left: no file may have more, and one that has fewer lowers its line.
rule_protocols() {
	local words='l2tp|ppp|lcp|ipcp|xauth|chap|eap|ike|isakmp|esp|radius|windows|apple'
	command -v perl >/dev/null || { echo "no perl" && return 77; }
	(cd "$1" && find core include \( -name '*.[ch]' -o -name '*.inc' \) -type f ! -path 'include/viaduct/esp.h' ! -path 'include/viaduct/ike.h' \
		! -path 'include/viaduct/link.h' ! -path 'include/viaduct/eap.h' 2>/dev/null | sort | perl -e '
		my ($words, $list) = @ARGV;
		my (%allowed, %count);
		if (open(my $f, "<", $list)) { while (<$f>) { $allowed{$2} = $1 if /^(\d+) (\S+)$/ } }
		while (my $name = <STDIN>) {
			chomp($name);
			open(my $f, "<", $name) or next;
			while (<$f>) { $count{$name}++ while /(?<![A-Za-z])(?:$words)(?![A-Za-z])/gi }
		}
		for (sort keys %count) { print "$_ names protocols $count{$_} times, $list allows ", $allowed{$_} || 0, "\n" if $count{$_} > ($allowed{$_} || 0) }
		for (sort keys %allowed) { print "$_ names protocols ", $count{$_} || 0, " times: lower its line in $list\n" if ($count{$_} || 0) < $allowed{$_} }
		' "$words" tests/lint/core-words)
}

rule_filelines() {
	local f n
	lint_sources "$1" core plugins include tests tools | while read -r f; do
		n=$(wc -l <"$1/$f")
		[ "$n" -le 900 ] || echo "$f has $n lines: usually two subjects"
	done
}

# Nothing is left for later in code, and the project speaks of itself alone; what a build makes (distcheck's _build lies
# inside the sources) holds the paths it was made for. The words are put together from pieces so
# that this file does not hold them.
rule_words() {
	local later="TO""DO|FIX""ME|X""XX|not (yet )?imple""mented|\\bst""ub\\b"
	local place="/wo""rk/|\\.libr""ary\\b|\\.\\./sha""red|DEVELO""PERS\\.md|COMP""ASS|/fa""rm/"
	(cd "$1" && {
		grep -rnIE "$later" --include='*.[ch]' --include='*.sh' --include='*.inc' core plugins include tools 2>/dev/null
		find . \( -name .git -o -name 'build*' -o -name _build -o -name autom4te.cache -o -name m4 \) -prune -o -type f \
			\( -name '*.[ch]' -o -name '*.sh' -o -name '*.md' -o -name '*.inc' -o -name '*.ac' -o -name '*.am' -o -name '*.yaml' \
			-o -name '*.py' -o -name README -o -path './tools/*' -o -path './tests/*' \) -print |
			grep -vE '/(\.libs|\.deps)/|\.(l?o|la|log|trs|so)$' | xargs -r grep -nIE "$place"
	} | cut -c1-160)
}

# Every script parses, and shellcheck has nothing to say.
rule_scripts() {
	local f list=()
	mapfile -t list < <(cd "$1" && find . \( -name .git -o -name 'build*' -o -name _build -o -name autom4te.cache -o -name .libs \) -prune -o -type f \
		\( -path './tools/*' -o -path './tests/*' -o -path './.ci/*' \) -size -200k -print | while read -r f; do
		case $f in *.sh) echo "$f" ;; *.[cho] | *.lo | *.la | *.inc | *.py | *.yaml) ;; *) head -c 20 "$f" | grep -qaE '^#!(/usr)?/bin/(env )?(ba)?sh' && echo "$f" ;; esac
	done)
	for f in "${list[@]}"; do
		bash -n "$1/$f" 2>&1
		command -v shellcheck >/dev/null || continue
		(cd "$1" && shellcheck -x -S warning -e SC1091,SC2034,SC2317 -f gcc "$f")
	done
}

# What refuses an exchange of IKE goes through refuse.c, which wants the counter, what the other side is told, and a report.
rule_refusals() {
	(cd "$1" && [ -d plugins/ike/v1 ] && grep -nE 'vd_count\("ike_v1\.refused\.|ike_out_notify\(|ike_v1_info_notify\(.*IKE_N_(INVALID|NO_PROPOSAL|PAYLOAD|AUTHENTICATION)' \
		plugins/ike/v1/*.c | grep -vE '^plugins/ike/v1/(refuse|info)\.c:|IKE_N_(RESPONDER_LIFETIME|INITIAL_CONTACT)' | sed 's/$/ <- a refusal without a report: refuse.c/')
}
