//! What a copy has of the original, who signed it, and how long it is kept.

use std::time::Duration;

use rcgen::{DnType, date_time_ymd};
use rustls::pki_types::{ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Authority, Coin, Mint};
use crate::tls::limits;
use crate::tls::testing::{self, NOW};
use crate::tls::verify::{Distrust, Trust};

fn authority(of: &testing::Authority) -> Authority {
    Authority::new(&of.pem, &of.key_pem).expect("it is one")
}

#[test]
fn a_copy_is_the_original_by_our_authority() {
    let (world, ours) = (testing::Authority::new("world"), testing::Authority::new("ours"));
    let real = world.leaf(&["a.example", "*.b.example", "192.0.2.1", "2001:db8::1"], |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Größe & Söhne");
    });
    let mut mint = Mint::default();
    let (copy, coin) = mint.copy(&real.chain[0], &authority(&ours), Duration::ZERO).expect("it can be copied");
    assert_eq!(coin, Coin::Fresh);
    assert_eq!(copy.cert.len(), 1, "clients have the root");

    let mut trust = Trust::default();
    trust.add_authority(&ours.cert).expect("an authority");
    let now = UnixTime::since_unix_epoch(NOW);
    for (name, verdict) in [
        ("a.example", Ok(())),
        ("x.b.example", Ok(())),
        ("192.0.2.1", Ok(())),
        ("2001:db8::1", Ok(())),
        ("c.example", Err(Distrust::WrongName)),
    ] {
        let name = ServerName::try_from(name).expect("a name");
        assert_eq!(trust.judge(&copy.cert[0], &[], &name, now), verdict, "{name:?}");
    }
    let (_, real) = X509Certificate::from_der(&real.chain[0]).expect("a certificate");
    let (_, copy) = X509Certificate::from_der(&copy.cert[0]).expect("a certificate");
    assert_eq!(copy.subject().to_string(), real.subject().to_string());
    assert_eq!(copy.validity(), real.validity());
    assert_ne!(copy.raw_serial(), real.raw_serial());
    assert_eq!(copy.raw_serial().len(), 16);
}

#[test]
fn what_was_minted_is_kept_for_its_time_and_its_authority() {
    let (world, ours) = (testing::Authority::new("world"), testing::Authority::new("ours"));
    let (trusted, untrusted) = (authority(&ours), authority(&testing::Authority::new("untrusted")));
    let real = world.leaf(&["a.example"], |_| ());
    let mut mint = Mint::default();
    let mut coin = |authority: &Authority, at| mint.copy(&real.chain[0], authority, at).expect("it can be copied");
    let (first, fresh) = coin(&trusted, Duration::ZERO);
    assert_eq!(fresh, Coin::Fresh);
    let (second, kept) = coin(&trusted, limits::MINTED_AGE_MAX - Duration::from_secs(1));
    assert_eq!((second.cert[0] == first.cert[0], kept), (true, Coin::Kept));
    let (third, fresh) = coin(&untrusted, Duration::ZERO);
    assert_eq!((third.cert[0] == first.cert[0], fresh), (false, Coin::Fresh));
    let (fourth, fresh) = coin(&trusted, limits::MINTED_AGE_MAX);
    assert_eq!((fourth.cert[0] == first.cert[0], fresh), (false, Coin::Fresh));
}

#[test]
fn no_more_is_kept_than_the_bound() {
    let mut mint = Mint::default();
    let ours = testing::Authority::new("ours");
    let real = ours.leaf(&["a.example"], |_| ());
    let (certificate, _) = mint.copy(&real.chain[0], &authority(&ours), Duration::ZERO).expect("it can be copied");
    for number in 0..2 * limits::MINTED_MAX as u64 {
        let mut place = [0; 32];
        place[..8].copy_from_slice(&number.to_be_bytes());
        let minted = super::Minted { certificate: certificate.clone(), until: Duration::MAX };
        mint.minted.insert(([0; 32], place), minted);
        assert!(mint.minted.len() <= limits::MINTED_MAX);
    }
}

#[test]
fn the_chain_has_what_clients_do_not_have() {
    let root = testing::Authority::new("root");
    let middle = root.below("middle");
    let real = testing::Authority::new("world").leaf(&["a.example"], |_| ());
    let chained = Authority::new(&(middle.pem.clone() + &root.pem), &middle.key_pem).expect("it is one");
    let (copy, _) = Mint::default().copy(&real.chain[0], &chained, Duration::ZERO).expect("it can be copied");
    assert_eq!(copy.cert[1..], *std::slice::from_ref(&middle.cert));
    let mut trust = Trust::default();
    trust.add_authority(&root.cert).expect("an authority");
    let name = ServerName::try_from("a.example").expect("a name");
    assert_eq!(trust.judge(&copy.cert[0], &copy.cert[1..], &name, UnixTime::since_unix_epoch(NOW)), Ok(()));
}

#[test]
fn an_expired_original_makes_an_expired_copy() {
    let ours = testing::Authority::new("ours");
    let real = ours.leaf(&["a.example"], |params| params.not_after = date_time_ymd(2025, 6, 1));
    let (copy, _) = Mint::default().copy(&real.chain[0], &authority(&ours), Duration::ZERO).expect("it can be copied");
    let mut trust = Trust::default();
    trust.add_authority(&ours.cert).expect("an authority");
    let name = ServerName::try_from("a.example").expect("a name");
    let verdict = trust.judge(&copy.cert[0], &[], &name, UnixTime::since_unix_epoch(NOW));
    assert_eq!(verdict, Err(Distrust::Expired));
}

#[test]
fn names_are_bounded() {
    let ours = testing::Authority::new("ours");
    let many: Vec<String> = (0..=limits::NAMES_COPIED_MAX).map(|number| format!("n{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let real = ours.leaf(&many, |_| ());
    let (copy, _) = Mint::default().copy(&real.chain[0], &authority(&ours), Duration::ZERO).expect("it can be copied");
    let (_, copy) = X509Certificate::from_der(&copy.cert[0]).expect("a certificate");
    let names = copy.subject_alternative_name().expect("it is good").expect("it has names");
    assert_eq!(names.value.general_names.len(), limits::NAMES_COPIED_MAX);
}

#[test]
fn what_is_no_authority_is_told() {
    let (ours, other) = (testing::Authority::new("ours"), testing::Authority::new("other"));
    let leaf = ours.leaf(&["a.example"], |_| ());
    for (certificate, key, expected) in [
        ("", &*ours.key_pem, "there is no certificate in it"),
        (&*ours.pem, "", "its key"),
        (&*ours.pem, &*other.key_pem, "the key is another one's"),
        (&*leaf.pem, &*leaf.key_pem, "no authority's certificate"),
    ] {
        let error = Authority::new(certificate, key).expect_err("it is none");
        assert!(error.contains(expected), "{error}");
    }
    assert!(Mint::default().copy(&vec![1, 2].into(), &authority(&ours), Duration::ZERO).is_err());
}
