//! Why a frame is dropped before anything else looks at it.
//!
//! One variant for each way in which bytes fail to be a packet, and for each "martian": a packet that is well-formed
//! and still cannot honestly be on this wire. Every variant has a name for the counter and a sentence for the
//! operator. What is merely of no use to the gateway (an unknown ethertype, say) is not malformed and not here.

/// A frame that is dropped by [`super::parse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each variant's documentation is its sentence, below")]
pub enum Malformed {
    EthernetTruncated,
    EthernetSource,
    VlanTruncated,
    VlanStacked,
    LinkMulticast,
    ArpTruncated,
    ArpUnsupported,
    ArpSender,
    Ipv4Truncated,
    Ipv4Version,
    Ipv4HeaderLength,
    Ipv4HeaderTruncated,
    Ipv4TotalLength,
    Ipv4FrameShort,
    Ipv4Checksum,
    Ipv4Options,
    Ipv4SourceRoute,
    Ipv6Truncated,
    Ipv6Version,
    Ipv6FrameShort,
    Ipv6Jumbogram,
    Ipv6ExtensionTruncated,
    Ipv6ExtensionOrder,
    Ipv6ExtensionCount,
    Ipv6Options,
    Ipv6OptionRefused,
    Ipv6RoutingType0,
    FragmentLength,
    FragmentOverrun,
    SourceMulticast,
    SourceBroadcast,
    SourceLoopback,
    SourceUnspecified,
    DestinationLoopback,
    DestinationUnspecified,
    MappedAddress,
    Land,
    TcpTruncated,
    TcpDataOffset,
    TcpChecksum,
    TcpPortZero,
    TcpFlags,
    TcpDestination,
    UdpTruncated,
    UdpLength,
    UdpChecksum,
    UdpChecksumMissing,
    UdpPortZero,
    IcmpTruncated,
    IcmpChecksum,
    IcmpQuoteTruncated,
    Icmpv6Truncated,
    Icmpv6Checksum,
    NdHopLimit,
    NdCode,
    NdTruncated,
    NdOption,
    NdTarget,
    NdSource,
    NdSolicited,
}

use Malformed as M;

