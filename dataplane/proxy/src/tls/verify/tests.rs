//! Each verdict by a certificate that has just that fault.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Distrust, Trust, Verdict, names_of};
use crate::tls::testing::{Authority, Leaf, NOW};

fn judge(trust: &Trust, leaf: &Leaf, between: &[&Authority], name: &str) -> Verdict {
    let name = ServerName::try_from(name).expect("a name");
    let between: Vec<CertificateDer<'static>> = between.iter().map(|authority| authority.cert.clone()).collect();
    trust.judge(&leaf.chain[0], &between, &name, UnixTime::since_unix_epoch(NOW))
}

fn trusting(root: &Authority) -> Trust {
    let mut trust = Trust::default();
    assert_eq!(trust.add_authorities(&root.pem), Ok(1));
    trust
}

fn plain(_: &mut CertificateParams) {}

#[test]
fn every_verdict() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let trust = trusting(&root);
    let good = root.leaf(&["a.example", "*.b.example", "192.0.2.1"], plain);
    for (name, verdict) in [
        ("a.example", Ok(())),
        ("x.b.example", Ok(())),
        ("192.0.2.1", Ok(())),
        ("b.example", Err(Distrust::WrongName)),
        ("x.y.b.example", Err(Distrust::WrongName)),
        ("192.0.2.2", Err(Distrust::WrongName)),
    ] {
        assert_eq!(judge(&trust, &good, &[], name), verdict, "{name}");
    }
    let expired = root.leaf(&["a.example"], |params| params.not_after = date_time_ymd(2025, 12, 31));
    assert_eq!(judge(&trust, &expired, &[], "a.example"), Err(Distrust::Expired));
    let early = root.leaf(&["a.example"], |params| params.not_before = date_time_ymd(2026, 1, 2));
    assert_eq!(judge(&trust, &early, &[], "a.example"), Err(Distrust::NotYetValid));
    assert_eq!(judge(&trust, &other.leaf(&["a.example"], plain), &[], "a.example"), Err(Distrust::UnknownIssuer));
    let client = root.leaf(&["a.example"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(judge(&trust, &client, &[], "a.example"), Err(Distrust::Unfit));
    let name = ServerName::try_from("a.example").expect("a name");
    let now = UnixTime::since_unix_epoch(NOW);
    assert_eq!(trust.judge(&other.cert, &[], &name, now), Err(Distrust::SelfSigned));
    assert_eq!(trust.judge(&CertificateDer::from(vec![1, 2, 3]), &[], &name, now), Err(Distrust::Unfit));
    let unnamed = Trust { check_name: false, ..trusting(&root) };
    assert_eq!(judge(&unnamed, &good, &[], "c.example"), Ok(()));
}

#[test]
fn depth() {
    let root = Authority::new("root");
    let first = root.below("first");
    let second = first.below("second");
    let leaf = second.leaf(&["a.example"], plain);
    let deep = |depth_max| Trust { depth_max, ..trusting(&root) };
    assert_eq!(judge(&deep(2), &leaf, &[&second, &first], "a.example"), Ok(()));
    assert_eq!(judge(&deep(1), &leaf, &[&second, &first], "a.example"), Err(Distrust::TooDeep));
    assert_eq!(judge(&deep(2), &leaf, &[&second], "a.example"), Err(Distrust::UnknownIssuer));
}

#[test]
fn revocation() {
    let root = Authority::new("root");
    let middle = root.below("middle");
    let serial = |serial: &'static [u8]| {
        move |p: &mut CertificateParams| p.serial_number = Some(SerialNumber::from_slice(serial))
    };
    let (bad, good) = (root.leaf(&["a.example"], serial(&[5])), root.leaf(&["a.example"], serial(&[6])));
    let below = middle.leaf(&["a.example"], plain);

    let mut trust = trusting(&root);
    assert_eq!(judge(&trust, &bad, &[], "a.example"), Ok(()), "without lists nothing is revoked");
    assert_eq!(trust.add_lists(&root.crl(&[&[5]])), Ok(1));
    assert_eq!(judge(&trust, &bad, &[], "a.example"), Err(Distrust::Revoked));
    assert_eq!(judge(&trust, &good, &[], "a.example"), Ok(()));
    assert_eq!(judge(&trust, &below, &[&middle], "a.example"), Err(Distrust::NoRevocationList));
    trust.missing_list_permitted = true;
    assert_eq!(judge(&trust, &below, &[&middle], "a.example"), Ok(()));
    assert_eq!(judge(&trust, &bad, &[], "a.example"), Err(Distrust::Revoked));

    // The list is of the past a year later, and so is nothing.
    let later = UnixTime::since_unix_epoch(NOW + std::time::Duration::from_secs(350 * 86_400));
    let name = ServerName::try_from("a.example").expect("a name");
    assert_eq!(trust.judge(&good.chain[0], &[], &name, later), Err(Distrust::NoRevocationList));
}

#[test]
fn files_that_are_none() {
    let mut trust = Trust::default();
    assert_eq!(trust.add_authorities("no PEM at all"), Ok(0));
    assert!(trust.add_authorities("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    assert!(trust.add_lists("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").is_err());
    assert_eq!(trust.authorities(), 0);
}

#[test]
fn names() {
    let leaf = Authority::new("root").leaf(&["A.example", "*.b.example"], plain);
    assert_eq!(names_of(&leaf.chain[0]), ["a.example", "*.b.example"]);
    assert!(names_of(&CertificateDer::from(vec![0])).is_empty());
}

#[test]
fn every_fault_has_its_name_and_words() {
    let names: std::collections::HashSet<&str> = Distrust::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), Distrust::ALL.len());
    assert!(Distrust::ALL.iter().all(|fault| fault.to_string().starts_with(|c: char| c.is_ascii_lowercase())));
}
