//! What the command line hears when nobody, or somebody else, is at the other end.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn nobody_there_asks_whether_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::new(folder.path().join("control.sock")).expect("a runtime");
    let error = client.get("/v1/status").expect_err("nobody is there");
    assert!(matches!(error, ClientError::NotRunning { .. }));
    assert!(error.to_string().ends_with("is limpid running?"), "{error}");
}

/// The client's error when somebody answers with exactly these bytes.
fn hears(answer: &'static str) -> Result<Value, ClientError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut request = [0; 4096];
        let length = stream.read(&mut request).expect("a request");
        stream.write_all(answer.as_bytes()).expect("it listens");
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let heard = Client::new(path).expect("a runtime").get("/v1/status");
    let request = other.join().expect("no panic");
    assert!(request.starts_with("GET /v1/status HTTP/1.1\r\n"), "{request}");
    heard
}

#[test]
fn answers_and_refusals() {
    assert_eq!(hears("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("an answer"), serde_json::json!({}));
    let refused = "HTTP/1.1 409 Conflict\r\ncontent-length: 38\r\n\r\n{\"error\":\"it is so\",\"errno\":\"EEXIST\"} ";
    let error = hears(refused).expect_err("refused");
    assert!(matches!(&error, ClientError::Refused { status: 409, errno: Some(_), .. }), "{error:?}");
    assert_eq!(error.to_string(), "EEXIST: it is so");
    let bare = hears("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops").expect_err("refused");
    assert_eq!(bare.to_string(), "HTTP status 500");
}

#[test]
fn what_is_no_answer_is_an_error_and_no_panic() {
    for answer in [
        "",
        "\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\u{fe}",
    ] {
        assert!(matches!(hears(answer), Err(ClientError::Broken(_))), "{answer:?}");
    }
}