impl Malformed {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order of [`Malformed::index`].
    pub const ALL: &'static [Malformed] = &[
        M::EthernetTruncated,
        M::EthernetSource,
        M::VlanTruncated,
        M::VlanStacked,
        M::LinkMulticast,
        M::ArpTruncated,
        M::ArpUnsupported,
        M::ArpSender,
        M::Ipv4Truncated,
        M::Ipv4Version,
        M::Ipv4HeaderLength,
        M::Ipv4HeaderTruncated,
        M::Ipv4TotalLength,
        M::Ipv4FrameShort,
        M::Ipv4Checksum,
        M::Ipv4Options,
        M::Ipv4SourceRoute,
        M::Ipv6Truncated,
        M::Ipv6Version,
        M::Ipv6FrameShort,
        M::Ipv6Jumbogram,
        M::Ipv6ExtensionTruncated,
        M::Ipv6ExtensionOrder,
        M::Ipv6ExtensionCount,
        M::Ipv6Options,
        M::Ipv6OptionRefused,
        M::Ipv6RoutingType0,
        M::FragmentLength,
        M::FragmentOverrun,
        M::SourceMulticast,
        M::SourceBroadcast,
        M::SourceLoopback,
        M::SourceUnspecified,
        M::DestinationLoopback,
        M::DestinationUnspecified,
        M::MappedAddress,
        M::Land,
        M::TcpTruncated,
        M::TcpDataOffset,
        M::TcpChecksum,
        M::TcpPortZero,
        M::TcpFlags,
        M::TcpDestination,
        M::UdpTruncated,
        M::UdpLength,
        M::UdpChecksum,
        M::UdpChecksumMissing,
        M::UdpPortZero,
        M::IcmpTruncated,
        M::IcmpChecksum,
        M::IcmpQuoteTruncated,
        M::Icmpv6Truncated,
        M::Icmpv6Checksum,
        M::NdHopLimit,
        M::NdCode,
        M::NdTruncated,
        M::NdOption,
        M::NdTarget,
        M::NdSource,
        M::NdSolicited,
    ];

    /// Its place in [`Malformed::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The counter's name.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// What it means, for an operator.
    pub const fn sentence(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            M::EthernetTruncated => ("ethernet_truncated", "the frame is shorter than an Ethernet header"),
            M::EthernetSource => ("ethernet_source", "the frame comes from a group address, which no station has"),
            M::VlanTruncated => ("vlan_truncated", "the frame ends inside its VLAN tag"),
            M::VlanStacked => ("vlan_stacked", "the frame carries more than one VLAN tag (QinQ), which is not served"),
            M::LinkMulticast => ("link_multicast", "a packet to one host came in a frame to a group of stations"),
            M::ArpTruncated => ("arp_truncated", "the frame ends inside its ARP message"),
            M::ArpUnsupported => ("arp_unsupported", "the ARP message is not a request or reply for IPv4 on Ethernet"),
            M::ArpSender => ("arp_sender", "the ARP message names an address as its sender's that no host can have"),
            M::Ipv4Truncated => ("ipv4_truncated", "the frame is shorter than an IPv4 header"),
            M::Ipv4Version => ("ipv4_version", "the packet's frame says IPv4 and its version field does not"),
            M::Ipv4HeaderLength => ("ipv4_header_length", "the IPv4 header says it is shorter than 20 bytes"),
            M::Ipv4HeaderTruncated => ("ipv4_header_truncated", "the frame ends inside its IPv4 header's options"),
            M::Ipv4TotalLength => ("ipv4_total_length", "the IPv4 packet says it is shorter than its header"),
            M::Ipv4FrameShort => ("ipv4_frame_short", "the IPv4 packet says it is longer than its frame"),
            M::Ipv4Checksum => ("ipv4_checksum", "the IPv4 header's checksum is wrong"),
            M::Ipv4Options => ("ipv4_options", "the IPv4 header's options cannot be read"),
            M::Ipv4SourceRoute => ("ipv4_source_route", "the IPv4 packet asks for a route of its own (source routing)"),
            M::Ipv6Truncated => ("ipv6_truncated", "the frame is shorter than an IPv6 header"),
            M::Ipv6Version => ("ipv6_version", "the packet's frame says IPv6 and its version field does not"),
            M::Ipv6FrameShort => ("ipv6_frame_short", "the IPv6 packet says it is longer than its frame"),
            M::Ipv6Jumbogram => ("ipv6_jumbogram", "the IPv6 packet is a jumbogram, which is not served"),
            M::Ipv6ExtensionTruncated => {
                ("ipv6_extension_truncated", "the packet ends inside an IPv6 extension header")
            }
            M::Ipv6ExtensionOrder => {
                ("ipv6_extension_order", "a hop-by-hop header is not the first, or a second fragment header follows")
            }
            M::Ipv6ExtensionCount => {
                ("ipv6_extension_count", "the IPv6 packet has more extension headers than are looked at")
            }
            M::Ipv6Options => ("ipv6_options", "the options in an IPv6 extension header cannot be read"),
            M::Ipv6OptionRefused => (
                "ipv6_option_refused",
                "the IPv6 packet has a hop-by-hop option that those who do not know it must refuse",
            ),
            M::Ipv6RoutingType0 => {
                ("ipv6_routing_type0", "the IPv6 packet asks for a route of its own (routing header type 0)")
            }
            M::FragmentLength => ("fragment_length", "a fragment that is not the last has no multiple of 8 bytes"),
            M::FragmentOverrun => ("fragment_overrun", "the fragment ends beyond the largest packet there can be"),
            M::SourceMulticast => ("source_multicast", "the packet comes from a multicast address"),
            M::SourceBroadcast => ("source_broadcast", "the packet comes from the broadcast address"),
            M::SourceLoopback => {
                ("source_loopback", "the packet comes from a loopback address, which is never on a wire")
            }
            M::SourceUnspecified => ("source_unspecified", "the packet comes from no address"),
            M::DestinationLoopback => {
                ("destination_loopback", "the packet goes to a loopback address, which is never on a wire")
            }
            M::DestinationUnspecified => ("destination_unspecified", "the packet goes to no address"),
            M::MappedAddress => {
                ("mapped_address", "the IPv6 packet has an IPv4-mapped address, which is never on a wire")
            }
            M::Land => ("land", "the packet goes to the address that it says it comes from (land attack)"),
            M::TcpTruncated => ("tcp_truncated", "the packet ends inside its TCP header"),
            M::TcpDataOffset => {
                ("tcp_data_offset", "the TCP header says it is shorter than 20 bytes or longer than its segment")
            }
            M::TcpChecksum => ("tcp_checksum", "the TCP checksum is wrong"),
            M::TcpPortZero => ("tcp_port_zero", "the TCP segment has port 0"),
            M::TcpFlags => ("tcp_flags", "the TCP segment has no flags, or SYN together with FIN or RST"),
            M::TcpDestination => ("tcp_destination", "the TCP segment goes to a multicast or broadcast address"),
            M::UdpTruncated => ("udp_truncated", "the packet ends inside its UDP header"),
            M::UdpLength => {
                ("udp_length", "the UDP datagram says it is shorter than its header or longer than its packet")
            }
            M::UdpChecksum => ("udp_checksum", "the UDP checksum is wrong"),
            M::UdpChecksumMissing => ("udp_checksum_missing", "the UDP datagram has no checksum, which IPv6 demands"),
            M::UdpPortZero => ("udp_port_zero", "the UDP datagram goes to port 0"),
            M::IcmpTruncated => ("icmp_truncated", "the packet ends inside its ICMP message"),
            M::IcmpChecksum => ("icmp_checksum", "the ICMP checksum is wrong"),
            M::IcmpQuoteTruncated => {
                ("icmp_quote_truncated", "the ICMP error quotes too little of the packet it is about")
            }
            M::Icmpv6Truncated => ("icmpv6_truncated", "the packet ends inside its ICMPv6 message"),
            M::Icmpv6Checksum => ("icmpv6_checksum", "the ICMPv6 checksum is wrong"),
            M::NdHopLimit => {
                ("nd_hop_limit", "the neighbour discovery message came over a router (its hop limit is not 255)")
            }
            M::NdCode => ("nd_code", "the neighbour discovery message has a code other than 0"),
            M::NdTruncated => ("nd_truncated", "the packet ends inside its neighbour discovery message"),
            M::NdOption => ("nd_option", "the neighbour discovery message's options cannot be read"),
            M::NdTarget => ("nd_target", "the neighbour discovery message is about a multicast address"),
            M::NdSource => ("nd_source", "the neighbour solicitation from no address is not a duplicate address probe"),
            M::NdSolicited => ("nd_solicited", "the neighbour advertisement to a group says it answers one station"),
        }
    }
}

#[cfg(test)]
mod tests;
