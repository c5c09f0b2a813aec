//! HTTP through the gateway with real programs: curl, wget, nc, a WebSocket client; nginx and Apache with WebDAV behind one
//! address by method; slow clients beside honest ones; and the table of requests, seen by both servers.
//!
//! Ports 9000 to 9099 of ns2 are taken by these services: 9000 nginx (and Apache behind it by method), 9002 a WebSocket server, 9010
//! nginx and 9011 Apache with everything at its defaults. The services are put into the gateway by a reload.

use crate::address::Family;
use crate::host::script;
use crate::limits;
use crate::process::Process;
use crate::servers::page;
use crate::wait;
use crate::world::{Middle, World};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Clients that hold on to something at once.
const SLOW: &str = "100";
/// Sessions at once.
const CROWD: u64 = 500;

type Scenario = fn(&World, &Web, Family);

/// What holds without a gateway, too.
const AS_WITHOUT: [(&str, Scenario); 5] = [
    ("keep-alive", keep_alive),
    ("heads and ranges", heads_and_ranges),
    ("pipelining", pipelining),
    ("websocket", websocket),
    ("crowd", crowd),
];

const OURS: [(&str, Scenario); 3] =
    [("uploads", uploads), ("methods choose servers", methods_choose_servers), ("what is refused", refused)];

#[test]
fn http_kernel_ipv4() {
    play(Middle::Kernel, Family::V4, &[&AS_WITHOUT]);
}

#[test]
fn http_programs_ipv4() {
    play(Middle::AfPacket, Family::V4, &[&AS_WITHOUT, &OURS]);
}

#[test]
fn http_programs_ipv6() {
    play(Middle::AfPacket, Family::V6, &[&AS_WITHOUT, &OURS]);
}

fn play(middle: Middle, family: Family, scenarios: &[&[(&str, Scenario)]]) {
    let Some(world) = World::new(middle) else { return };
    let web = Web::start(&world, family);
    for (name, scenario) in scenarios.concat() {
        eprintln!("{name} ...");
        scenario(&world, &web, family);
    }
}

/// The servers in ns2, and their logs.
struct Web {
    nginx: Process,
    apache: Process,
    _websocket: Process,
    directory: PathBuf,
}

impl Web {
    fn start(world: &World, family: Family) -> Web {
        if world.middle() != Middle::Kernel {
            reconfigure(world, family);
        }
        let directory = world.server.namespace.directory().join("web");
        for folder in ["www", "locks"] {
            fs::create_dir_all(directory.join(folder)).expect("the world's directory takes another");
        }
        fs::write(directory.join("www/index.html"), page("web")).expect("a page");
        fs::write(directory.join("www/large"), vec![b'x'; 8 << 20]).expect("a large file");
        let nginx = write(&directory, "nginx.conf", &nginx(&directory));
        let errors = directory.join("nginx.err").display().to_string();
        let nginx = world.server.namespace.start(&["nginx", "-e", &errors, "-c", &nginx]);
        let apache = write(&directory, "apache.conf", &apache(&directory));
        let apache = world.server.namespace.start(&["apache2", "-X", "-f", &apache]);
        let mut websocket =
            world.server.namespace.start(&["/usr/bin/python3", &script("http.py"), "websocket-server", "9002"]);
        websocket.wait_for("listening", limits::SETTLE);
        let web = Web { nginx, apache, _websocket: websocket, directory };
        for port in [9000, 9001] {
            let url = format!("http://127.0.0.1:{port}/index.html");
            wait::until(&format!("{url}\n{}", web.said()), limits::SETTLE, || {
                let curl = world.server.namespace.run(&["curl", "-sS", "-m", "2", &url]);
                (curl.stdout == page("web")).then_some(())
            });
        }
        web
    }

    fn said(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        format!("{}{}{}{}", self.nginx.stderr(), self.apache.stderr(), log("nginx.err"), log("apache.err"))
    }

