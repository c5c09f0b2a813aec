//! The command line's end of the control socket: one request, one answer, blocking.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::limits::REPLY_BYTES_MAX;

/// Asks the gateway behind one control socket.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Runtime,
}

/// Why there is no answer, or a refusal.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens there.
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        error: io::Error,
    },
    /// The socket is there, but not for us.
    NotPermitted {
        /// The socket.
        path: PathBuf,
    },
    /// The gateway has understood and says no.
    Refused {
        /// HTTP status code.
        status: u16,
        /// Its sentence.
        error: String,
        /// The kernel's name for it, for tproxy requests.
        errno: Option<String>,
    },
    /// Something else went wrong on the way.
    Broken(String),
}

impl Client {
    /// A client for the gateway at `path`. Connects with each request.
    pub fn new(path: impl AsRef<Path>) -> io::Result<Client> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Client { path: path.as_ref().to_owned(), runtime })
    }

    /// GET: the JSON at a path with its query.
    pub fn get(&self, path: &str) -> Result<Value, ClientError> {
        parse(&self.get_text(path)?)
    }

    /// GET: the text at a path with its query.
    pub fn get_text(&self, path: &str) -> Result<String, ClientError> {
        self.runtime.block_on(self.ask(Method::GET, path, String::new()))
    }

    /// POST: sends JSON, gives the JSON that comes back.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        parse(&self.runtime.block_on(self.ask(Method::POST, path, body.to_string()))?)
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<String, ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "limpid")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await.map_err(broken)?.to_bytes();
        drop(sender);
        // The answer is complete; how the connection ended does not matter any more.
        let _ = connection.await;
        let text = String::from_utf8(bytes.into()).map_err(broken)?;
        if status.is_success() { Ok(text) } else { Err(refused(status.as_u16(), &text)) }
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path },
            _ => ClientError::NotRunning { path, error },
        }
    }
}

fn parse(text: &str) -> Result<Value, ClientError> {
    serde_json::from_str(text).map_err(broken)
}

fn broken(error: impl fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

fn refused(status: u16, text: &str) -> ClientError {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let error = field("error").unwrap_or_else(|| format!("HTTP status {status}"));
    ClientError::Refused { status, error, errno: field("errno") }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NotRunning { path, error } => {
                write!(f, "{}: {error}; is limpid running?", path.display())
            }
            ClientError::NotPermitted { path } => {
                write!(f, "{}: permission denied; be root or in the socket's group", path.display())
            }
            ClientError::Refused { error, errno: Some(errno), .. } => write!(f, "{errno}: {error}"),
            ClientError::Refused { error, .. } => f.write_str(error),
            ClientError::Broken(error) => write!(f, "the gateway's answer broke off: {error}"),
        }
    }
}

impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests;
