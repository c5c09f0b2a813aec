//! Lines as they stand in the file, with what could break them.

use super::*;

fn said() -> Said {
    Said {
        message: "session ended".to_owned(),
        fields: vec![
            ("session", "svc/web:0/7".into()),
            ("rule", "iptables.conf:3".into()),
            ("reason", "it's\nover\\".into()),
            ("to_server", 12.into()),
        ],
    }
}

#[test]
fn zorps_lines() {
    assert_eq!(
        zorp_line("core.summary", 4, &said()),
        r"core.summary(4): (svc/web:0/7): session ended; rule='iptables.conf:3', reason='it\'s\x0aover\\', to_server='12'"
    );
    let bare = Said { message: "ready".to_owned(), fields: Vec::new() };
    assert_eq!(zorp_line("core.info", 3, &bare), "core.info(3): (nosession): ready");
}

#[test]
fn json_lines() {
    let line = json_line("2026-01-01T00:00:00.000000Z", "INFO", "core.summary", said());
    assert_eq!(line["session"], "svc/web:0/7");
    assert_eq!(line["to_server"], 12);
    assert_eq!(line["message"], "session ended");
    assert!(!line.to_string().contains('\n'), "one line");
}

#[test]
fn dates() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (951_868_800, "2000-03-01T00:00:00.000000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ] {
        assert_eq!(iso(seconds * 1_000_000), text);
    }
    assert_eq!(iso(1_000_007), "1970-01-01T00:00:01.000007Z");
}