    /// Lines `ADDRESS PORT-OF-SERVER REQUEST-LINE` of a server's log.
    fn log(&self, server: &str) -> Vec<String> {
        let log = fs::read_to_string(self.directory.join(format!("{server}.log"))).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn wait_for(&self, server: &str, line: &str) {
        wait::until(&format!("{line:?} in {server}'s log:\n{:?}", self.log(server)), limits::VISIBLE, || {
            self.log(server).iter().any(|seen| seen == line).then_some(())
        });
    }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a configuration");
    path.display().to_string()
}

fn nginx(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx.err;
         events {{ worker_connections 4096; }}
         http {{
             log_format seen '$remote_addr $server_port $request';
             access_log {directory}/nginx.log seen;
             default_type text/plain; keepalive_timeout 60; client_max_body_size 100m;
             client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
             fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
             server {{ listen 9000; listen [::]:9000; listen 9010; listen [::]:9010; root {directory}/www; }}
         }}"
    )
}

fn apache(directory: &Path) -> String {
    let modules = ["mpm_event", "authz_core", "dav", "dav_fs", "dir", "mime"];
    let load =
        modules.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
    let directory = directory.display();
    format!(
        "{load}
         ServerName web
         PidFile {directory}/apache.pid
         DefaultRuntimeDir {directory}
         Mutex file:{directory}
         TypesConfig /dev/null
         Listen 9001
         Listen 9011
         ErrorLog {directory}/apache.err
         LogFormat \"%a %{{local}}p %r\" seen
         CustomLog {directory}/apache.log seen
         DocumentRoot {directory}/www
         DavLockDB {directory}/locks/db
         KeepAlive On
         <Directory {directory}/www>
             Require all granted
             Dav On
         </Directory>
        "
    )
}

const METHODS: &str = "[GET, HEAD, POST, OPTIONS, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK]";

