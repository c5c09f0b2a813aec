//! Heads on their way on in HTTP/2: what is said to the other side's hop, and fields that frame nothing there left out.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};

use crate::http::body::Trailers;
use crate::http::event::Event;
use crate::http::forward::announce;
use crate::http::head::{Answered, Asked, Body};
use crate::http::headers::{HeaderFault, Headers};
use crate::http::settings::Settings;

/// RFC 9113, 8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." Policy and
/// scripts may have set some.
const NOT_IN_TWO: &[&str] =
    &["Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "TE"];

/// The head of a request as the server gets it.
pub(super) fn request(settings: &Settings, asked: &Asked, client: IpAddr) -> Result<Request<()>, Event> {
    let (url, mut headers) = (&asked.request.url, asked.request.headers.clone());
    let written = headers.get("Host").filter(|_| !settings.rewrite_host).map(<[u8]>::to_vec);
    let authority = written.unwrap_or_else(|| url.authority().into_bytes());
    headers.remove("Host");
    announce(settings, &mut headers, asked.request.version, client).map_err(large)?;
    frame(&mut headers, asked.body).map_err(large)?;
    if asked.hop.trailers && settings.trailers == Trailers::Pass {
        headers.set("TE", b"trailers").map_err(large)?;
    }
    let mut parts = Parts::default();
    parts.scheme = Scheme::try_from(url.scheme().as_str()).ok();
    parts.authority = Some(Authority::try_from(authority.as_slice()).map_err(|_| Event::HostInvalid)?);
    parts.path_and_query = Some(PathAndQuery::try_from(url.target()).map_err(|_| Event::UrlInvalid)?);
    let method = asked.request.method.as_str().as_bytes();
    let mut request = Request::new(());
    *request.method_mut() = http::Method::from_bytes(method).map_err(|_| Event::RequestLine)?;
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Event::UrlInvalid)?;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = map(&headers)?;
    Ok(request)
}

/// The head of a response as the client gets it.
pub(super) fn response(settings: &Settings, answered: &Answered) -> Result<Response<()>, Event> {
    let mut headers = answered.response.headers.clone();
    let status = answered.response.status;
    // To a HEAD and with 304 a length tells of another response.
    match answered.body {
        Body::None if status >= 200 && status != 204 => drop(strip(&mut headers)),
        body => frame(&mut headers, body).map_err(large)?,
    }
    if settings.trailers != Trailers::Pass {
        headers.remove("Trailer");
    }
    if let Some(via) = settings.via.as_ref().filter(|_| status >= 200) {
        headers.insert("Via", format!("2.0 {via}").as_bytes()).map_err(large)?;
    }
    let mut response = Response::new(());
    // A script may have made it a status that is none.
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Event::StatusLine)?;
    *response.version_mut() = Version::HTTP_2;
    *response.headers_mut() = map(&headers)?;
    Ok(response)
}

/// A page of our own.
pub(super) fn page(status: u16, fields: &[(&'static str, String)]) -> Result<Response<()>, Event> {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.insert(name, value.as_bytes()).map_err(large)?;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Event::StatusLine)?;
    *response.headers_mut() = map(&headers)?;
    Ok(response)
}

/// Fields in the library's form; names get small letters.
pub(super) fn map(headers: &Headers) -> Result<HeaderMap, Event> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Event::FieldName)?;
        let mut value = HeaderValue::from_bytes(value).map_err(|_| Event::FieldValue)?;
        // RFC 7541, 7.1.3: what can be guessed by the size of what is compressed with it is not put into the table. How a field
        // came is not kept, so these are never.
        value.set_sensitive(name == AUTHORIZATION || name == PROXY_AUTHORIZATION);
        map.try_append(name, value).map_err(|_| Event::FieldsMany)?;
    }
    Ok(map)
}

/// Content-Length is written from what the body is, whatever policy or a script made of it.
fn frame(headers: &mut Headers, body: Body) -> Result<(), HeaderFault> {
    strip(headers);
    headers.remove("Content-Length");
    match body {
        Body::Length(length) => headers.insert("content-length", length.to_string().as_bytes()),
        _ => Ok(()),
    }
}

fn strip(headers: &mut Headers) -> usize {
    NOT_IN_TWO.iter().map(|name| headers.remove(name)).sum()
}

fn large(_: HeaderFault) -> Event {
    Event::HeadLong
}
