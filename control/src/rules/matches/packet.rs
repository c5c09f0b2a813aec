//! Matches on the first packet: pkttype, length, ttl, hl.
//! What a value means for a flow is the policy's matter; here is how it is written, checked and printed.

use super::super::criteria::{Compare, Match, Not, PacketType};
use super::super::modules::{Draft, Facts, Given, Made, Module, number_range, within};
use super::super::options::Spec;

pub(super) static PKTTYPE: Module = Module {
    name: "pkttype",
    spelled: "-m pkttype",
    options: &[Spec::value("pkt-type").not()],
    new: || Box::new(PacketTypeDraft(None)),
};

struct PacketTypeDraft(Option<Not<PacketType>>);

impl Draft for PacketTypeDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let kind = match &*given.value.to_ascii_lowercase() {
            "unicast" | "host" => PacketType::Unicast,
            "broadcast" | "bcast" => PacketType::Broadcast,
            "multicast" | "mcast" => PacketType::Multicast,
            _ => return Err(format!("`{}` is no packet type: unicast, broadcast or multicast", given.value)),
        };
        self.0 = given.not(kind);
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::PacketType(self.0.clone().ok_or("`-m pkttype` needs `--pkt-type`")?)))
    }
}

pub(super) static LENGTH: Module = Module {
    name: "length",
    spelled: "-m length",
    options: &[Spec::value("length").not()],
    new: || Box::new(LengthDraft(None)),
};

struct LengthDraft(Option<Not<(u16, u16)>>);

impl Draft for LengthDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let (first, last) = number_range(given.value, u64::from(u16::MAX))?;
        self.0 = given.not((first as u16, last as u16));
        Ok(())
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        Ok(Made::Match(Match::Length(self.0.clone().ok_or("`-m length` needs `--length`")?)))
    }
}

const TTL_EQ: Spec = Spec::value("ttl-eq").not();

pub(super) static TTL: Module = Module {
    name: "ttl",
    spelled: "-m ttl",
    options: &[TTL_EQ, TTL_EQ.alias("ttl"), Spec::value("ttl-lt"), Spec::value("ttl-gt")],
    new: || Box::new(HopsDraft { v6: false, hops: None }),
};

pub(super) static HL: Module = Module {
    name: "hl",
    spelled: "-m hl",
    options: &[Spec::value("hl-eq").not(), Spec::value("hl-lt"), Spec::value("hl-gt")],
    new: || Box::new(HopsDraft { v6: true, hops: None }),
};

struct HopsDraft {
    v6: bool,
    hops: Option<(Compare, u8)>,
}

impl Draft for HopsDraft {
    fn option(&mut self, given: &Given<'_>) -> Result<(), String> {
        let compare = match given.option {
            "ttl-lt" | "hl-lt" => Compare::Less,
            "ttl-gt" | "hl-gt" => Compare::Greater,
            _ if given.not => Compare::NotEqual,
            _ => Compare::Equal,
        };
        let number = within(given.value, 0, 255)? as u8;
        match self.hops.replace((compare, number)) {
            Some(_) => Err("one comparison is possible".to_owned()),
            None => Ok(()),
        }
    }

    fn finish(&self, _: &mut Facts<'_>) -> Result<Made, String> {
        let (compare, number) = self.hops.ok_or("the match needs `-eq`, `-lt` or `-gt`")?;
        Ok(Made::Match(if self.v6 { Match::HopLimit(compare, number) } else { Match::Ttl(compare, number) }))
    }
}