/// Puts the services into the gateway.
fn reconfigure(world: &World, family: Family) {
    let config = world.gateway().config();
    let text = fs::read_to_string(config).expect("the configuration");
    let apache = family.server_at(9001);
    let services = format!(
        "services:
  web:
    proxy: http
    accept: immediate
    http:
      methods: {METHODS}
      upgrade: websocket
      servers:
        - {{ methods: [PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK], server: \"{apache}\" }}
      times: {{ request: 5s, body_grace: 5s, body_rate: 200000 }}
  cases: {{ proxy: http, accept: mirror }}
"
    );
    let text = replaced(&text, "services:\n", &services);
    let text = replaced(&text, "inbound_services: [plug, ", "inbound_services: [web, cases, plug, ");
    let listeners = "  - { port: 50900, service: web }\n  - { port: 50901, service: cases }\n";
    let text = replaced(&text, "listeners:\n", &format!("listeners:\n{listeners}"));
    let first = "  -A PRns1 -p tcp --dport 80 -j TPROXY --on-port 50000\n";
    let rules = "  -A PRns1 -p tcp --dport 9000:9009 -j TPROXY --on-port 50900
  -A PRns1 -p tcp --dport 9010:9019 -j TPROXY --on-port 50901\n";
    let text = replaced(&text, first, &format!("{rules}{first}"));
    fs::write(config, text).expect("another configuration");
    world.gateway().cli(&world.router, &["reload"]).successful();
}

#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "the gateway's configuration has no {old:?}");
    text.replacen(old, new, 1)
}

fn url(family: Family, port: u16, path: &str) -> String {
    format!("http://{}{path}", family.server_at(port))
}

#[track_caller]
fn curl(world: &World, words: &[&str]) -> String {
    world.client.namespace.run(&[&["curl", "-sS", "-g", "-m", "30"], words].concat()).successful().stdout
}

#[track_caller]
fn raw(world: &World, family: Family, port: u16, what: &str, words: &[&str]) -> Value {
    let (server, port) = (family.server().to_string(), port.to_string());
    let script = script("http.py");
    let words = [&["/usr/bin/python3", &script, what, &server, &port], words].concat();
    world.client.namespace.run(&words).successful().json()
}

fn keep_alive(world: &World, web: &Web, family: Family) {
    let page_url = url(family, 9000, "/index.html");
    let mut words = vec!["-w", "%{stderr}%{num_connects}\\n"];
    words.extend([page_url.as_str(); 20]);
    let words = [&["curl", "-sS", "-g", "-m", "30"], &words[..]].concat();
    let curl = world.client.namespace.run(&words).successful();
    assert_eq!(curl.stdout, page("web").repeat(20));
    let connects: u32 = curl.stderr.lines().filter_map(|line| line.trim().parse::<u32>().ok()).sum();
    assert_eq!(connects, 1, "{}", curl.stderr);
    web.wait_for("nginx", &format!("{} 9000 GET /index.html HTTP/1.1", family.client()));
    let wget = world.client.namespace.run(&["wget", "-q", "-O", "-", "--no-proxy", "-T", "20", &page_url]).successful();
    assert_eq!(wget.stdout, page("web"));
    let large = curl_size(world, &url(family, 9000, "/large"));
    assert_eq!(large, "8388608");
}

fn curl_size(world: &World, url: &str) -> String {
    curl(world, &["-o", "/dev/null", "-w", "%{size_download}", url])
}

fn heads_and_ranges(world: &World, _: &Web, family: Family) {
    let page_url = url(family, 9000, "/index.html");
    let head = curl(world, &["-I", &page_url]);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nContent-Length: "), "{head}");
    assert_eq!(curl(world, &["-r", "3-6", &page_url]), page("web")[3..7]);
    assert_eq!(curl(world, &["-w", "%{http_code}", "-o", "/dev/null", "-0", &page_url]), "200");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("nginx names it").trim();
    let unchanged = format!("If-None-Match: {tag}");
    assert_eq!(curl(world, &["-w", "%{http_code}", "-H", &unchanged, &page_url, &page_url]), "304304");
}

fn uploads(world: &World, web: &Web, family: Family) {
    let file = world.directory().join("upload");
    let bytes: Vec<u8> = (0..5_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&file, &bytes).expect("a file");
    let file = file.display().to_string();
    let to = |name: &str| url(family, 9000, name);
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    for (name, extra) in [
        ("/plain", &["-H", "Expect:"][..]),
        ("/expected", &["-H", "Expect: 100-continue", "--expect100-timeout", "20"]),
        ("/chunked", &["-H", "Transfer-Encoding: chunked"]),
    ] {
        let created = curl(world, &[&status[..], &["-T", &*file], extra, &[&*to(name)]].concat());
        assert_eq!(created, "201", "{name}: {}", web.said());
        let stored = fs::read(web.directory.join("www").join(&name[1..])).expect("Apache has stored it");
        assert!(stored == bytes, "{name}: {} bytes", stored.len());
    }
    assert_eq!(curl(world, &[&status[..], &["-d", "a=b", &to("/index.html")]].concat()), "405", "nginx posts nothing");
}

/// The README's example: nginx is read from, Apache is written to, at one address.
fn methods_choose_servers(world: &World, web: &Web, family: Family) {
    let to = |name: &str| url(family, 9000, name);
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let method = |name: &str, path: &str, extra: &[&str]| {
        curl(world, &[&status[..], &["-X", name], extra, &[&to(path)]].concat())
    };
    assert_eq!(method("MKCOL", "/folder", &[]), "201");
    let moved = format!("Destination: {}", to("/folder/page"));
    assert_eq!(method("COPY", "/index.html", &["-H", &moved]), "201");
    assert_eq!(curl(world, &[&to("/folder/page")]), page("web"), "nginx reads what Apache has written");
    let listing = curl(world, &["-X", "PROPFIND", "-H", "Depth: 1", &to("/folder/")]);
    assert!(listing.contains("/folder/page"), "{listing}");
    assert_eq!(method("DELETE", "/folder/", &[]), "204");
    // All over one connection of the client.
    let page_url = to("/index.html");
    let words = ["-o", "/dev/null", "-w", "%{http_code} %{num_connects}\\n", &*page_url];
    let next = ["--next", "-sS", "-g", "-X", "PROPFIND", "-H", "Depth: 0"];
    let both = curl(world, &[&words[..], &next, &words[..], &["--next", "-sS", "-g"], &words[..]].concat());
    assert_eq!(both, "200 1\n207 0\n200 0\n");
    let client = family.client();
    web.wait_for("apache", &format!("{client} 9001 MKCOL /folder HTTP/1.1"));
    assert!(web.log("nginx").iter().all(|line| !line.contains("PROPFIND")), "nginx sees no WebDAV");
    assert!(
        web.log("apache").iter().all(|line| !line.contains(&format!("{client} 9001 GET"))),
        "Apache is not read from"
    );
}

fn refused(world: &World, web: &Web, family: Family) {
    let page_url = url(family, 9000, "/index.html");
    let before = world.counter("http_method_denied");
    assert_eq!(curl(world, &["-o", "/dev/null", "-w", "%{http_code}", "-X", "TRACE", &page_url]), "403");
    assert_eq!(world.counter("http_method_denied"), before + 1);
    let bad = "printf 'GET / HTTP/1.1\\nHost: a\\n\\n' | nc -N -w 5 \"$0\" 9000";
    let server = family.server().to_string();
    let answer = world.client.namespace.run(&["sh", "-c", bad, &server]).successful().stdout;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("RFC 9112, 2.2"), "{answer}");
    assert!(web.log("nginx").iter().all(|line| !line.contains("TRACE")), "nginx sees nothing of it");
    let nobody = url(family, 9003, "/");
    assert_eq!(curl(world, &["-o", "/dev/null", "-w", "%{http_code}", &nobody]), "502", "nobody listens there");
}

