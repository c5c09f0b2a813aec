//! What operators see, letter by letter.

use serde_json::json;

use super::*;

#[test]
fn a_status_on_one_screen() {
    let value = json!({
        "version": "0.1.0", "state": "running", "uptime_ms": 3_725_000, "generation": 3, "config": "limpid.yaml",
        "flows": 12, "sessions": 4, "released": 3, "half_open": 1, "flooded": 1, "tproxy": { "entries": 2, "capacity": 65536 },
        "silent_cores": [2],
        "cores": [{ "core": 1, "generation": 3, "flows": 12, "sessions": 4, "half_open": 1, "busy_percent": 3.5 }],
        "ports": [{
            "interface": "intra", "device": "net_null0", "driver": "net_null", "link": "up", "mac": "02:00:00:00:00:01",
            "mtu": 1500, "rx_packets": 10, "tx_packets": 9, "rx_bytes": 1_234_567, "tx_bytes": 999,
            "rx_missed": 0, "rx_errors": 1, "tx_errors": 2, "xstats": [["rx_good", 7]],
        }],
        "counters": [
            { "name": "forwarded", "help": "packets sent on", "value": 5 },
            { "name": "malformed", "help": "packets that make no sense", "value": 0 },
        ],
    });
    let expected = "\
limpid 0.1.0 running for 1h02m, policy 3 from limpid.yaml
12 flows, 4 sessions (3 released), 1 half-open; 2 of 65536 tproxy entries
SYN flood on 1 interface(s) of cores: answering with SYN cookies
core 2 does not answer

core  policy  flows  sessions  half-open  busy
   1       3     12         4          1  3.5%

interface  device     driver    link  mac                 mtu  rx packets       rx  tx packets     tx  missed  errors
intra      net_null0  net_null  up    02:00:00:00:00:01  1500          10  1.23 MB           9  999 B       0       3

counter    value  what it counts
forwarded      5  packets sent on";
    assert_eq!(status(&value, false), expected);
    let all = status(&value, true);
    assert!(all.contains("malformed      0  packets that make no sense"), "{all}");
    assert!(all.ends_with("intra      rx_good               7"), "{all}");
}

#[test]
fn flows_and_what_is_missing_of_them() {
    let flow = json!({
        "core": 1, "id": 7, "protocol": "tcp", "interface": "intra", "source": "10.0.0.2:4000",
        "destination": "198.51.100.1:80", "step": "proxy", "service": "web", "state": "established",
        "client_zone": "intranet", "server_zone": null, "bytes_to_server": 120, "bytes_to_client": 45_678,
        "age_ms": 61_500, "idle_ms": 250,
    });
    let expected = "\
core  id  proto  interface  source         destination      step   service  state        zones         to server  to client    age   idle
   1   7  tcp    intra      10.0.0.2:4000  198.51.100.1:80  proxy  web      established  intranet → -      120 B    45.7 kB  1m01s  250ms
there may be more than these 1: --limit N
1 cores did not answer";
    assert_eq!(flows(&json!({ "flows": [flow], "truncated": true, "silent_cores": 1 })), expected);
    assert_eq!(flows(&json!({ "flows": [], "truncated": false, "silent_cores": 0 })), "no flows");
}

#[test]
fn entries_and_replies() {
    let entry = json!({
        "protocol": "tcp", "local": "10.0.0.1:5000", "foreign": "203.0.113.9:80", "remote": null,
        "flags": ["LISTEN", "ONCE"], "shares": 1, "owner": "uid 0 gid 0", "age_ms": 1500, "expires_in_ms": null,
    });
    let expected = "\
proto  local          foreign         remote  flags        shares   age  expires in  owner
tcp    10.0.0.1:5000  203.0.113.9:80  -       LISTEN,ONCE       1  1.5s           -  uid 0 gid 0";
    assert_eq!(entries(&json!({ "entries": [entry], "total": 1 })), expected);
    assert_eq!(entries(&json!({ "entries": [], "total": 0 })), "no entries");
    let local = "10.0.0.1:5000".parse().expect("an address");
    let said = |value| reply(6, local, &value);
    assert_eq!(said(json!({ "foreign": "203.0.113.9:80" })), "tcp 10.0.0.1:5000 = 203.0.113.9:80");
    assert_eq!(said(json!({ "flags": [] })), "tcp 10.0.0.1:5000 none");
    assert_eq!(said(json!({})), "tcp 10.0.0.1:5000");
}

#[test]
fn amounts_and_times_keep_three_digits() {
    for (exact, shown) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_995, "10.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (u64::MAX, "18447 PB"),
    ] {
        assert_eq!(bytes(&json!(exact)), shown, "{exact}");
    }
    for (ms, shown) in [
        (0, "0ms"),
        (999, "999ms"),
        (59_999, "59.9s"),
        (60_000, "1m00s"),
        (3_600_000, "1h00m"),
        (86_399_999, "23h59m"),
        (90_000_000, "1d01h"),
    ] {
        assert_eq!(duration(&json!(ms)), shown, "{ms}");
    }
    assert_eq!((bytes(&Value::Null), duration(&Value::Null)), ("-".to_owned(), "-".to_owned()));
}
