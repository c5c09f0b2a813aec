//! The whole control thread over real sockets, with a made-up core behind it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc as StdArc;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::client::{Client, ClientError};
use crate::engine::Setup;
use crate::limits::{BODY_BYTES_MAX, CONNECTIONS_MAX};
use crate::mailbox::{CoreLink, CoreReport, SessionSummary, ToCore};
use crate::requests::{Errno, Reply, Request};
use crate::{Policy, config, tproxy};

/// A control thread with one core.
struct Gateway {
    folder: TempDir,
    thread: JoinHandle<io::Result<Exit>>,
    /// What the core was told beside questions.
    told: Receiver<ToCore>,
    from_core: Sender<FromCore>,
}

const YAML: &str = r#"
interfaces:
  intra: { port: "net_null0", addresses: [10.0.0.1/24] }
zones:
  all: { networks: [0.0.0.0/0], outbound_services: ["*"], inbound_services: ["*"] }
services:
  web: { proxy: plug }
listeners:
  - { port: 50080, service: web }
"#;

fn start(http: Option<SocketAddr>) -> Gateway {
    let folder = tempfile::tempdir().expect("a folder for the socket");
    let file = folder.path().join("limpid.yaml");
    let control = match http {
        Some(http) => format!("control: {{ socket: {}/control.sock, http: \"{http}\" }}\n", folder.path().display()),
        None => format!("control: {{ socket: {}/control.sock }}\n", folder.path().display()),
    };
    std::fs::write(&file, format!("{YAML}{control}")).expect("the file can be written");
    let config = config::load(&file, &crate::modules::NONE).unwrap_or_else(|faults| panic!("{faults}"));
    let policy = StdArc::new(Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}")));
    let (to, mailbox) = bounded(16);
    let (from_core, from_cores) = bounded(16);
    let (tell, told) = bounded(64);
    let core_end = from_core.clone();
    std::thread::spawn(move || core(&mailbox, &tell, core_end));
    let (_, writer) = tproxy::table(64, 1);
    let cores = vec![CoreLink { core: 1, to }];
    let own_uid = own_uid().expect("there is /proc");
    let (opened, open) = bounded(1);
    let options = ThreadOptions {
        config_path: file,
        modules: &crate::modules::NONE,
        from_cores,
        ready: Box::new(move || opened.send(()).expect("awaited")),
    };
    let thread = std::thread::spawn(move || {
        run(Engine::new(0, Setup { config, policy, writer, cores, own_uid, version: "0.0.0" }), options)
    });
    open.recv().expect("the sockets open");
    Gateway { folder, thread, told, from_core }
}

/// Answers questions, hands on everything else, ends on `Stop`.
fn core(mailbox: &Receiver<ToCore>, tell: &Sender<ToCore>, to_control: Sender<FromCore>) {
    while let Ok(message) = mailbox.recv() {
        match message {
            ToCore::Report(reply) => {
                drop(reply.send(CoreReport { core: 1, generation: 1, flows: 3, ..CoreReport::default() }));
            }
            ToCore::Flows { reply, .. } => drop(reply.send(Vec::new())),
            ToCore::Stop => break,
            other => drop(tell.send(other)),
        }
    }
    drop(to_control);
}

impl Gateway {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::new(self.socket()).expect("a runtime")
    }

    fn stop(self) -> Exit {
        self.client().post("/v1/stop", &json!({})).expect("granted");
        let socket = self.socket();
        // The core has its own; with this one gone nobody is left to send.
        drop(self.from_core);
        let exit = self.thread.join().expect("no panic").expect("it had started");
        assert!(!socket.exists(), "the socket is taken away");
        exit
    }
}

