#!/usr/bin/env python3
"""confgen.py SCHEMA DIR SEED: writes one configuration below DIR, made by chance from the options of SCHEMA (viaduct.schema.json).

A good configuration is the beginning; options are added at names that exist, with values that are right, at the edges of what is
allowed, or wrong; keys are taken away or written twice, sections into another file. The same seed makes the same configuration.
"""
import json, os, random, re, sys

ADDRESSES = ["192.0.2.1", "192.0.2.9", "10.71.0.1", "10.71.0.50", "10.71.0.0", "10.71.1.255", "0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255",
             "169.254.1.1", '"::"', '"::1"', '"2001:db8::9"', '"fe80::1"', '"ff02::1"', '"::ffff:10.71.0.9"', "10.71.0", "host.example"]
PREFIXES = ["10.0.0.0/8", "0.0.0.0/0", "10.0.0.0", "10.0.0.1/8", "all", "224.0.0.0/4", "127.0.0.0/8", "192.0.2.0/24", '"2001:db8:8::/48"', '"::/0"',
            '"2001:db8:8::/64"', '"fd00::/127"', "10.0.0.0/33", '"fe80::/64"']
RANGES = ["10.71.0.10-10.71.0.99", "10.72.0.0/24", "10.71.0.99-10.71.0.10", "0.0.0.0/0", "10.0.0.0/8", "10.73.0.1-10.73.0.1", "10.73.0.0/31",
          "192.0.2.0/28", '"2001:db8:9::/64"', '"2001:db8:9::5-2001:db8:9::5"', "224.0.0.0/24", "10.71.0.50-10.71.0.60"]
TEXTS = ["a", '""', '"a b"', "%d", '"%s"', "viaduct%d", '"a/b"', "x" * 15, "x" * 16, "lo", "wan0", "yes", "null", '"é"', '"\\x7f"', "12", "a.example",
         "nobody", "root", "aes256-sha256-modp2048", "aes256gcm16-sha256-modp2048", "aes256-sha1", '".."', "."]
PATHS = ["../users.yaml", "../none.yaml", "..", "/nosuch/folder/file", "../logs/log", "../secrets/long", '""', "../run/other.sock", "/dev/null"]
SECRETS = ["!file ../secrets/long", "!file ../secrets/other", "!file ../secrets/none", "!file ..", "!env NO_SUCH_NAME", "secret", "!file ../secrets/odd",
           "!file ../secrets/user"]
NAMES = ["c", "p", "u", "r", "x", "none", "users/u", "users/x", "radius/x", "l2tp", "xauth", "ikev2", "modern", "own", "Upper"]


def options(node, path=()):
    for key, sub in node.get("properties", {}).items():
        yield from options(sub, path + (key,))
    for sub in node.get("patternProperties", {}).values():
        yield from options(sub, path + ("*",))
    if "properties" not in node and "patternProperties" not in node:
        yield path, node


