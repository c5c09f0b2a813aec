//! A worker's ports on DPDK: one queue pair of each, one pool, a burst per port that waits to be sent.
//!
//! What must hold: a received frame is one run of bytes (a driver's chain is copied into its first buffer, or dropped
//! and counted as a receive error when it does not fit), a frame that leaves is what its port can take (a chain for a
//! port without multi-segment is copied likewise, or counted as refused). Tags that a device stripped are reported;
//! those that leave are written in software, so that no driver needs to insert any.

use std::ops::Range;

use dpdk::{Burst, Checksum, Mbuf, MbufSlice, Pool, Queue, Transmit};

use super::{BURST, Frame, Full, Nic, Offloads, PortId, PortInfo, PortStats, RxChecksum, TxOffload};
use crate::packet::MacAddress;

#[cfg(test)]
mod tests;

const _: () = assert!(BURST == dpdk::limits::BURST, "one call moves one burst, here and there");

/// The worker's queue pairs.
pub struct DpdkNic {
    ports: Vec<Side>,
    pool: Pool,
    /// May frames grow beyond one buffer?
    chains: bool,
    refused: usize,
}

/// One port, as this worker has it.
struct Side {
    queue: Queue,
    info: PortInfo,
    unsent: Burst,
    /// Received chains too long for one buffer.
    unreadable: u64,
}

impl DpdkNic {
    /// The worker's queues in the order of port ids, and the pool that it writes frames into.
    ///
    /// # Panics
    /// With more queues than port ids.
    pub fn new(pool: Pool, queues: Vec<Queue>) -> DpdkNic {
        assert!(u16::try_from(queues.len()).is_ok(), "a port's id is 16 bits");
        let ports: Vec<Side> = queues.into_iter().map(Side::new).collect();
        let chains = ports.iter().any(|port| port.info.offloads.multi_segment);
        DpdkNic { ports, pool, chains, refused: 0 }
    }
}

impl Side {
    fn new(queue: Queue) -> Side {
        let device = queue.device();
        let offloads = device.offloads();
        let info = PortInfo {
            device: device.name().to_owned(),
            driver: device.driver().to_owned(),
            mac: MacAddress(device.mac()),
            mtu: device.mtu(),
            offloads: Offloads {
                ipv4_checksum: offloads.ipv4_checksum,
                tcp_checksum: offloads.tcp_checksum,
                udp_checksum: offloads.udp_checksum,
                tso: offloads.tso,
                multi_segment: offloads.multi_segment,
            },
        };
        Side { queue, info, unsent: Burst::new(), unreadable: 0 }
    }
}

impl Nic for DpdkNic {
    type Frame = DpdkFrame;

    fn ports(&self) -> u16 {
        self.ports.len() as u16
    }

    fn info(&self, port: PortId) -> &PortInfo {
        &self.ports[usize::from(port.0)].info
    }

    fn stats(&self, port: PortId) -> PortStats {
        let side = &self.ports[usize::from(port.0)];
        let device = side.queue.device();
        let stats = device.stats();
        PortStats {
            link: device.link().to_string(),
            rx_packets: stats.rx_packets,
            tx_packets: stats.tx_packets,
            rx_bytes: stats.rx_bytes,
            tx_bytes: stats.tx_bytes,
            rx_missed: stats.rx_missed,
            rx_errors: stats.rx_errors + side.unreadable,
            tx_errors: stats.tx_errors,
            xstats: device.xstats(),
        }
    }

    fn receive(&mut self, port: PortId, frames: &mut Vec<DpdkFrame>) -> usize {
        let Side { queue, unreadable, .. } = &mut self.ports[usize::from(port.0)];
        let chains = self.chains;
        let before = frames.len();
        queue.receive_with(|mut mbuf| {
            if mbuf.linearise() {
                frames.push(DpdkFrame { mbuf, chains });
            } else {
                *unreadable += 1;
            }
        });
        frames.len() - before
    }

    fn allocate(&mut self) -> Option<DpdkFrame> {
        Some(DpdkFrame { mbuf: self.pool.allocate()?, chains: self.chains })
    }