/// As curl would: one request by hand, the whole answer as text.
fn raw(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn refusal(result: Result<Value, ClientError>) -> (u16, Option<String>) {
    match result {
        Err(ClientError::Refused { status, errno, .. }) => (status, errno),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_operators_day() {
    let gateway = start(None);
    let client = gateway.client();
    let mode = std::fs::metadata(gateway.socket()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    let status = client.get("/v1/status").expect("status");
    assert_eq!((&status["flows"], &status["state"]), (&json!(3), &json!("running")));
    assert_eq!(client.get("/healthz").expect("health"), json!({ "status": "ok" }));
    assert!(client.get_text("/metrics").expect("metrics").ends_with("# EOF\n"));
    assert_eq!(client.get("/v1/flows?limit=7").expect("flows")["flows"], json!([]));
    assert_eq!(client.get("/v1/policy").expect("policy")["services"], json!(["web"]));
    let path = "/v1/explain?interface=intra&protocol=tcp&source=10.0.0.2:4000&destination=198.51.100.1:80";
    assert!(client.get(path).expect("explained")["steps"].is_array());
    assert!(client.get_text(&format!("{path}&format=text")).expect("explained").contains("198.51.100.1"));

    let entry = json!({ "protocol": "tcp", "local": "10.0.0.1:5000", "foreign": "203.0.113.9:80" });
    let local = json!({ "protocol": "tcp", "local": "10.0.0.1:5000" });
    let posted = |operation: &str, body: &Value| client.post(&format!("/v1/tproxy/{operation}"), body);
    assert_eq!(posted("version", &json!({})).expect("version"), json!({ "version": "2.0.6" }));
    assert_eq!(posted("assign", &entry).expect("assigned"), json!({ "foreign": "203.0.113.9:80" }));
    assert_eq!(refusal(posted("assign", &entry)), (409, Some("EEXIST".to_owned())));
    let listen = json!({ "protocol": "tcp", "local": "10.0.0.1:5000", "set": "LISTEN,ONCE" });
    assert_eq!(posted("flags", &listen).expect("set"), json!({ "flags": ["LISTEN", "ONCE"] }));
    assert_eq!(client.get("/v1/tproxy").expect("listed")["total"], 1);
    assert_eq!(posted("unassign", &local).expect("unassigned"), json!({}));
    assert_eq!(refusal(posted("query", &local)), (404, Some("ENOENT".to_owned())));
    assert_eq!(refusal(posted("accept", &local)), (404, Some("ENOPROTOOPT".to_owned())));
    assert_eq!(refusal(posted("query", &json!({}))), (400, Some("EINVAL".to_owned())));

    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn reload_over_the_socket() {
    let gateway = start(None);
    let client = gateway.client();
    let file = gateway.folder.path().join("limpid.yaml");
    assert_eq!(client.post("/v1/reload", &json!({})).expect("reloaded")["generation"], 2);
    assert!(matches!(gateway.told.recv(), Ok(ToCore::Policy(policy)) if policy.generation() == 2));
    std::fs::write(&file, "services: { web: { proxy: plugh } }\n").expect("the file can be written");
    match client.post("/v1/reload", &json!({})) {
        Err(ClientError::Refused { status: 422, error, .. }) => assert!(error.contains("limpid.yaml:1"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn proxies_are_answered_and_summaries_taken() {
    let gateway = start(None);
    let request = Request::Assign {
        protocol: 6,
        local: "10.0.0.1:6000".parse().expect("an address"),
        foreign: "203.0.113.9:20".parse().expect("an address"),
        reuse: false,
        expires_ms: None,
    };
    for ticket in [41, 42] {
        gateway.from_core.send(FromCore::Tproxy { core: 1, ticket, request }).expect("it listens");
    }
    assert!(matches!(gateway.told.recv(), Ok(ToCore::TproxyReply { ticket: 41, result: Ok(Reply::Foreign { .. }) })));
    assert!(matches!(gateway.told.recv(), Ok(ToCore::TproxyReply { ticket: 42, result: Err(Errno::EEXIST) })));
    let client = "10.0.0.2:4000".parse().expect("an address");
    let summary = SessionSummary {
        core: 1,
        id: 1,
        service: "web".to_owned(),
        protocol: "tcp".to_owned(),
        interface: "intra".to_owned(),
        client,
        destination: client,
        server: None,
        client_local: client,
        started: 0,
        server_local: None,
        client_zone: None,
        server_zone: None,
        rule: None,
        verdict: "ACCEPTED".to_owned(),
        reason: "the session has ended".to_owned(),
        bytes_to_server: 0,
        bytes_to_client: 0,
        duration_ms: 0,
        generation: 1,
    };
    gateway.from_core.send(FromCore::Summary(summary)).expect("it listens");
    gateway.from_core.send(FromCore::Notice("the core has something to say".to_owned())).expect("it listens");
    let counted = |name: &str| {
        let status = gateway.client().get("/v1/status").expect("status");
        let counters = status["counters"].as_array().expect("a list").clone();
        counters.into_iter().find(|counter| counter["name"] == name).map(|counter| counter["value"].clone())
    };
    while counted("notices") != Some(json!(1)) {
        std::thread::yield_now();
    }
    assert_eq!(counted("session_summaries"), Some(json!(1)));
    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn what_is_no_api_is_answered_in_json_all_the_same() {
    let gateway = start(None);
    let connect = || UnixStream::connect(gateway.socket()).expect("somebody listens");
    for (head, body, status, said) in [
        ("GET /v2/status", String::new(), 404, "nothing at /v2/status"),
        ("POST /v1/status", String::new(), 405, "GET if it changes nothing"),
        ("GET /v1/stop", String::new(), 405, "else by POST"),
        ("GET /v1/flows?limit=many", String::new(), 400, "limit"),
        ("GET /v1/flows?limits=1", String::new(), 400, "limits"),
        ("GET /v1/explain?interface=intra", String::new(), 400, "protocol"),
        ("POST /v1/tproxy/query", "{".to_owned(), 400, "no JSON"),
        ("POST /v1/tproxy/query", " ".repeat(BODY_BYTES_MAX + 1), 413, "limit"),
    ] {
        let length = body.len();
        let request =
            format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        let answer = raw(connect(), &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|wrong| panic!("{head}: {wrong}: {answer}"));
        assert!(body["error"].as_str().is_some_and(|error| error.contains(said)), "{head}: {body}");
    }
    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn the_kernels_network_may_only_look() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let gateway = start(Some(free));
    let ask = |head: &str| {
        let stream = TcpStream::connect(free).expect("somebody listens");
        raw(stream, &format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
    };
    for head in ["GET /metrics", "GET /v1/status", "GET /healthz"] {
        assert!(ask(head).starts_with("HTTP/1.1 200 "), "{head}");
    }
    for head in ["POST /v1/stop", "POST /v1/reload", "POST /v1/tproxy/assign", "GET /v1/flows", "GET /v1/tproxy"] {
        assert!(ask(head).starts_with("HTTP/1.1 404 "), "{head}");
    }
    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn one_connection_too_many_waits_for_its_turn() {
    let gateway = start(None);
    let connect = || UnixStream::connect(gateway.socket()).expect("the kernel's queue has room");
    let mut holders: Vec<UnixStream> = (0..CONNECTIONS_MAX).map(|_| connect()).collect();
    let mut late = connect();
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    late.write_all(request.as_bytes()).expect("the kernel's buffer has room");
    late.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let mut answer = [0; 12];
    let waited = late.read(&mut answer).expect_err("nobody has room for it");
    assert_eq!(waited.kind(), io::ErrorKind::WouldBlock);
    holders.pop();
    late.set_read_timeout(None).expect("no timeout");
    late.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop((holders, late));
    assert_eq!(gateway.stop(), Exit::Drained);
}

#[test]
fn the_socket_of_a_dead_gateway_is_taken_over_and_that_of_a_living_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run/control.sock");
    let bind = |path: &Path| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        ControlSocket::bind(path)
    };
    let first = bind(&path).expect("nobody is there");
    let refused = bind(&path).map(drop).expect_err("somebody answers");
    assert!(refused.to_string().contains("already answers"), "{refused}");
    let (kept, listener) = first;
    // A crash: the listener is gone, its file is still there.
    drop(listener);
    std::mem::forget(kept);
    assert!(path.exists());
    let (_socket, _listener) = bind(&path).expect("nobody answers any more");
    let file = folder.path().join("precious");
    std::fs::write(&file, "data").expect("a file");
    assert!(bind(&file).map(drop).expect_err("no socket").to_string().contains("is no socket"));
    assert_eq!(std::fs::read_to_string(&file).expect("still there"), "data");
}

#[test]
fn the_thread_ends_when_no_core_is_left() {
    let config = config::parse("limpid.yaml", YAML).unwrap_or_else(|faults| panic!("{faults}"));
    let folder = tempfile::tempdir().expect("a folder");
    let config = config::Config {
        control: config::Control { socket: folder.path().join("control.sock"), ..config.control.clone() },
        ..config
    };
    let policy = StdArc::new(Policy::compile(&config, 1).unwrap_or_else(|faults| panic!("{faults}")));
    let (_, writer) = tproxy::table(64, 1);
    let (to, mailbox) = bounded(1);
    let (from_core, from_cores) = bounded(1);
    let setup = Setup { config, policy, writer, cores: vec![CoreLink { core: 1, to }], own_uid: 0, version: "0.0.0" };
    // The core dies before anything else happens.
    drop((mailbox, from_core));
    let options = ThreadOptions {
        config_path: "limpid.yaml".into(),
        modules: &crate::modules::NONE,
        from_cores,
        ready: Box::new(|| {}),
    };
    assert_eq!(run(Engine::new(0, setup), options).expect("it had started"), Exit::CoresGone);
}

/// The four files in the gateway's folder, and what each request makes of them.
#[test]
fn rules_are_tested_committed_and_confirmed_over_the_socket() {
    const RULES: &str = "*filter\n:INPUT DROP\nCOMMIT\n";
    const NEW: &str = "# iptables.conf.in:7\n*filter\n:INPUT DROP\n-A INPUT -p icmp -j ACCEPT\nCOMMIT\n";
    let gateway = start(None);
    let client = gateway.client();
    let path = |name: &str| gateway.folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("the file can be written");
    let read = |name: &str| std::fs::read_to_string(path(name)).expect("the file is there");
    let post = |request: &str, body: Value| client.post(&format!("/v1/rules/{request}"), &body);
    assert_eq!(refusal(post("test", json!({}))).0, 409, "there is no rules file");

    let yaml = read("limpid.yaml");
    write("limpid.yaml", &format!("{yaml}rules_file: iptables.conf\n"));
    write("iptables.conf", RULES);
    client.post("/v1/reload", &json!({})).expect("reloaded");
    assert!(matches!(gateway.told.recv(), Ok(ToCore::Policy(_))));
    assert_eq!(refusal(post("test", json!({}))).0, 422, "there are no new rules");

    write("iptables.conf.new", NEW);
    let begun = post("test", json!({ "seconds": 60 })).expect("on probation");
    assert_eq!((&begun["probation"]["kind"], &begun["probation"]["before"]), (&json!("test"), &json!(2)));
    let Ok(ToCore::Probation { policy, for_us: 60_000_000 }) = gateway.told.recv() else { panic!("cores are told") };
    assert_eq!(policy.rules()[0].origin.as_ref().map(ToString::to_string).as_deref(), Some("iptables.conf.in:7"));
    assert_eq!(refusal(client.post("/v1/reload", &json!({}))).0, 423);
    assert_eq!(refusal(post("commit", json!({}))).0, 423);
    assert_eq!(refusal(post("confirm", json!({}))).0, 409);
    post("revert", json!({})).expect("taken back");
    assert!(matches!(gateway.told.recv(), Ok(ToCore::Policy(policy)) if policy.generation() == 2));
    assert!(matches!(gateway.told.recv(), Ok(ToCore::Redecide { only: Some(_) })));
    let state = client.get("/v1/rules/state").expect("a state");
    assert_eq!((&state["generation"], &state["last"]["ended"]), (&json!(2), &json!("taken_back")));

    post("commit", json!({ "confirm": true, "seconds": 60 })).expect("on probation");
    assert_eq!(read("iptables.conf"), RULES, "nothing is written before it is confirmed");
    post("confirm", json!({})).expect("kept");
    assert_eq!((read("iptables.conf").as_str(), read("iptables.conf.1").as_str()), (NEW, RULES));
    post("commit", json!({})).expect("committed");
    assert_eq!(read("iptables.conf.2"), RULES);
    let shown = client.get_text("/v1/rules?format=text").expect("rules");
    assert!(shown.contains("-A INPUT -p icmp -j ACCEPT"), "{shown}");
    for (request, body) in
        [("commit", json!({ "seconds": 5 })), ("test", json!({ "second": 5 })), ("test", json!({ "seconds": 0 }))]
    {
        assert_eq!(refusal(post(request, body)).0, 400, "{request}");
    }
    assert_eq!(gateway.stop(), Exit::Drained);
}
