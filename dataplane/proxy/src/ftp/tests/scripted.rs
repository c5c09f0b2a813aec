//! Scripts at sessions and commands.

use std::sync::Arc;

use super::peer::{CLIENT, Cut, SERVER, play, play_cut};
use crate::ftp::Settings;
use crate::host::Target;
use crate::outcome::Reason;
use crate::script;

fn settings(lua: &str) -> Settings {
    let script = script::Settings::new("test", lua, 1 << 20, 100_000).expect("it is good");
    Settings { script: Some(Arc::new(script)), ..Settings::default() }
}

#[test]
fn commands_are_seen_changed_and_refused() {
    let settings = settings(
        r#"function command(s, c)
             if c.verb == "PASS" then assert(c.argument == "", "passwords are not shown") end
             if c.verb == "CWD" then
               assert(c.user == "joe")
               c.argument = "/pub/" .. c.argument
             end
             if c.verb == "DELE" then return "reject", 553, "Nothing is deleted here" end
             if c.verb == "RMD" then return "deny", "no" end
           end
           function route(s) return "10.1.1.1" end"#,
    );
    let (outcome, host) = play_cut(&settings, |mut played| async move {
        played.logs_in().await;
        played.client.says("CWD a").await;
        played.server.expects("CWD /pub/a").await;
        played.server.says("250 there").await;
        played.client.expects("250 there").await;
        played.client.says("DELE a").await;
        played.client.expects("553 Nothing is deleted here").await;
        played.client.says("RMD a").await;
        played.client.expects("550 Command is not permitted by the gateway").await;
        played.quits().await;
    });
    assert_eq!(outcome.reason, Reason::Finished, "{:?}", host.lines());
    assert_eq!(host.connected()[0].1, Target::Address("10.1.1.1:21".parse().expect("it is an address")));
}

#[test]
fn a_script_that_fails_ends_its_session() {
    for lua in [
        "function command(s, c) if c.verb == 'PWD' then while true do end end end",
        "function command(s, c) if c.verb == 'PWD' then c.argument = 'a\\r\\nDELE b' end end",
    ] {
        let (outcome, _) = play(settings(lua), Cut::Whole, (CLIENT, SERVER), |mut played| async move {
            played.logs_in().await;
            played.client.says("PWD").await;
            played.client.expects("421 The session is not permitted by the gateway").await;
        });
        assert_eq!(outcome.reason, Reason::ScriptFailed, "{lua}");
    }
    let (outcome, host) =
        play(settings("function session(s) return false end"), Cut::Whole, (CLIENT, SERVER), |_| async {});
    assert_eq!((outcome.reason, host.connected().len()), (Reason::PolicyDenied, 0));
}
