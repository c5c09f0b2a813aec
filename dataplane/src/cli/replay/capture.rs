//! Captures, a packet at a time: pcap in both byte orders and resolutions, pcapng with its sections and interfaces.
//!
//! The formats are read by `pcap-parser`, which keeps one buffer and no file in memory. Here packets of every link
//! type become Ethernet frames, and packets of which only the beginning was captured get zeros for the rest: deciding
//! reads headers only, and the parser wants packets whole.

use std::fs::File;
use std::path::Path;

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// The reader's buffer, which must hold a block: packets of 256 KiB, the largest that tcpdump writes, and room.
const BUFFER: usize = 1 << 20;
/// Bytes of an IP packet, and of its link header, that zeros are put up to.
const FRAME_MAX: usize = 65_535 + 64;
/// Interfaces of one section: each takes memory, and captures of every interface of a large host have some hundreds.
const INTERFACES_MAX: usize = 65_536;

/// One packet.
pub(super) struct Captured<'a> {
    /// When, since 1970.
    pub(super) micros: u64,
    /// The interface, where the capture names it.
    pub(super) interface: Option<&'a str>,
    frame: &'a [u8],
}

impl Captured<'_> {
    /// As an Ethernet frame.
    pub(super) fn frame(&self) -> &[u8] {
        self.frame
    }
}

struct Interface {
    link: Linktype,
    name: Option<String>,
    per_second: u64,
    offset: i64,
}

/// Gives every packet of a capture to `each`.
pub(super) fn read(path: &Path, mut each: impl FnMut(&mut Captured<'_>)) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut reader = create_reader(BUFFER, file).map_err(|error| said(&error))?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut frame = Vec::new();
    loop {
        let consumed = match reader.next() {
            Ok((consumed, block)) => {
                one(&mut interfaces, &mut frame, &block, &mut each)?;
                consumed
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|error| said(&error))?;
                continue;
            }
            Err(error) => return Err(said(&error)),
        };
        reader.consume(consumed);
    }
}

fn said(error: &PcapError<&[u8]>) -> String {
    match error {
        PcapError::HeaderNotRecognized => "is neither pcap nor pcapng".to_owned(),
        PcapError::UnexpectedEof | PcapError::Incomplete(_) => "the capture breaks off within a packet".to_owned(),
        PcapError::BufferTooSmall => format!("has a block larger than {BUFFER} bytes"),
        PcapError::Eof => "is empty".to_owned(),
        PcapError::ReadError => "cannot be read".to_owned(),
        PcapError::NomError(..) | PcapError::OwnedNomError(..) => "has a block that cannot be read".to_owned(),
    }
}

fn one(
    interfaces: &mut Vec<Interface>,
    frame: &mut Vec<u8>,
    block: &PcapBlockOwned<'_>,
    each: &mut impl FnMut(&mut Captured<'_>),
) -> Result<(), String> {
    let (index, ticks, length, data) = match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let per_second = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            *interfaces = vec![Interface { link: header.network, name: None, per_second, offset: 0 }];
            return Ok(());
        }
        PcapBlockOwned::Legacy(packet) => {
            let per_second = interfaces.first().map_or(1_000_000, |interface| interface.per_second);
            let ticks = u64::from(packet.ts_sec) * per_second + u64::from(packet.ts_usec);
            (0, Some(ticks), packet.origlen, packet.data)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            return Ok(());
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
            if interfaces.len() == INTERFACES_MAX {
                return Err(format!("has more than {INTERFACES_MAX} interfaces in one section"));
            }
            interfaces.push(Interface {
                link: described.linktype,
                name: described.if_name().and_then(Result::ok).map(str::to_owned),
                per_second: described.ts_resolution().filter(|per_second| *per_second > 0).unwrap_or(1_000_000),
                offset: described.ts_offset(),
            });
            return Ok(());
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            (packet.if_id as usize, Some(ticks), packet.origlen, packet.packet_data())
        }
        // "Simple" packets have no time: they count as the beginning of time, and rates see them all at once.
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => (0, None, packet.origlen, packet.packet_data()),
        PcapBlockOwned::NG(_) => return Ok(()),
    };
    let Some(interface) = interfaces.get(index) else {
        return Err(format!("has a packet of interface {index}, which it does not describe"));
    };
    ethernet(interface.link, data, length as usize, frame);
    let micros = ticks.map_or(0, |ticks| micros(interface, ticks));
    each(&mut Captured { micros, interface: interface.name.as_deref(), frame });
    Ok(())
}

fn micros(interface: &Interface, ticks: u64) -> u64 {
    let micros = u128::from(ticks) * 1_000_000 / u128::from(interface.per_second);
    let offset = i128::from(interface.offset) * 1_000_000;
    u64::try_from((micros as i128 + offset).max(0)).unwrap_or(u64::MAX)
}

/// Writes the packet as an Ethernet frame; nothing where its link type is not read.
fn ethernet(link: Linktype, data: &[u8], length: usize, frame: &mut Vec<u8>) {
    /// `ip -d link`: addresses of the cooked formats are not those of a frame.
    const NOBODY: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.clear();
    // Bytes of the link header, and the ethertype where it is told; else the IP version tells.
    let (header, ethertype) = match link {
        Linktype::ETHERNET => (0, None),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => (0, None),
        Linktype::NULL | Linktype::LOOP => (4, None),
        Linktype::LINUX_SLL => (16, data.get(14..16)),
        // LINKTYPE_LINUX_SLL2
        Linktype(276) => (20, data.get(0..2)),
        _ => return,
    };
    let Some(rest) = data.get(header..) else { return };
    if link != Linktype::ETHERNET {
        let ethertype: [u8; 2] = match (ethertype.and_then(|told| told.try_into().ok()), rest.first().map(|b| b >> 4)) {
            (Some(told), _) => told,
            (None, Some(4)) => [0x08, 0x00],
            (None, Some(6)) => [0x86, 0xdd],
            (None, _) => return,
        };
        frame.extend_from_slice(&NOBODY);
        frame.extend_from_slice(&ethertype);
    }
    frame.extend_from_slice(rest);
    let missing = length.saturating_sub(data.len()).min(FRAME_MAX.saturating_sub(frame.len()));
    frame.resize(frame.len() + missing, 0);
}
