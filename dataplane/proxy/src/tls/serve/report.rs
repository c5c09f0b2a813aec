//! What is put on record of a handshake: `tls.handshake`, one for each session, when it is decided what became of it.

use std::time::Duration;

use rustls::ProtocolVersion;

use crate::record::Record;
use crate::tls::hello::Hello;
use crate::tls::policy::{Action, EchKind};
use crate::tls::verify::{Distrust, Verdict};

/// Gathered as it becomes known.
#[derive(Debug, Default)]
pub(super) struct Report {
    decided: Option<(&'static str, String)>,
    hello: Option<Said>,
    verdict: Option<Verdict>,
    server: Option<(Option<ProtocolVersion>, Option<String>)>,
    client: Option<Option<ProtocolVersion>>,
    minted: Option<&'static str>,
}

/// What the client said.
#[derive(Debug)]
struct Said {
    name: Option<String>,
    alpn: String,
    ja3: String,
    ja4: String,
    ech: EchKind,
}

impl Report {
    pub(super) fn decided(&mut self, action: Action, rule: &str) {
        self.decided = Some((action.name(), rule.to_owned()));
    }

    pub(super) fn hello(&mut self, hello: &Hello, ech: EchKind) {
        let alpn: Vec<_> = hello.alpn().iter().map(|protocol| String::from_utf8_lossy(protocol)).collect();
        self.hello = Some(Said {
            name: hello.server_name().map(str::to_owned),
            alpn: alpn.join(","),
            ja3: hello.ja3(),
            ja4: hello.ja4().to_string(),
            ech,
        });
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    pub(super) fn server(&mut self, version: Option<ProtocolVersion>, alpn: Option<&[u8]>) {
        self.server = Some((version, alpn.map(|protocol| String::from_utf8_lossy(protocol).into_owned())));
    }

    pub(super) fn client(&mut self, version: Option<ProtocolVersion>) {
        self.client = Some(version);
    }

    pub(super) fn minted(&mut self, by: &'static str) {
        self.minted = Some(by);
    }

    pub(super) fn into_record(self, result: &'static str, took: Duration) -> Record {
        let mut record = Record::new("tls.handshake");
        if let Some((action, rule)) = self.decided {
            record = record.with("action", action).with("rule", rule);
        }
        if let Some(said) = self.hello {
            if let Some(name) = said.name {
                record = record.with("sni", name);
            }
            record = record.with("alpn_offered", said.alpn).with("ja3", said.ja3).with("ja4", said.ja4);
            match said.ech {
                EchKind::Absent => {}
                EchKind::Grease => record = record.with("ech", "grease"),
                EchKind::Real => record = record.with("ech", "real"),
            }
        }
        if let Some(verdict) = self.verdict {
            record = record.with("certificate", verdict.map_or_else(Distrust::name, |()| "trusted"));
        }
        if let Some((server, alpn)) = self.server {
            record = record.with("server_version", version(server));
            if let Some(alpn) = alpn {
                record = record.with("alpn", alpn);
            }
        }
        if let Some(by) = self.minted {
            record = record.with("minted_by", by);
        }
        if let Some(client) = self.client {
            record = record.with("client_version", version(client));
        }
        record.with("result", result).with("took_ms", u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "unknown",
    }
}
