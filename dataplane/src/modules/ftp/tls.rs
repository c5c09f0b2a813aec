//! `tls: {…}` of an FTP service: certificates and authorities are read with the configuration.

use std::path::Path;

use control::config::decode::{self, Mapping};
use control::config::tree::Node;
use control::faults::Faults;
use control::modules::Reading;
use proxy::ftp::settings::{ClientTls, ServerName, ServerTls, Tls, When};
use proxy::tls::certificates;
use proxy::tls::clock::Clock;
use proxy::tls::ends::{Oldest, ToClient, ToServer};
use proxy::tls::verify::Trust;

const OLDEST: &[(&str, Oldest)] = &[("1.2", Oldest::Tls12), ("1.3", Oldest::Tls13)];

/// Reads the section.
pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Tls {
    let mut tls = Tls::default();
    let Some(mut mapping) = Mapping::new(node, "`tls`", reading.faults) else { return tls };
    if let Some(node) = mapping.get("client") {
        tls.client = client(node, &tls.clock, reading);
    }
    if let Some(node) = mapping.get("server") {
        tls.server = server(node, &tls.clock, reading);
    }
    if let Some(flag) = flag(&mut mapping, "permit_truncation", "`permit_truncation`", reading.faults) {
        tls.truncation_permitted = flag;
    }
    mapping.finish(reading.faults);
    tls
}

fn client(node: &Node, clock: &Clock, reading: &mut Reading<'_>) -> Option<ClientTls> {
    let mut mapping = Mapping::new(node, "`client`", reading.faults)?;
    let certificate = mapping.require("certificate", node, reading.faults);
    let key = mapping.require("key", node, reading.faults);
    let texts = certificate.and_then(|node| file(node, reading)).zip(key.and_then(|node| file(node, reading)));
    let required = flag(&mut mapping, "required", "`required`", reading.faults).unwrap_or(false);
    let private_data = flag(&mut mapping, "private_data", "`private_data`", reading.faults).unwrap_or(false);
    let ends = ToClient::new(oldest(&mut mapping, reading.faults), clock);
    mapping.finish(reading.faults);
    let (certificates, key) = texts?;
    match certificates::read(&certificates, &key) {
        Ok(certificate) => Some(ClientTls { ends, certificate, required, private_data }),
        Err(error) => {
            reading.faults.add(node.place.clone(), format!("the certificate cannot be used: {error}"));
            None
        }
    }
}

fn server(node: &Node, clock: &Clock, reading: &mut Reading<'_>) -> Option<ServerTls> {
    const WHEN: &[(&str, When)] = &[("always", When::Always), ("follow", When::Follow)];
    const UNTRUSTED: &[(&str, bool)] = &[("deny", true), ("permit", false)];
    let mut mapping = Mapping::new(node, "`server`", reading.faults)?;
    let choice = mapping.get("when").and_then(|node| decode::choice(node, "`when`", WHEN, reading.faults));
    let when = choice.unwrap_or_default();
    let choice =
        mapping.get("untrusted").and_then(|node| decode::choice(node, "`untrusted`", UNTRUSTED, reading.faults));
    let demand = choice.unwrap_or(true);
    // Without lists nothing is known of revocation; with them every authority has to have one.
    let lists = mapping.get("revocation_lists");
    let mut trust = Trust::default();
    trust.missing_list_permitted = lists.is_none();
    for node in lists.map(decode::some).unwrap_or_default() {
        if let Some(text) = file(node, reading) {
            added(trust.add_lists(&text), node, "revocation list", reading.faults);
        }
    }
    authorities(&mut trust, mapping.get("authorities"), node, demand, reading);
    let name = mapping.get("name").and_then(|node| server_name(node, reading.faults));
    let private_data = flag(&mut mapping, "private_data", "`private_data`", reading.faults).unwrap_or(true);
    let oldest = oldest(&mut mapping, reading.faults);
    mapping.finish(reading.faults);
    Some(ServerTls { ends: ToServer::new(trust, oldest, clock), name, when, demand, private_data })
}

/// `system`, files, or both; the system's where nothing is said.
fn authorities(trust: &mut Trust, said: Option<&Node>, node: &Node, demand: bool, reading: &mut Reading<'_>) {
    let Some(said) = said else {
        if demand {
            added(trust.add_system_authorities(), node, "authority of the system", reading.faults);
        }
        return;
    };
    for node in decode::some(said) {
        if decode::text(node, "the authority", reading.faults) == Some("system") {
            added(trust.add_system_authorities(), node, "authority of the system", reading.faults);
        } else if let Some(text) = file(node, reading) {
            added(trust.add_authorities(&text), node, "authority", reading.faults);
        }
    }
}

fn added(count: Result<usize, String>, node: &Node, what: &str, faults: &mut Faults) {
    match count {
        Ok(0) => faults.add(node.place.clone(), format!("there is no {what}")),
        Ok(_) => {}
        Err(error) => faults.add(node.place.clone(), format!("{what}: {error}")),
    }
}

fn file(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let path = decode::text(node, "the file", reading.faults)?;
    match (reading.read_file)(Path::new(path)) {
        Ok(text) => Some(text),
        Err(error) => {
            reading.faults.add(node.place.clone(), format!("`{path}` cannot be read: {error}"));
            None
        }
    }
}

fn server_name(node: &Node, faults: &mut Faults) -> Option<ServerName<'static>> {
    let word = decode::text(node, "`name`", faults)?;
    let name = ServerName::try_from(word.to_owned()).ok();
    if name.is_none() {
        faults.add(node.place.clone(), format!("`name` is `{word}`, a host's name or address was expected"));
    }
    name
}

fn oldest(mapping: &mut Mapping<'_>, faults: &mut Faults) -> Oldest {
    mapping.get("oldest").and_then(|node| decode::choice(node, "`oldest`", OLDEST, faults)).unwrap_or_default()
}

fn flag(mapping: &mut Mapping<'_>, key: &'static str, what: &str, faults: &mut Faults) -> Option<bool> {
    mapping.get(key).and_then(|node| decode::boolean(node, what, faults))
}
