//! Requests and responses as a script sees them: fields, and methods for their headers.
//!
//! What must hold: nothing that a script sets can change where a message ends. Names and methods are tokens, values have
//! no line ends, and the headers that frame messages cannot be touched (RFC 9112 §6: they are the proxy's).

use std::net::SocketAddr;

use bytes::Bytes;
use mlua::{Error, Lua, LuaString, Result, UserData, UserDataFields, UserDataMethods};

use super::held::Held;
use super::limits::{HEADERS_MAX, VALUE_BYTES_MAX};
use super::view::{Changed, Headers, Request, Response};

/// Headers that say where a message ends or how it travels.
const FRAMING: [&[u8]; 9] = [
    b"connection",
    b"content-length",
    b"expect",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

impl UserData for Held<Request> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("method", |lua, this| lua.create_string(&this.get()?.method));
        fields.add_field_method_set("method", |_, this, method: LuaString| {
            let method = token("method", &method.as_bytes())?;
            let mut request = this.get_mut()?;
            // RFC 9112, §6.3: their responses end where no others do.
            let framed = |method: &[u8]| method == b"HEAD" || method == b"CONNECT";
            if framed(&request.method) || framed(&method) {
                return Err(Error::runtime("no method becomes HEAD or CONNECT, and these become no other"));
            }
            (request.method, request.changed.method) = (method, true);
            Ok(())
        });
        fields.add_field_method_get("url", |_, this| Ok(this.get()?.url.clone()));
        fields.add_field_method_set("url", |_, this, url: String| {
            if url.len() > VALUE_BYTES_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::runtime("a URL has no spaces, no signs beyond ASCII and at most 8 KiB"));
            }
            let mut request = this.get_mut()?;
            (request.url, request.changed.url) = (url, true);
            Ok(())
        });
        fields.add_field_method_get("host", |_, this| Ok(parts(&this.get()?.url).0.to_owned()));
        fields.add_field_method_get("path", |_, this| Ok(parts(&this.get()?.url).1.to_owned()));
        fields.add_field_method_get("query", |_, this| Ok(parts(&this.get()?.url).2.map(str::to_owned)));
        fields.add_field_method_get("version", |_, this| {
            Ok(match this.get()?.version {
                10 => "1.0",
                20 => "2",
                _ => "1.1",
            })
        });
        fields.add_field_method_get("server", |_, this| Ok(this.get()?.server.map(|server| server.to_string())));
        fields.add_field_method_set("server", |_, this, server: String| {
            let server: SocketAddr = server
                .parse()
                .map_err(|_| Error::runtime("a server is an address and a port: `10.0.0.5:80`, `[2001:db8::5]:80`"))?;
            this.get_mut()?.server = Some(server);
            Ok(())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        header_methods(methods);
    }
}

impl UserData for Held<Response> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("status", |_, this| Ok(this.get()?.status));
        fields.add_field_method_set("status", |_, this, status: u16| {
            // 1xx, 204 and 304 have no body: they would change where the message ends.
            if !(200..=599).contains(&status) || matches!(status, 204 | 205 | 304) {
                return Err(Error::runtime("a status that is set is 200 to 599, and none without a body"));
            }
            let mut response = this.get_mut()?;
            if !(200..=599).contains(&response.status) || matches!(response.status, 204 | 205 | 304) {
                return Err(Error::runtime("a response without a body stays one"));
            }
            (response.status, response.changed.status) = (status, true);
            Ok(())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        header_methods(methods);
    }
}

/// What has headers.
trait Message {
    fn headers(&self) -> &Headers;
    fn headers_mut(&mut self) -> (&mut Headers, &mut Changed);
}

impl Message for Request {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn headers_mut(&mut self) -> (&mut Headers, &mut Changed) {
        (&mut self.headers, &mut self.changed)
    }
}

impl Message for Response {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn headers_mut(&mut self) -> (&mut Headers, &mut Changed) {
        (&mut self.headers, &mut self.changed)
    }
}

fn header_methods<T: Message, M: UserDataMethods<Held<T>>>(methods: &mut M) {
    methods.add_method("header", |lua, this, name: LuaString| {
        let message = this.get()?;
        message.headers().get(&name.as_bytes()).map(|value| lua.create_string(value)).transpose()
    });
    methods.add_method("headers", |lua, this, name: LuaString| {
        strings(lua, this.get()?.headers().get_all(&name.as_bytes()))
    });
    methods
        .add_method("header_names", |lua, this, ()| strings(lua, this.get()?.headers().iter().map(|(name, _)| name)));
    methods.add_method("set_header", |_, this, (name, value): (LuaString, LuaString)| {
        let (name, value) = line(&name.as_bytes(), &value.as_bytes())?;
        let mut message = this.get_mut()?;
        let (headers, changed) = message.headers_mut();
        headers.set(name, value);
        changed.headers = true;
        room(headers)
    });
    methods.add_method("add_header", |_, this, (name, value): (LuaString, LuaString)| {
        once(&name.as_bytes())?;
        let (name, value) = line(&name.as_bytes(), &value.as_bytes())?;
        let mut message = this.get_mut()?;
        let (headers, changed) = message.headers_mut();
        headers.push(name, value);
        changed.headers = true;
        room(headers)
    });
    methods.add_method("remove_header", |_, this, name: LuaString| {
        once(&name.as_bytes())?;
        let name = header_name(&name.as_bytes())?;
        let mut message = this.get_mut()?;
        let (headers, changed) = message.headers_mut();
        let removed = headers.remove(&name);
        changed.headers |= removed;
        Ok(removed)
    });
}

fn strings<'a>(lua: &Lua, values: impl Iterator<Item = &'a Bytes>) -> Result<Vec<LuaString>> {
    values.map(|value| lua.create_string(value)).collect()
}

fn line(name: &[u8], value: &[u8]) -> Result<(Bytes, Bytes)> {
    // RFC 9110 §5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous"
    let value = value.trim_ascii();
    let bad = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if value.len() > VALUE_BYTES_MAX || value.iter().any(bad) {
        return Err(Error::runtime("a header's value has no control characters and at most 8 KiB"));
    }
    Ok((header_name(name)?, Bytes::copy_from_slice(value)))
}

fn header_name(name: &[u8]) -> Result<Bytes> {
    let token = token("header's name", name)?;
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(Error::runtime(format!(
            "`{}` says where a message ends, and is not for scripts",
            String::from_utf8_lossy(name)
        )));
    }
    Ok(token)
}

/// RFC 9112, §3.2: a server answers a request without a Host, or with two, by 400.
fn once(name: &[u8]) -> Result<()> {
    if name.eq_ignore_ascii_case(b"host") {
        return Err(Error::runtime("there is one `Host`: it can be set, not added or removed"));
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
fn token(what: &str, bytes: &[u8]) -> Result<Bytes> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if bytes.is_empty() || bytes.len() > 128 || !bytes.iter().all(good) {
        return Err(Error::runtime(format!("`{}` is no {what}", super::sandbox::line(bytes))));
    }
    Ok(Bytes::copy_from_slice(bytes))
}

fn room(headers: &Headers) -> Result<()> {
    if headers.len() > HEADERS_MAX {
        return Err(Error::runtime(format!("a message has at most {HEADERS_MAX} headers")));
    }
    Ok(())
}

/// Host, path and query of an absolute URL; of a CONNECT's `host:port` the host.
fn parts(url: &str) -> (&str, &str, Option<&str>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rfind(':').filter(|colon| !host[*colon..].contains(']'));
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    (&host[..port.unwrap_or(host.len())], path, query)
}
