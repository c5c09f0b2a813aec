//! Scripts at each of their hooks; what they cannot do, whatever they try; how they fail.

mod manual;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::event::Event;
use super::limits::{INSTRUCTIONS_DEFAULT, LINES_PER_CALL_MAX, MEMORY_DEFAULT, SOURCE_BYTES_MAX};
use super::{Answer, Fault, Hook, Script, Settings, TlsAnswer, start, view};
use crate::host::{Level, Target};
use crate::memory::{MemoryHost, World, duplex};
use crate::outcome::Reason;
use crate::session::{Session, SessionId, SessionInfo};

fn compile(source: &str) -> Result<Arc<Settings>, Fault> {
    Settings::new("test.lua", source, MEMORY_DEFAULT, INSTRUCTIONS_DEFAULT).map(Arc::new)
}

/// Runs out of memory before it runs out of instructions.
fn patient(source: &str) -> Arc<Settings> {
    Arc::new(Settings::new("test.lua", source, MEMORY_DEFAULT, 10_000_000).expect("it is good"))
}

fn good(source: &str) -> Arc<Settings> {
    compile(source).unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn session(world: &World) -> Session<MemoryHost> {
    let info = SessionInfo {
        client: "192.168.1.5:40000".parse().expect("an address"),
        original_destination: "10.0.0.9:80".parse().expect("an address"),
        service: "web".into(),
        client_zone: Some("intranet".into()),
        server_zone: None,
        interface: "intra".into(),
        idle: Duration::from_secs(60),
        total: None,
    };
    Session { id: SessionId(7), host: world.host(), client: duplex(100).0, info }
}

/// The script in a session that began.
fn begun(world: &World, source: &str) -> Script {
    start(&mut session(world), Some(&good(source))).expect("it is not denied")
}

fn ask(world: &World, source: &str) -> Result<Answer, Reason> {
    begun(world, source).request(&world.host(), &mut request())
}

fn request() -> view::Request {
    let mut request = view::Request {
        method: Bytes::from_static(b"GET"),
        url: "http://www.example.org:8080/a/b?c=d".to_owned(),
        version: 11,
        ..view::Request::default()
    };
    request.headers.push(Bytes::from_static(b"Host"), Bytes::from_static(b"www.example.org:8080"));
    request.headers.push(Bytes::from_static(b"Accept"), Bytes::from_static(b"text/html"));
    request.headers.push(Bytes::from_static(b"accept"), Bytes::from_static(b"*/*"));
    request
}

#[test]
fn a_session_is_seen_and_denied() {
    let world = World::new();
    let settings = good(
        r#"function session(s)
             assert(s.id == 7 and s.client == "192.168.1.5" and s.client_port == 40000)
             assert(s.server == "10.0.0.9" and s.server_port == 80 and s.service == "web")
             assert(s.client_zone == "intranet" and s.server_zone == nil and s.interface == "intra")
             assert(s.idle_s == 60 and s.total_s == nil)
             s.idle_s, s.total_s = 5, 3600
             if shared.add(s.client, 1) > 1 then return "deny", "only once\r\n" end
           end"#,
    );
    let mut first = session(&world);
    assert!(start(&mut first, Some(&settings)).is_ok(), "{:?}", world.host().lines());
    assert_eq!((first.info.idle, first.info.total), (Duration::from_secs(5), Some(Duration::from_secs(3600))));
    assert_eq!(start(&mut session(&world), Some(&settings)).err(), Some(Reason::PolicyDenied));
    let line = "denied by the script's `session`: only once  ".to_owned();
    assert_eq!(world.host().lines(), [(SessionId(7), Level::Info, line)]);
    assert_eq!(world.host().counted(Event::Denied), 1);
    assert_eq!((world.host().counted(Event::Calls), world.host().counted(Event::Started)), (2, 1));
}

#[test]
fn routes() {
    let world = World::new();
    let route = |answer: &str| {
        let script = begun(&world, &format!("function route(s) return {answer} end"));
        script.route(&world.host())
    };
    let address = |text: &str| Ok(Target::Address(text.parse().expect("an address")));
    assert_eq!(route("'10.1.1.1:8080'"), address("10.1.1.1:8080"));
    assert_eq!(route("'10.1.1.1'"), address("10.1.1.1:80"));
    assert_eq!(route("'[2001:db8::1]:8080'"), address("[2001:db8::1]:8080"));
    assert_eq!(route("nil"), Ok(Target::Original));
    assert_eq!(route("'deny'"), Err(Reason::PolicyDenied));
    for wrong in ["'0.0.0.0:80'", "'10.1.1.1:0'", "'example.org'", "80", "{}"] {
        assert_eq!(route(wrong), Err(Reason::ScriptFailed), "{wrong}");
    }
    assert_eq!(world.host().counted(Event::BadAnswer), 5);
    assert_eq!(begun(&world, "function session() end").route(&world.host()), Ok(Target::Original));
}

#[test]
fn a_request_is_seen_changed_and_answered() {
    let world = World::new();
    let script = begun(
        &world,
        r#"function request(s, r)
             assert(r.method == "GET" and r.url == "http://www.example.org:8080/a/b?c=d" and r.version == "1.1")
             assert(r.host == "www.example.org" and r.path == "/a/b" and r.query == "c=d" and r.server == nil)
             assert(r:header("ACCEPT") == "text/html" and #r:headers("accept") == 2 and r:header("x") == nil)
             assert(table.concat(r:header_names(), ",") == "Host,Accept,accept")
             r.method, r.url, r.server = "POST", "http://other.example/", "10.1.1.1:8080"
             r:set_header("Accept", "text/plain")
             r:add_header("X-Client", s.client)
             r:set_header("Host", " other.example ")
             assert(not pcall(r.remove_header, r, "host") and not r:remove_header("cookie"))
             kept = r
           end
           function response(s, request, response)
             assert(not pcall(function() return kept.url end), "what it was about is over")
             assert(request.method == "POST" and response.status == 200)
             response.status = 404
             response:set_header("Server", "none")
             return "reject", 502, "no\nmore"
           end"#,
    );
    let mut request = request();
    assert_eq!(script.request(&world.host(), &mut request), Ok(Answer::Accept), "{:?}", world.host().lines());
    assert_eq!((&*request.method, &*request.url), (&b"POST"[..], "http://other.example/"));
    assert_eq!(request.server, Some("10.1.1.1:8080".parse().expect("an address")));
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let host = (&b"Host"[..], &b"other.example"[..]);
    assert_eq!(headers, [host, (b"Accept", b"text/plain"), (b"X-Client", b"192.168.1.5")]);
    assert_eq!(request.changed, view::Changed { method: true, url: true, headers: true, ..view::Changed::default() });
    let mut response = view::Response { status: 200, ..view::Response::default() };
    let rejected = Answer::Reject { code: 502, text: "no more".to_owned() };
    assert_eq!(script.response(&world.host(), &request, &mut response), Ok(rejected), "{:?}", world.host().lines());
    assert_eq!((response.status, response.headers.len()), (404, 1));
}

#[test]
fn answers_to_messages() {
    let world = World::new();
    for (returned, answer) in [
        ("nil", Some(Answer::Accept)),
        ("true", Some(Answer::Accept)),
        ("false", Some(Answer::Deny { why: "the script gives no reason".to_owned() })),
        ("false, 'why'", Some(Answer::Deny { why: "why".to_owned() })),
        ("'deny', 'why'", Some(Answer::Deny { why: "why".to_owned() })),
        ("'reject', 403, 'no'", Some(Answer::Reject { code: 403, text: "no".to_owned() })),
        ("'reject'", None),
        ("'reject', 200", None),
        ("'reject', 600", None),
        ("'accept it'", None),
        ("1", None),
        ("{}", None),
    ] {
        let asked = ask(&world, &format!("function request() return {returned} end"));
        assert_eq!(asked, answer.ok_or(Reason::ScriptFailed), "{returned}");
    }
}

#[test]
fn ends_of_messages_are_out_of_reach() {
    let world = World::new();
    for wrong in [
        "r:set_header('Content-Length', '5')",
        "r:add_header('transfer-encoding', 'chunked')",
        "r:remove_header('CONNECTION')",
        "r:set_header('X', 'a\\r\\nB: c')",
        "r:set_header('X', 'a\\0')",
        "r:set_header('X y', 'a')",
        "r:set_header('', 'a')",
        "r:set_header(':path', '/')",
        "r:set_header('X', ('a'):rep(9000))",
        "for i = 1, 200 do r:add_header('X', 'y') end",
        "r.method = 'GET /'",
        "r.method = 'HEAD'",
        "r.method = 'CONNECT'",
        "r:add_header('host', 'b')",
        "r:remove_header('Host')",
        "r:set_header('Expect', '100-continue')",
        "r.url = 'http://a/ HTTP/1.0'",
        "r.url = 'http://a/\\n'",
        "r.server = 'example.org:80'",
        "r.version = '1.0'",
        "r.nothing = 1",
        "s.idle_s = 1",
        "s.client = '1.2.3.4'",
    ] {
        let asked = ask(&world, &format!("function request(s, r) {wrong} end"));
        assert_eq!(asked, Err(Reason::ScriptFailed), "{wrong}");
    }
    for (before, status) in
        [(200, 100), (200, 101), (200, 204), (200, 205), (200, 304), (200, 600), (304, 200), (204, 200)]
    {
        let script = begun(&world, &format!("function response(s, q, r) r.status = {status} end"));
        let mut response = view::Response { status: before, ..view::Response::default() };
        let answer = script.response(&world.host(), &request(), &mut response);
        assert_eq!(answer, Err(Reason::ScriptFailed), "{status}");
    }
}

#[test]
fn a_command_is_seen_changed_and_answered() {
    let world = World::new();
    let script = begun(
        &world,
        r#"function command(s, c)
             if c.verb == "DELE" then return "reject", 550, "nothing is deleted here" end
             if c.verb == "RETR" then c.argument = "/pub/" .. c.argument end
             if c.verb == "STOR" then c.argument = "a\r\nDELE b" end
             assert(c.user == "joe")
           end"#,
    );
    let command = |verb: &str| view::Command {
        verb: verb.to_owned(),
        argument: Bytes::from_static(b"x"),
        user: Some("joe".to_owned()),
        ..view::Command::default()
    };
    let answer = Answer::Reject { code: 550, text: "nothing is deleted here".to_owned() };
    assert_eq!(script.command(&world.host(), &mut command("DELE")), Ok(answer));
    let mut retr = command("RETR");
    assert_eq!(script.command(&world.host(), &mut retr), Ok(Answer::Accept));
    assert_eq!((&*retr.argument, retr.changed.argument), (&b"/pub/x"[..], true));
    assert_eq!(script.command(&world.host(), &mut command("STOR")), Err(Reason::ScriptFailed));
}

#[test]
fn a_hello_is_seen_and_answered() {
    let world = World::new();
    let script = begun(
        &world,
        r#"function hello(s, h)
             assert(h.version == "1.3" and h.ja3 == "3" and h.ja4 == "4" and h.alpn[2] == "http/1.1")
             if h.sni == nil then return "deny", "no name" end
             if h.ech then return "bump" end
             if h.sni:find("%.bank%.example$") then return "splice" end
           end"#,
    );
    let hello = |sni: Option<&str>, ech| view::Hello {
        sni: sni.map(str::to_owned),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        version: 0x0304,
        ja3: "3".to_owned(),
        ja4: "4".to_owned(),
        ech,
    };
    let ask = |sni, ech| script.hello(&world.host(), &hello(sni, ech));
    assert_eq!(ask(None, false), Ok(TlsAnswer::Deny { why: "no name".to_owned() }));
    assert_eq!(ask(Some("www.bank.example"), false), Ok(TlsAnswer::Splice));
    assert_eq!(ask(Some("www.bank.example"), true), Ok(TlsAnswer::Bump));
    assert_eq!(ask(Some("www.example"), false), Ok(TlsAnswer::AsConfigured));
}

/// Ways to go on for ever or to take all there is, and what becomes of each.
#[test]
fn bombs() {
    for (bomb, event) in [
        ("while true do end", Event::OutOfInstructions),
        ("while true do pcall(function() while true do end end) end", Event::OutOfInstructions),
        ("local function f() return pcall(f) end while true do f() end", Event::OutOfInstructions),
        (
            "local m = {} local t = setmetatable({}, m) m.__close = function() while true do end end local x <close> = t",
            Event::Error,
        ),
        ("local m = {} local t = setmetatable({}, m) m.__close = 1 for _ in next, {}, nil, t do end", Event::Error),
        ("setmetatable({}, {__close = function() while true do end end})", Event::Error),
        (
            "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
            Event::OutOfInstructions,
        ),
        ("('a'):rep(200):find(('a-'):rep(30) .. 'b')", Event::OutOfInstructions),
        ("('a'):rep(200):gsub(('a?'):rep(30) .. ('a'):rep(30) .. 'b', '')", Event::OutOfInstructions),
        ("for _ in ('a'):rep(2000):gmatch('.-b') do end", Event::OutOfInstructions),
        (
            "table.sort(setmetatable({}, {__len = function() return 1 << 30 end, __newindex = rawequal, __index = type}))",
            Event::OutOfInstructions,
        ),
        ("table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)", Event::OutOfInstructions),
        ("table.move({}, 1, 1 << 60, 2)", Event::OutOfInstructions),
        ("local s = ('x'):rep(200000) while true do local t = s .. 'y' end", Event::OutOfInstructions),
        ("local s = ('x'):rep(200000) while true do s:upper() end", Event::OutOfInstructions),
        ("local s = ('0'):rep(200000) while true do tonumber(s) end", Event::OutOfInstructions),
        ("local t = {} for i = 1, 1 << 60 do t[i] = i end", Event::OutOfMemory),
        (
            "local t = {} while true do pcall(function() for i = 1, 1 << 60 do t[#t + 1] = {} end end) end",
            Event::OutOfMemory,
        ),
        ("local s = ('x'):rep(200000) local t = {} for i = 1, 100 do t[i] = s .. i end", Event::OutOfMemory),
        ("('x'):rep(1 << 60)", Event::Error),
        ("('x'):rep(1 << 40, 'y')", Event::Error),
        ("local t = {} for i = 1, 100 do t[i] = ('x'):rep(10000) end table.concat(t)", Event::Error),
        ("('x'):rep(10000):gsub('x', ('y'):rep(1000))", Event::Error),
        ("local function f() return 1 + f() end f()", Event::OutOfInstructions),
        ("local s = '' local function f(x) return tostring(setmetatable({}, {__tostring = f})) end f()", Event::Error),
        ("setmetatable({}, {__gc = function() end})", Event::Error),
        ("table.unpack({}, 1, 1 << 30)", Event::Error),
    ] {
        let world = World::new();
        let source = format!("function request() {bomb} end");
        let settings = if event == Event::OutOfMemory { patient(&source) } else { good(&source) };
        let script = start(&mut session(&world), Some(&settings)).expect("it is not denied");
        let asked = script.request(&world.host(), &mut request());
        assert_eq!(asked, Err(Reason::ScriptFailed), "{bomb}");
        assert_eq!(world.host().counted(event), 1, "{bomb}: {:?}", world.host().lines());
    }
    let empty = ask(&World::new(), "function request() return ('').rep('', 1 << 60) == '' end");
    assert_eq!(empty, Ok(Answer::Accept));
}

#[test]
fn nothing_but_computing_is_there() {
    let world = World::new();
    for name in [
        "io",
        "os",
        "debug",
        "package",
        "require",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "collectgarbage",
        "coroutine",
        "print",
        "warn",
        "xpcall",
        "utf8",
        "string.dump",
        "string.pack",
        "string.unpack",
        "math.random",
        "math.randomseed",
    ] {
        let asked = ask(&world, &format!("function request() return {name} == nil end"));
        assert_eq!(asked, Ok(Answer::Accept), "{name}");
    }
    let hidden =
        ask(&world, "function request(s, r) return getmetatable(r) == false and getmetatable('') == false end");
    assert_eq!(hidden, Ok(Answer::Accept));
    assert!(compile("\x1bLua").is_err(), "bytecode is no source");
}

#[test]
fn the_library_computes() {
    let world = World::new();
    let asked = ask(
        &world,
        r##"local function is(a, b) if a ~= b then error(tostring(a) .. " is not " .. tostring(b), 2) end end
           function request(s, r)
             is(("abc"):rep(2, "-"), "abc-abc")
             is(("hello world"):gsub("o", "0"), "hell0 w0rld")
             is(("hello"):gsub("", "-"), "-h-e-l-l-o-")
             is(("abc"):gsub("%w", "%0%0"), "aabbcc")
             is(("abc"):gsub("(a)(b)", "%2%1"), "bac")
             is(("$name is $age"):gsub("%$(%w+)", { name = "Joe", age = 42 }), "Joe is 42")
             is(("abc"):gsub("b", function() return false end), "abc")
             is(select(2, ("aaa"):gsub("a", "b", 2)), 2)
             is(("abc"):gsub("^a", "x"), "xbc")
             is(("a.b"):find(".", 1, true), 2)
             is(("abc"):find("c", -1), 3)
             is(("abc"):find("a", 2), nil)
             is(("abc"):find("", 10), nil)
             is(("k=v"):match("(%w)=(%w)"), "k")
             local words = {}
             for word in ("one two  three"):gmatch("%a+") do words[#words + 1] = word end
             is(table.concat(words, ","), "one,two,three")
             local n = 0
             for _ in ("abc"):gmatch("") do n = n + 1 end
             is(n, 4)
             local t = { 5, 2, 8, 1 }
             table.sort(t)
             is(table.concat(t, " "), "1 2 5 8")
             table.sort(t, function(a, b) return a > b end)
             is(table.concat(t, " "), "8 5 2 1")
             table.insert(t, 1, 9)
             table.insert(t, 0)
             is(table.concat(t, " "), "9 8 5 2 1 0")
             is(table.remove(t), 0)
             is(table.remove(t, 1), 9)
             is(table.concat(t, " "), "8 5 2 1")
             is(table.concat(table.move(t, 1, 3, 2), " "), "8 8 5 2")
             is(select("#", table.unpack({ 1, 2, 3 })), 3)
             is(tonumber("0x10"), 16)
             is(("%5.1f|%s"):format(1.25, "x"), "  1.2|x")
             is(math.floor(2.5), 2)
             is(within("10.1.2.3", "10.0.0.0/8"), true)
             is(within("11.1.2.3", "10.0.0.0/8"), false)
             is(within("2001:db8::1", "2001:db8::/32"), true)
             is(within("10.1.2.3", "::/0"), false)
             is(within("10.1.2.3", "0.0.0.0/0"), true)
             is(pcall(within, "10.1.2.3", "10.0.0.0/33"), false)
             local class = {} class.__index = class
             local one = setmetatable({}, class)
             function class.two() return 2 end
             is(one.two(), 2)
             is(getmetatable(one), class)
             is(getmetatable(setmetatable(one, nil)), nil)
             is(getmetatable(setmetatable({}, { __metatable = 1 })), 1)
             is(#setmetatable({}, { __len = function() return 5 end }), 5)
             is(now(), 1767225600)
             is(select(2, pcall(error, "it is so")), "it is so")
             is(pcall(error), false)
             shared.set("a", 1.5) shared.set("b", "text") shared.set("c", true) shared.set("d", nil)
             is(shared.get("a"), 1.5) is(shared.get("b"), "text") is(shared.get("c"), true) is(shared.get("d"), nil)
             shared.remove("a")
             is(shared.get("a"), nil)
             is(pcall(shared.set, "a", {}), false)
             is(pcall(shared.set, ("k"):rep(1000), 1), false)
             is(pcall(shared.set, "a", ("v"):rep(1000)), false)
             is(pcall(shared.set, "a", 1, -1), false)
             is(pcall(shared.set, "a", 1, 1 / 0), false)
           end"##,
    );
    assert_eq!(asked, Ok(Answer::Accept), "{:?}", world.host().lines());
}

#[test]
fn lines_are_bounded() {
    let world = World::new();
    let asked =
        ask(&world, "function request() for i = 1, 10 do log('info', 'line\\n' .. i) end log('warning', '') end");
    assert_eq!(asked, Ok(Answer::Accept));
    let lines = world.host().lines();
    assert_eq!(lines.len(), LINES_PER_CALL_MAX);
    assert_eq!(lines[0], (SessionId(7), Level::Info, "line 1".to_owned()));
    assert_eq!(world.host().counted(Event::LinesDropped), 3);
    assert_eq!(ask(&world, "function request() log('loud', 'x') end"), Err(Reason::ScriptFailed));
}

#[test]
fn a_failed_script_denies_one_session_and_goes_on() {
    let world = World::new();
    let settings = good("function session(s) if shared.add('n', 1) == 1 then local t = nil return t.x end end");
    assert_eq!(start(&mut session(&world), Some(&settings)).err(), Some(Reason::ScriptFailed));
    assert!(start(&mut session(&world), Some(&settings)).is_ok());
    let lines = world.host().lines();
    assert_eq!(lines.len(), 1);
    let line = "the script's `session` failed: test.lua:1: attempt to index a nil value (local 't')";
    assert_eq!((lines[0].1, &*lines[0].2), (Level::Error, line));
}

#[test]
fn a_state_without_memory_is_made_anew_and_shared_stays() {
    let world = World::new();
    let settings = patient(
        "local kept = {}
         function session(s)
           local n = shared.add('n', 1)
           if n == 1 then while true do kept[#kept + 1] = {} end end
           return #kept == 0 and n == 2
         end",
    );
    assert_eq!(start(&mut session(&world), Some(&settings)).err(), Some(Reason::ScriptFailed));
    assert!(start(&mut session(&world), Some(&settings)).is_ok(), "{:?}", world.host().lines());
    assert_eq!((world.host().counted(Event::OutOfMemory), world.host().counted(Event::Started)), (1, 2));
}

#[test]
fn evictions_from_shared_are_counted() {
    let world = World::new();
    let settings = patient("function session(s) for i = 1, 5000 do shared.set('k' .. i, i) end end");
    assert!(start(&mut session(&world), Some(&settings)).is_ok());
    assert_eq!(world.host().counted(Event::SharedEvicted), 5000 - 4096);
}

#[test]
fn generations_that_nobody_uses_go() {
    use crate::host::Host;
    let world = World::new();
    for _ in 0..5 {
        assert!(start(&mut session(&world), Some(&good("function session() end"))).is_ok());
    }
    assert_eq!(world.host().core().scripts.len(), 1);
}

#[test]
fn faults_have_their_lines() {
    for (source, line, beginning) in [
        ("function session(", Some(1), "<name> or"),
        ("\n\nfunction request(s) retrun end", Some(3), "syntax error near"),
        ("x = 1\nlocal y = nil + 1\nfunction session() end", Some(2), "attempt to perform arithmetic"),
        ("x = 1", None, "the script defines none of the functions session, route"),
        ("while true do end", None, "it used up its instructions"),
        ("t = {} while true do t[#t + 1] = {} end", None, "it used up its memory"),
        ("error('by itself')", Some(1), "by itself"),
    ] {
        let fault = compile(source).expect_err(source);
        assert!(fault.message.starts_with(beginning) && fault.line == line, "{source}: {fault:?}");
    }
    assert!(compile(&" ".repeat(SOURCE_BYTES_MAX + 1)).is_err());
    let hooks: Vec<Hook> = good("function hello() end function route() end").hooks().collect();
    assert_eq!(hooks, [Hook::Route, Hook::Hello]);
}