def scalar(rnd, node, text):
    if rnd.random() < 0.06:
        return rnd.choice(["", "[]", "{}", "{ a: b }", "~", "-1", "1e3", '"1"', "0x10", "99999999999999999999"])
    if "enum" in node:
        return rnd.choice(node["enum"]) if rnd.random() < 0.9 else rnd.choice(node["enum"]) + "x"
    kind = node.get("type")
    if kind == "boolean":
        return rnd.choice(["true", "false", "true", "false", "yes"])
    if kind == "integer":
        low, high = node.get("minimum", 0), node.get("maximum", 2 ** 32)
        return str(rnd.choice([low, high, low + 1, high - 1, (low + high) // 2, low - 1, high + 1]))
    found = re.search(r"\(a time, (\w+)\.\.(\w+)", text)
    if "pattern" in node and "ms|s" in node["pattern"]:
        edges = list(found.groups()) if found else []
        return rnd.choice(edges * 3 + ["30s", "1m", "1h", "0s", "5", "400d"])
    for word, values in (("a secret", SECRETS), ("an address", ADDRESSES), ("prefix such as", PREFIXES), ("or a prefix", RANGES), ("a path", PATHS),
                         ("name of an object", NAMES), ("a name", NAMES), ("users/NAME", NAMES), ("radius/NAME", NAMES)):
        if word in text:
            return rnd.choice(values)
    return rnd.choice(TEXTS)


def value(rnd, node):
    text = node.get("description", "").rpartition("(")[2]
    text = "(" + text
    one = node
    many = "anyOf" in node
    if many:
        one = dict(node["anyOf"][0], description=node.get("description", ""))
    if not many or rnd.random() < 0.4:
        return scalar(rnd, one, text)
    return "[" + ", ".join(v for v in (scalar(rnd, one, text) for _ in range(rnd.choice([0, 1, 2, 2, 9]))) if v) + "]"


def emit(tree):
    if isinstance(tree, dict):
        return "{ " + ", ".join(f"{k}: {emit(v)}" for k, v in tree.items()) + " }"
    if isinstance(tree, Twice):
        return "{ " + ", ".join(f"{k}: {emit(v)}" for k, v in list(tree.tree.items()) * 2) + " }"
    return tree


class Twice:
    def __init__(self, tree):
        self.tree = tree


def main():
    schema, top, seed = json.load(open(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    rnd = random.Random(seed)
    conf = {
        "gateway": {"listen": "192.0.2.1", "user": "nobody"},
        "users": {"u": {"file": "../users.yaml"}},
        "realms": {"r": {"authenticate": "users/u"}},
        "pools": {"p": {"range": "10.71.0.10-10.71.0.99"}},
        "connections": {"c": {"accept": "l2tp", "realm": "r", "pool": "p", "l2tp": {"psk": "!file ../secrets/long"}}},
        "control": {"socket": top + "/run/control.sock"},
    }
    users = {"alice": {"password": "!file secrets/user"}, "bob": {"password": "!file secrets/other", "address": "10.71.0.12"}}
    known = list(options(schema))
    for path, node in rnd.choices(known, k=rnd.choice([1, 1, 2, 3, 5])):
        if path[0] == "control":
            continue
        at = conf
        for i, key in enumerate(path[:-1]):
            if key == "*":
                names = [k for k in at if isinstance(at[k], dict)] or ["x"]
                key = rnd.choice(names) if rnd.random() < 0.8 else rnd.choice(["x", "y", "own", "modern", "Upper", "yes"])
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                break
        if isinstance(at, dict):
            key = path[-1]
            if key == "*":
                key = rnd.choice(["pool_local", "ppp_auth_chap", "l2tp", "net_nat", "ike", "tun", "log_file", "nosuch"])
            at[key] = value(rnd, node)
    if rnd.random() < 0.12:
        conf.setdefault("plugins", {})[rnd.choice(["pool_local", "aaa_users", "net_tun", "net_nat", "esp_userspace", "ppp_link", "ike_port", "net_ra",
                                                   "ppp_auth_mschapv2", "l2tp_guard", "log_file"])] = rnd.choice(["off", "off", "on"])
    if rnd.random() < 0.15:
        users[rnd.choice(["alice", "bob", "eve"])] = {rnd.choice(["password", "nt_hash", "address", "prefix", "pool", "routes_behind", "disabled",
            "session_timeout", "idle_timeout", "pasword"]): rnd.choice(ADDRESSES + PREFIXES + SECRETS + ["1h", "true", "p", "none"])}
    if rnd.random() < 0.12:
        part = rnd.choice(list(conf))
        at = conf[part]
        name = rnd.choice(list(at)) if isinstance(at, dict) and at else None
        if name and isinstance(at[name], dict) and at[name] and rnd.random() < 0.6:
            del at[name][rnd.choice(list(at[name]))]
        elif part != "control":
            del conf[part]
    if rnd.random() < 0.05:
        part = rnd.choice(list(conf))
        if part != "control" and isinstance(conf[part], dict):
            conf[part] = Twice(conf[part])
    os.makedirs(top + "/conf.d", exist_ok=True)
    for name in os.listdir(top + "/conf.d"):
        os.unlink(top + "/conf.d/" + name)
    files = {"conf.d/30-rest.yaml": [], "conf.d/20-more.yaml": []}
    with open(top + "/viaduct.yaml", "w") as f:
        f.write(f"gateway: {emit(conf.pop('gateway', {}))}\n")
    for section, tree in conf.items():
        where = rnd.choice(list(files)) if section != "control" else "conf.d/20-more.yaml"
        files[where].append(f"{section}: {emit(tree)}\n")
        if rnd.random() < 0.02:
            files[rnd.choice(list(files))].append(f"{section}: {emit(tree)}\n")
    for name, lines in files.items():
        with open(f"{top}/{name}", "w") as f:
            f.writelines(lines)
    with open(top + "/users.yaml", "w") as f:
        f.writelines(f"{name}: {emit(tree)}\n" for name, tree in users.items())


main()
