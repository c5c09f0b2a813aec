//! Scripts at requests and responses: what the server sees, what the client gets, and what a script cannot do.

use std::sync::Arc;

use bytes::Bytes;

use super::scene::{Said, Scene, client, message_end, said, scene};
use crate::host::Target;
use crate::http::Settings;
use crate::http::event::Event;
use crate::outcome::Reason;
use crate::script;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\n\r\nok";

fn ok(bytes: &[u8]) -> Option<(usize, Vec<Said>)> {
    message_end(bytes).map(|end| (end, said(OK)))
}

/// What the client hears, what the servers see, how it ends, and to whom the proxy connected.
fn serve(lua: &str, says: &str) -> (String, String, Reason, Vec<Target>, u64) {
    let script = script::Settings::new("test", lua, 1 << 20, 100_000).expect("it is good");
    let settings = Settings { script: Some(Arc::new(script)), ..Settings::default() };
    let mut results = Vec::new();
    for cut in [0, 1, says.len() / 2, says.len()] {
        let (Scene { mut world, outcome, seen, .. }, stream) = scene(settings.clone(), ok);
        let pieces = [&says[..cut], &says[cut..]].map(|piece| Bytes::copy_from_slice(piece.as_bytes()));
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let heard = world.spawn(client(stream, pieces, true));
        world.run();
        let (heard, _) = heard.take().expect("the client hears an end");
        let heard = String::from_utf8(heard).expect("it is text");
        let seen = String::from_utf8(seen.take()).expect("it is text");
        let connected = world.host().connected().into_iter().map(|(_, target)| target).collect();
        let denied = world.host().counted(Event::ScriptDenied);
        results.push((heard, seen, outcome.take().expect("it has ended").reason, connected, denied));
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "pieces make no difference");
    results.swap_remove(0)
}

#[test]
fn requests_and_responses_are_changed() {
    let lua = r#"
        function request(s, r)
          assert(r.method == "GET" and r.url == "http://a/x?y" and r.version == "1.1")
          r.url = "http://a/z"
          r.method = "POST"
          r:set_header("X-Client", s.client)
          r:remove_header("Cookie")
        end
        function response(s, request, r)
          assert(request.url == "http://a/z" and r.status == 200)
          r.status = 201
          r:remove_header("server")
          r:add_header("X-Seen", "yes")
        end"#;
    let says = "GET /x?y HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n";
    let (heard, seen, reason, _, denied) = serve(lua, says);
    assert_eq!(seen, "POST /z HTTP/1.1\r\nHost: a\r\nX-Client: 192.168.1.5\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 201 ") && heard.ends_with("\r\n\r\nok"), "{heard}");
    assert!(heard.contains("X-Seen: yes\r\n") && !heard.contains("Server"), "{heard}");
    assert_eq!((reason, denied), (Reason::Finished, 0));
}

#[test]
fn servers_are_chosen() {
    let lua = r#"
        function route(s) return "10.1.1.1" end
        function request(s, r) if r.path == "/other" then r.server = "10.1.1.2:8080" end end"#;
    let says = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n";
    let (heard, _, _, connected, _) = serve(lua, says);
    assert_eq!(heard, OK.repeat(2));
    let address = |text: &str| Target::Address(text.parse().expect("it is an address"));
    assert_eq!(connected, [address("10.1.1.1:80"), address("10.1.1.2:8080")]);
}

#[test]
fn a_denied_request_gets_a_page_and_the_next_one_is_asked_about() {
    let lua = r#"function request(s, r)
          if r.path == "/no" then return "reject", 451, "Not here." end
          if r.path == "/never" then return "deny", "never" end
        end"#;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let says = [get("/no"), get("/never"), get("/")].concat();
    let (heard, seen, reason, _, denied) = serve(lua, &says);
    assert!(heard.starts_with("HTTP/1.1 451 ") && heard.contains("Not here."), "{heard}");
    assert!(heard.contains("HTTP/1.1 403 ") && heard.ends_with(OK), "{heard}");
    assert_eq!((seen.as_str(), reason, denied), ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Reason::Finished, 2));
}

#[test]
fn a_response_is_rejected_before_its_first_byte() {
    let lua =
        r#"function response(s, q, r) if r:header("Server") then return "reject", 502, "It tells too much." end end"#;
    let (heard, _, reason, _, _) = serve(lua, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 502 ") && heard.contains("It tells too much."), "{heard}");
    assert_eq!(reason, Reason::PolicyDenied);
}

#[test]
fn what_the_script_makes_is_held_to_the_policy() {
    // DELETE is not among the methods of the default.
    let (heard, seen, ..) =
        serve("function request(s, r) r.method = 'DELETE' end", "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 405 ") || heard.starts_with("HTTP/1.1 403 "), "{heard}");
    assert_eq!(seen, "");
}

#[test]
fn a_script_that_fails_ends_its_session() {
    for lua in [
        "function request(s, r) while true do end end",
        "function request(s, r) r.url = 'ftp://a/' end",
        "function request(s, r) r:set_header('Content-Length', '5') end",
        "function route(s) return 'nowhere' end",
        "function response(s, q, r) error('no') end",
    ] {
        let (heard, _, reason, _, _) = serve(lua, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(heard.starts_with("HTTP/1.1 500 ") && !heard.contains("ok"), "{lua}: {heard}");
        assert_eq!(reason, Reason::ScriptFailed, "{lua}");
    }
    let (heard, seen, reason, connected, _) =
        serve("function session(s) return false end", "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((&*heard, &*seen, reason, connected), ("", "", Reason::PolicyDenied, vec![]));
    let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    let (heard, ..) = serve("function request(s, r) r.method = 'GET' end", body);
    assert!(heard.starts_with("HTTP/1.1 500 "), "a body is not to be hidden behind a GET: {heard}");
}
