//! Heads on their way on: what is said to the other side's hop, in the client's and server's own order and case.

use std::io::Write;
use std::net::IpAddr;

use bytes::Bytes;

use super::body::{Framing, Trailers};
use super::head::{Answered, Asked, Body};
use super::headers::{HeaderFault, Headers};
use super::message::{Form, Request, Version};
use super::policy::Route;
use super::settings::Settings;

/// The head of a request as the server gets it.
pub(super) fn request(
    settings: &Settings,
    asked: &Asked,
    route: Route,
    client: IpAddr,
    upgrade: Option<&[u8]>,
) -> Result<Bytes, HeaderFault> {
    let Request { method, url, headers, form, version } = &asked.request;
    let mut headers = headers.clone();
    let to_parent = matches!(route, Route::Parent(_));
    if settings.rewrite_host || !headers.contains("Host") {
        headers.set("Host", host(asked).as_bytes())?;
    }
    if settings.permit_proxy_requests && !to_parent {
        // RFC 9110, 11.7.2: it "applies only to the next inbound proxy that demanded authentication".
        headers.remove("Proxy-Authorization");
    }
    announce(settings, &mut headers, *version, client)?;
    frame(&mut headers, asked.body)?;
    if let Some(upgrade) = upgrade {
        headers.set("Upgrade", upgrade)?;
    }
    let trailers = asked.hop.trailers && settings.trailers == Trailers::Pass;
    if trailers {
        headers.set("TE", b"trailers")?;
    }
    let options = [(upgrade.is_some(), "Upgrade"), (trailers, "TE"), (!asked.hop.persistent, "close")];
    connection(&mut headers, &options)?;
    let mut head = Vec::with_capacity(headers.wire_len() + url.target().len() + 128);
    let _ = match form {
        Form::Authority => write!(head, "{method} {url} HTTP/1.1\r\n"),
        _ if to_parent => write!(head, "{method} {url} HTTP/1.1\r\n"),
        _ => write!(head, "{method} {} HTTP/1.1\r\n", url.target()),
    };
    finish(head, &headers)
}

/// How a response's body is said to this client, and whether the connection can go on after it.
pub(super) fn response_framing(body: Body, client: Version) -> (Framing, bool) {
    match (body, client) {
        (Body::None | Body::Length(_), _) => (Framing::Plain, true),
        (Body::Chunked | Body::UntilClose, Version::Http10) => (Framing::Plain, false),
        (Body::Chunked | Body::UntilClose, _) => (Framing::Chunked, true),
    }
}

/// The head of a response as the client gets it.
pub(super) fn response(
    settings: &Settings,
    answered: &Answered,
    client: Version,
    persistent: bool,
    keep_alive: bool,
) -> Result<Bytes, HeaderFault> {
    let mut headers = answered.response.headers.clone();
    let (framing, _) = response_framing(answered.body, client);
    let interim = answered.response.status < 200;
    match (answered.body, framing) {
        (Body::None, _) if interim || answered.response.status == 204 => frame(&mut headers, Body::None)?,
        // To a HEAD and with 304 they tell of another response.
        (Body::None, _) if client == Version::Http10 => drop(headers.remove("Transfer-Encoding")),
        (Body::None, _) => {}
        (Body::Length(length), _) => frame(&mut headers, Body::Length(length))?,
        (_, Framing::Chunked) => frame(&mut headers, Body::Chunked)?,
        (_, Framing::Plain) => frame(&mut headers, Body::None)?,
    }
    if settings.trailers != Trailers::Pass {
        headers.remove("Trailer");
    }
    if let Some(via) = settings.via.as_ref().filter(|_| !interim) {
        headers.insert(
            "Via",
            format!("{} {via}", answered.response.version.as_str().trim_start_matches("HTTP/")).as_bytes(),
        )?;
    }
    let upgrade = answered.response.status == 101;
    if let Some(upgrade) = answered.hop.upgrade.as_ref().filter(|_| upgrade) {
        headers.set("Upgrade", upgrade)?;
    }
    if !interim || upgrade {
        let options =
            [(upgrade, "Upgrade"), (!persistent && !upgrade, "close"), (keep_alive && persistent, "keep-alive")];
        connection(&mut headers, &options)?;
    }
    let mut head = Vec::with_capacity(headers.wire_len() + answered.response.reason.len() + 32);
    let _ = write!(head, "HTTP/1.1 {} ", answered.response.status);
    head.extend_from_slice(&answered.response.reason);
    head.extend_from_slice(b"\r\n");
    finish(head, &headers)
}

/// What Host says: that of the URL; for a tunnel with its port.
fn host(asked: &Asked) -> String {
    let url = &asked.request.url;
    if asked.request.form == Form::Authority { url.to_string() } else { url.authority() }
}

/// Who we are and who the client is, where the service says so.
pub(super) fn announce(
    settings: &Settings,
    headers: &mut Headers,
    version: Version,
    client: IpAddr,
) -> Result<(), HeaderFault> {
    if let Some(via) = &settings.via {
        headers.insert("Via", format!("{} {via}", version.as_str().trim_start_matches("HTTP/")).as_bytes())?;
    }
    if settings.forwarded_for {
        let before: Vec<&[u8]> = headers.get_all("X-Forwarded-For").collect();
        let client = client.to_string();
        let all = [before, vec![client.as_bytes()]].concat().join(&b", "[..]);
        headers.set("X-Forwarded-For", &all)?;
    }
    Ok(())
}

/// The fields that frame a body are written from what it is, whatever policy or a script made of them.
fn frame(headers: &mut Headers, body: Body) -> Result<(), HeaderFault> {
    match body {
        Body::Chunked => {
            headers.remove("Content-Length");
            headers.set("Transfer-Encoding", b"chunked")
        }
        Body::Length(length) => {
            headers.remove("Transfer-Encoding");
            headers.set("Content-Length", length.to_string().as_bytes())
        }
        Body::None | Body::UntilClose => {
            headers.remove("Transfer-Encoding");
            headers.remove("Content-Length");
            Ok(())
        }
    }
}

fn connection(headers: &mut Headers, options: &[(bool, &str)]) -> Result<(), HeaderFault> {
    headers.remove("Connection");
    let said: Vec<&str> = options.iter().filter(|(said, _)| *said).map(|(_, option)| *option).collect();
    if said.is_empty() { Ok(()) } else { headers.insert("Connection", said.join(", ").as_bytes()) }
}

fn finish(mut head: Vec<u8>, headers: &Headers) -> Result<Bytes, HeaderFault> {
    headers.write_to(&mut head);
    head.extend_from_slice(b"\r\n");
    Ok(Bytes::from(head))
}
