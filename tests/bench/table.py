#!/usr/bin/env python3
"""The bench's results as a table: medians, ranges, ratios within the same run. See tests/bench/run."""
import json
import statistics
import sys


def read(path):
    runs, missing, failed, settings = {}, {}, {}, {}
    for line in open(path):
        f = line.rstrip("\n").split("\t")
        if f[0] == "set":
            settings[f[1]] = f[2]
            continue
        if f[2] in ("missing", "failed"):
            (missing if f[2] == "missing" else failed)[f[1]] = f[3]
            continue
        leg, what = f[1], f[2]
        octets, seconds, cpu_a, cpu_b = (float(x) for x in f[3:7])
        if min(octets, cpu_a, cpu_b) < 0 or seconds <= 0:
            failed[leg] = "%s: a counter went backwards" % what
            continue
        if what == "setup": # always after the transfers of its leg
            runs[leg]["setup"].append((cpu_a + cpu_b) / octets * 1e3)
            continue
        # Who seals and who opens: A sends up, B sends down.
        seal, open_ = (cpu_a, cpu_b) if what == "up" else (cpu_b, cpu_a)
        r = runs.setdefault(leg, {"mbit": [], "seal": [], "open": [], "setup": [], "octets": 0})
        r["octets"] += octets
        if octets:
            r["mbit"].append(octets * 8 / seconds / 1e6)
            if seal:
                r["seal"].append(seal / octets * 1e9)
            if open_:
                r["open"].append(open_ / octets * 1e9)
    return runs, missing, failed, settings


def summary(values):
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    runs, missing, failed, settings = read(args[0])
    table = {leg: {k: summary(r[k]) for k in ("mbit", "seal", "open", "setup")} for leg, r in runs.items()}
    # What is dropped behind the gateway costs less than what is delivered: like is compared with like.
    for leg, row in table.items():
        base = table.get("blast" if leg.startswith("blast") else "strongswan")
        for k in ("seal", "open", "setup"):
            if base and base[k] and row[k]:
                row[k]["ratio"] = row[k]["median"] / base[k]["median"]
    if "--json" in sys.argv:
        print(json.dumps({"legs": table, "missing": missing, "failed": failed, "settings": settings}, indent=1))
    else:
        print("%-14s %23s %28s %28s %26s" % ("median (range)", "Mbit/s", "seal, CPU s/GB", "open, CPU s/GB", "set-up, CPU ms"))
        for leg, row in table.items():
            cells = []
            for k, form in (("mbit", "%.0f (%.0f-%.0f)"), ("seal", "%.2f (%.2f-%.2f)"), ("open", "%.2f (%.2f-%.2f)"),
                            ("setup", "%.1f (%.1f-%.1f)")):
                v = row[k]
                cell = form % (v["median"], v["min"], v["max"]) if v else "-"
                if v and "ratio" in v:
                    cell += " %5.2fx" % v["ratio"]
                cells.append(cell)
            print("%-14s %23s %28s %28s %26s" % (leg, *cells))
        print("x: of the median of strongSwan in this run; blast legs: of blast's")
        print("; ".join("%s: %s" % kv for kv in settings.items()))
        for leg, why in missing.items():
            print("SKIP %s: %s" % (leg, why))
    for leg, r in runs.items():
        if not r["octets"]:
            failed.setdefault(leg, "no octet arrived")
    for leg, why in failed.items():
        print("FAIL %s: %s" % (leg, why), file=sys.stderr if "--json" in sys.argv else sys.stdout)
    if "--results" in sys.argv:
        for leg, r in runs.items():
            if leg not in failed:
                print("PASS %s: %.1f MB arrived" % (leg, r["octets"] / 1e6))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