fn pipelining(world: &World, _: &Web, family: Family) {
    assert_eq!(raw(world, family, 9000, "pipeline", &["50"])["answers"], 50);
    let request = "GET /index.html HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n";
    let piped = format!("printf '{request}{request}{request}' | nc -N -w 10 \"$0\" 9000");
    let server = family.server().to_string();
    let answer = world.client.namespace.run(&["sh", "-c", &piped, &server]).successful().stdout;
    assert_eq!(answer.matches(&page("web")).count(), 3, "{answer}");
}

fn websocket(world: &World, _: &Web, family: Family) {
    let result = raw(world, family, 9002, "websocket", &[]);
    assert_eq!(result["accepted"], true, "{result}");
    assert_eq!(result["echoed"], serde_json::json!([true, true, true]), "{result}");
    // A service that does not permit it passes the request without the wish.
    let wished = ["-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(curl(world, &[&wished[..], &[&url(family, 9010, "/index.html")]].concat()), "200");
}

fn crowd(world: &World, _: &Web, family: Family) {
    let result = raw(world, family, 9000, "crowd", &[&CROWD.to_string()]);
    assert_eq!(result["answered"], 2 * CROWD, "{result}");
}

#[test]
fn http_slow_clients_harm_nobody() {
    let family = Family::V4;
    let Some(world) = World::new(Middle::AfPacket) else { return };
    let _web = Web::start(&world, family);
    for (kind, status) in [("head", Some("408")), ("body", Some("408")), ("reader", None)] {
        let result = raw(&world, family, 9000, "slow", &[kind, SLOW]);
        assert_eq!(result["ended"].as_u64(), SLOW.parse().ok(), "{kind}: {result}");
        assert!(result["honest"].as_u64().is_some_and(|honest| honest >= 5), "{kind}: {result}");
        if let Some(status) = status {
            assert!(result["statuses"][status].as_u64().is_some_and(|count| count > 0), "{kind}: {result}");
        }
    }
    assert!(world.counter("http_request_timeout") >= 100 && world.counter("http_reader_too_slow") >= 1);
}

/// Whatever of the table passes is seen by each server as exactly the requests that it says; of the rest, nothing.
#[test]
fn http_table_is_seen_by_servers_as_it_says() {
    let family = Family::V4;
    let Some(world) = World::new(Middle::AfPacket) else { return };
    let web = Web::start(&world, family);
    let cases = table();
    assert!(cases.len() >= 200, "{}", cases.len());
    let file = world.directory().join("cases.json");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let said: Vec<String> = cases.iter().map(|case| hex(&case.says)).collect();
    fs::write(&file, serde_json::to_string(&said).expect("it is JSON")).expect("a file of cases");
    let file = file.display().to_string();
    for (server, port) in [("nginx", 9010), ("apache", 9011)] {
        let results = raw(&world, family, port, "cases", &[&file]);
        let marks = results["results"].as_array().expect("results");
        assert!(
            marks.iter().all(|result| result["marked"] == "HTTP/1.1 404"),
            "{server}: every mark is answered: {results}"
        );
        let mark = format!("GET /mark-{} HTTP/1.1", cases.len() - 1);
        web.wait_for(server, &format!("{} {port} {mark}", family.client()));
        let seen = between_marks(&web.log(server), &format!("{} {port} ", family.client()));
        let mut differ = Vec::new();
        let mut owed: Option<&[String]> = None;
        for (case, seen) in cases.iter().zip(&seen) {
            // Where a body turns out faulty on the way, the server has seen the beginning of one request at most.
            // nginx says nothing of one whose body is cut off by a reset; Apache may say it after the next mark.
            let seen = match owed.take() {
                Some(late) if case.sees.as_deref() != Some(seen) => seen.strip_prefix(late).unwrap_or(seen),
                _ => seen,
            };
            let cut_off = case.name == "a body cut off" && seen.is_empty();
            if cut_off {
                owed = case.sees.as_deref();
            }
            let fine = match &case.sees {
                Some(sees) => *seen == *sees || cut_off,
                None => seen.len() <= 1,
            };
            if !fine {
                differ.push(format!("{}: expected {:?}, seen {seen:?}", case.name, case.sees));
            }
        }
        assert_eq!(seen.len(), cases.len(), "{server}");
        assert!(differ.is_empty(), "{server}:\n{}", differ.join("\n"));
    }
}

/// The request lines between the marks, case by case.
fn between_marks(log: &[String], prefix: &str) -> Vec<Vec<String>> {
    let mut cases = vec![Vec::new()];
    for line in log.iter().filter_map(|line| line.strip_prefix(prefix)) {
        if line.starts_with("GET /mark-") {
            cases.push(Vec::new());
        } else if let Some(case) = cases.last_mut() {
            case.push(line.to_owned());
        }
    }
    cases.pop();
    cases
}

/// A case of the proxy's own table.
struct Case {
    name: String,
    says: Vec<u8>,
    /// Request lines; `None`: anything.
    sees: Option<Vec<String>>,
}

/// The cases that are for the defaults.
fn table() -> Vec<Case> {
    let text = include_str!("../../dataplane/proxy/src/http/tests/requests.txt");
    let mut cases: Vec<(Case, bool)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("case ") {
            cases.push((Case { name: name.to_owned(), says: Vec::new(), sees: Some(Vec::new()) }, true));
        }
        let Some((case, default)) = cases.last_mut() else { continue };
        if line.starts_with("with ") {
            *default = false;
        } else if line == "<*" {
            case.sees = None;
        } else if let Some(said) = line.strip_prefix('>') {
            case.says.extend(unescaped(said.strip_prefix(' ').unwrap_or(said)));
        } else if let (Some(seen), Some(sees)) = (line.strip_prefix("< "), &mut case.sees) {
            // Bodies of the table that end in no line's end run into the next request's line.
            let whole = unescaped(seen);
            let line = String::from_utf8_lossy(&whole).trim_end_matches("\r\n").to_owned();
            let methods = ["GET ", "POST ", "HEAD ", "OPTIONS "];
            let begins = methods.iter().filter_map(|method| line.find(method)).min();
            if let (Some(at), true) = (begins, line.ends_with(" HTTP/1.1")) {
                sees.push(line[at..].to_owned());
            }
        }
    }
    cases.into_iter().filter(|(_, default)| *default).map(|(case, _)| case).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (bytes, used) = match escape.bytes().next() {
            None => return out,
            Some(b'r') => (vec![b'\r'], 1),
            Some(b'n') => (vec![b'\n'], 1),
            Some(b't') => (vec![b'\t'], 1),
            Some(b'0') => (vec![0], 1),
            Some(b'x') => (vec![u8::from_str_radix(&escape[1..3], 16).expect("two digits")], 3),
            Some(b'{') => {
                let end = escape.find('}').expect("it is closed");
                let (count, what) = escape[1..end].split_once('*').expect("COUNT*BYTE");
                (what.repeat(count.parse().expect("a number")).into_bytes(), end + 1)
            }
            Some(byte) => (vec![byte], 1),
        };
        out.extend(bytes);
        rest = &escape[used..];
    }
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(b"\r\n");
    out
}