    fn free_share(&self) -> u8 {
        self.pool.free_share()
    }

    fn send(&mut self, port: PortId, frame: DpdkFrame) {
        let Side { queue, info, unsent, .. } = &mut self.ports[usize::from(port.0)];
        let mut mbuf = frame.mbuf;
        if !info.offloads.multi_segment && !mbuf.linearise() {
            self.refused += 1;
            return;
        }
        if let Err(mbuf) = unsent.push(mbuf) {
            self.refused += queue.send(unsent);
            // The burst is empty now.
            let _ = unsent.push(mbuf);
        }
        if unsent.is_full() {
            self.refused += queue.send(unsent);
        }
    }

    fn flush(&mut self) -> usize {
        for side in &mut self.ports {
            self.refused += side.queue.send(&mut side.unsent);
        }
        std::mem::take(&mut self.refused)
    }
}

/// A packet in a DPDK buffer.
pub struct DpdkFrame {
    mbuf: Mbuf,
    chains: bool,
}

impl Frame for DpdkFrame {
    type Slice = DpdkSlice;

    fn data(&self) -> &[u8] {
        self.mbuf.data()
    }

    fn data_mut(&mut self) -> &mut [u8] {
        self.mbuf.data_mut()
    }

    fn len(&self) -> usize {
        self.mbuf.len()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let pushed = if self.chains { self.mbuf.append_chained(bytes) } else { self.mbuf.append(bytes) };
        pushed.map_err(|dpdk::Full| Full)
    }

    fn truncate(&mut self, len: usize) {
        self.mbuf.truncate(len);
    }

    fn exchange_head(&mut self, old: usize, new: usize) -> Result<(), Full> {
        if self.mbuf.exchange_head(old, new) { Ok(()) } else { Err(Full) }
    }

    fn ip_checksum(&self) -> RxChecksum {
        verdict(self.mbuf.ip_checksum())
    }

    fn l4_checksum(&self) -> RxChecksum {
        verdict(self.mbuf.l4_checksum())
    }

    fn stripped_vlan(&self) -> Option<u16> {
        // The identifier; priority and drop bits are not ours to keep.
        self.mbuf.stripped_vlan().map(|tag| tag & 0x0fff)
    }

    fn set_offload(&mut self, offload: TxOffload) {
        let l4_len = if offload.l4_len == 0 { l4_len(self.mbuf.data(), offload) } else { offload.l4_len };
        self.mbuf.set_transmit(Transmit {
            l2_len: offload.l2_len,
            l3_len: offload.l3_len,
            l4_len,
            ipv6: offload.ipv6,
            ipv4_checksum: offload.ipv4_checksum,
            tcp_checksum: offload.tcp_checksum,
            udp_checksum: offload.udp_checksum,
            tso_mss: offload.tso_mss,
        });
    }

    fn into_slice(self, range: Range<usize>) -> DpdkSlice {
        DpdkSlice(self.mbuf.into_slice(range))
    }
}

fn verdict(checksum: Checksum) -> RxChecksum {
    match checksum {
        Checksum::Unknown => RxChecksum::Unknown,
        Checksum::Good => RxChecksum::Good,
        Checksum::Bad => RxChecksum::Bad,
    }
}

/// Length of the TCP or UDP header. Only segmentation needs it by DPDK's rules, but net_tap sums headers and payload
/// apart, and without it writes the checksum to where no header is.
fn l4_len(frame: &[u8], offload: TxOffload) -> u8 {
    let at = usize::from(offload.l2_len) + usize::from(offload.l3_len);
    match frame.get(at + 12) {
        Some(offset) if offload.tcp_checksum => (offset >> 4) * 4,
        _ if offload.udp_checksum => 8,
        _ => 0,
    }
}

/// Some bytes of a received packet; the buffer goes back to its pool with the last reference.
#[derive(Clone, Debug)]
pub struct DpdkSlice(MbufSlice);

impl tcp::Payload for DpdkSlice {
    fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        DpdkSlice(self.0.slice(range))
    }
}
