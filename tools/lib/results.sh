# shellcheck shell=bash
# Results of tests: one line each, "section<TAB>PASS|FAIL|SKIP|TIME<TAB>text", and the table at the end.

vd_results_begin() { # FILE
	VD_RESULTS=$1
	: >"$VD_RESULTS"
}
vd_result() { # SECTION PASS|FAIL|SKIP TEXT [COUNT]
	local n=${4:-1}
	while [ "$n" -gt 0 ]; do
		printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$VD_RESULTS"
		n=$((n - 1))
	done
}
vd_result_time() { printf '%s\tTIME\t%s\n' "$1" "$2" >>"$VD_RESULTS"; }
vd_results_failed() { # [SECTION]: true when something failed
	awk -F '\t' -v s="${1:-}" '$2 == "FAIL" && (s == "" || $1 == s) { bad = 1 } END { exit !bad }' "$VD_RESULTS"
}
# Lines "PASS x", "FAIL x: why", "SKIP x: why" from standard input; all else is passed over.
vd_results_lines() { # SECTION
	sed -n "s/^\(PASS\|FAIL\|SKIP\) \(.*\)/$1\t\1\t\2/p" >>"$VD_RESULTS"
}
# The outcome of "make check": each Check program counts its own test cases, each script its own lines. A test that should have
# run and has no result failed.
vd_results_automake() { # SECTION BUILD-FOLDER TEST...
	local trs log name result checks failures errors before
	while read -r trs; do
		log=${trs%.trs}.log
		name=${trs#"$2"/}
		name=${name%.trs}
		result=$(sed -n 's/^:test-result: \([A-Z]*\).*/\1/p' "$trs" | head -n 1)
		before=$(wc -l <"$VD_RESULTS")
		while read -r checks failures errors; do
			vd_result "$1" PASS "$name" $((checks - failures - errors))
			[ $((failures + errors)) = 0 ] ||
				while read -r text; do vd_result "$1" FAIL "$name: $text"; done < <(sed -n 's/^[^ ]*:[0-9]*:[FE]:\(.*\)/\1/p' "$log")
		done < <(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' "$log" 2>/dev/null)
		if [ "$(wc -l <"$VD_RESULTS")" = "$before" ]; then
			vd_results_lines "$1" <"$log"
		else
			vd_results_lines "$1" < <(grep '^SKIP ' "$log") # a part of it
		fi
		case $result in
		PASS) [ "$(wc -l <"$VD_RESULTS")" != "$before" ] || vd_result "$1" PASS "$name" ;;
		SKIP) vd_result "$1" SKIP "$name: $(tail -n 1 "$log")" ;;
		*)
			tail -n +$((before + 1)) "$VD_RESULTS" | grep -q "	FAIL	" ||
				vd_result "$1" FAIL "$name: $(grep -m 1 -E 'Sanitizer|runtime error' "$log" || tail -n 1 "$log")"
			;;
		esac
	done < <(find "$2" -name '*.trs' | LC_ALL=C sort)
	for name in "${@:3}"; do
		[ -e "$2/$name.trs" ] || vd_result "$1" FAIL "$name: it did not run"
	done
}
vd_results_table() {
	awk -F '\t' -v bold="$VD_BOLD" -v red="$VD_RED" -v yellow="$VD_YELLOW" -v plain="$VD_PLAIN" '
		!($1 in seen) { seen[$1] = 1; order[++n] = $1 }
		$2 == "TIME" { time[$1] = $3; next }
		{ count[$1, $2]++; total[$2]++ }
		$2 == "FAIL" { fails = fails "  " red "failed " plain " " $1 ": " $3 "\n" }
		$2 == "SKIP" { skips = skips "  " yellow "skipped" plain " " $1 ": " $3 "\n" }
		END {
			printf "\n%s%-12s %8s %8s %8s %8s%s\n", bold, "section", "passed", "failed", "skipped", "seconds", plain
			for (i = 1; i <= n; i++)
				printf "%-12s %8d %8d %8d %8d\n", order[i], count[order[i], "PASS"], count[order[i], "FAIL"], count[order[i], "SKIP"], time[order[i]]
			printf "%s%s\n", fails, skips
			printf "%d passed, %d failed, %d skipped\n", total["PASS"], total["FAIL"], total["SKIP"]
		}' "$VD_RESULTS"
}
