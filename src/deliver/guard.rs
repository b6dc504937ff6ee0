//! The address guard: judges the very addresses that a connection would go to (docs/delivery.md).

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may be connected to.
///
/// Public addresses are open. `allow_private` opens private and loopback addresses and nothing else. `allow_nets` opens
/// what it names, except [`Kind::Metadata`], [`Kind::Multicast`], [`Kind::Unspecified`] and [`Kind::Broadcast`]: none of
/// them can be a receiver, and the metadata services hand out credentials.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow_private: bool,
    allow_nets: Vec<IpNet>,
}

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anybody's.
    Public,
    /// RFC 1918, and unique local in IPv6.
    Private,
    /// This machine.
    Loopback,
    /// This link only.
    LinkLocal,
    /// Shared by carriers (RFC 6598).
    CarrierNat,
    /// A group.
    Multicast,
    /// Everyone on the link.
    Broadcast,
    /// "This" host or network.
    Unspecified,
    /// For examples.
    Documentation,
    /// For benchmarks.
    Benchmarking,
    /// Where a cloud's machines read their credentials.
    Metadata,
    /// Set aside, or not given out.
    Reserved,
}

/// The guard refuses an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}")]
pub struct Refusal {
    /// The address as it would have been connected to.
    pub address: IpAddr,
    /// What it is.
    pub kind: Kind,
}

impl Guard {
    /// A guard with these exceptions.
    pub fn new(allow_private: bool, allow_nets: Vec<IpNet>) -> Self {
        Self { allow_private, allow_nets }
    }

    /// Judges an address.
    ///
    /// IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is judged like the plain address.
    ///
    /// # Errors
    /// [`Refusal`] names the address and what it is.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        let kind = worst_kind(address, |inner, kind| !self.opens(inner, kind));
        if kind == Kind::Public || self.opens(address, kind) { Ok(()) } else { Err(Refusal { address, kind }) }
    }

    fn opens(&self, address: IpAddr, kind: Kind) -> bool {
        match kind {
            Kind::Public => true,
            Kind::Metadata | Kind::Multicast | Kind::Unspecified | Kind::Broadcast => false,
            Kind::Private | Kind::Loopback if self.allow_private => true,
            _ => self.allow_nets.iter().any(|net| net.contains(&address)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::CarrierNat => "an address of a carrier's shared network",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarking",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Reserved => "a reserved address",
        })
    }
}

/// The first kind, of what is embedded in the address and of the address itself, that `refused` refuses; else Public.
fn worst_kind(address: IpAddr, refused: impl Fn(IpAddr, Kind) -> bool) -> Kind {
    let bad = |address, kind| (kind != Kind::Public && refused(address, kind)).then_some(kind);
    let v6 = match address {
        IpAddr::V4(v4) => return bad(address, kind_v4(v4)).unwrap_or(Kind::Public),
        IpAddr::V6(v6) => v6,
    };
    let inner = embedded(v6).into_iter().flatten().find_map(|v4| bad(v4.into(), kind_v4(v4)));
    inner.or(bad(address, kind_v6(v6))).unwrap_or(Kind::Public)
}

/// The metadata services of the large clouds, where they are not inside another refused range too; those inside
/// private or link-local ranges must stay shut when these are opened.
const METADATA_V4: [[u8; 4]; 9] = [
    [169, 254, 169, 254], // nearly all of them
    [169, 254, 169, 253], // Amazon's resolver beside it
    [169, 254, 170, 2],   // Amazon ECS
    [169, 254, 170, 23],  // Amazon EKS
    [169, 254, 0, 23],    // Tencent
    [169, 254, 42, 42],   // Scaleway
    [100, 100, 100, 200], // Alibaba
    [192, 0, 0, 192],     // Oracle
    [168, 63, 129, 16],   // Azure's wire server, in public space
];

/// The same in IPv6: Amazon (two), Google, Scaleway, Oracle and OpenStack.
const METADATA_V6: [[u16; 8]; 6] = [
    [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
    [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
    [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42],
    [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
    [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
];

fn kind_v4(address: Ipv4Addr) -> Kind {
    let octets = address.octets();
    if METADATA_V4.contains(&octets) {
        return Kind::Metadata;
    }
    match octets {
        [0, ..] => Kind::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private,
        [127, ..] => Kind::Loopback,
        [169, 254, ..] => Kind::LinkLocal,
        [100, 64..=127, ..] => Kind::CarrierNat,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Documentation,
        [198, 18..=19, ..] => Kind::Benchmarking,
        // IETF protocol assignments; the anycast address of 6to4 relays.
        [192, 0, 0, _] | [192, 88, 99, _] => Kind::Reserved,
        [224..=239, ..] => Kind::Multicast,
        [255, 255, 255, 255] => Kind::Broadcast,
        [240..=255, ..] => Kind::Reserved,
        _ => Kind::Public,
    }
}

/// The kind of the address as it stands. Forms whose embedded address decides are Public here.
fn kind_v6(address: Ipv6Addr) -> Kind {
    let segments = address.segments();
    if METADATA_V6.contains(&segments) {
        return Kind::Metadata;
    }
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x2002, ..] | [0x2001, 0, ..] => {
            Kind::Public
        }
        [0xfe80..=0xfebf, ..] => Kind::LinkLocal,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        [0xff00..=0xffff, ..] => Kind::Multicast,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Documentation,
        [0x2001, 2, 0, ..] => Kind::Benchmarking,
        [0x2001, 0..=0x1ff, ..] => Kind::Reserved,
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Reserved,
    }
}

/// The IPv4 addresses that a packet to this IPv6 address may end up at.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let bits = address.to_bits();
    let ending_at = |bit: u32| Some(Ipv4Addr::from_bits((bits >> (128 - bit)) as u32));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; 4],
        // Mapped, compatible, NAT64.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => [ending_at(128), None, None, None],
        [0x64, 0xff9b, 1, ..] => local_nat64(bits).map(|v4| Some(v4).filter(|v4| kind_v4(*v4) == Kind::Metadata)),
        [0x2002, ..] => [ending_at(48), None, None, None],
        // Teredo: its server, and the client with its bits turned.
        [0x2001, 0, ..] => [ending_at(64), Some(Ipv4Addr::from_bits(!(bits as u32))), None, None],
        _ => [None; 4],
    }
}

/// Local NAT64 (RFC 8215) is an operator's own affair, so the prefix is reserved as a whole. Its layout is the
/// operator's choice among those of RFC 6052, which skip bits 64 to 71; all of them are read, to keep metadata shut.
fn local_nat64(bits: u128) -> [Ipv4Addr; 4] {
    let around_the_gap = |head_bits: u32, tail_bits: u32| {
        let head = (bits >> 64) as u64 & ((1 << head_bits) - 1);
        let tail = (bits as u64 >> (56 - tail_bits)) & ((1 << tail_bits) - 1);
        Ipv4Addr::from_bits(((head << tail_bits) | tail) as u32)
    };
    [around_the_gap(16, 16), around_the_gap(8, 24), around_the_gap(0, 32), Ipv4Addr::from_bits(bits as u32)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judge(guard: &Guard, address: &str) -> Option<Kind> {
        guard.judge(address.parse().unwrap()).err().map(|refusal| refusal.kind)
    }

    const REFUSED: [(&str, Kind); 52] = [
        ("0.0.0.0", Kind::Unspecified),
        ("0.1.2.3", Kind::Unspecified),
        ("10.0.0.1", Kind::Private),
        ("172.16.0.1", Kind::Private),
        ("172.31.255.255", Kind::Private),
        ("192.168.1.1", Kind::Private),
        ("127.0.0.1", Kind::Loopback),
        ("127.255.255.254", Kind::Loopback),
        ("169.254.1.1", Kind::LinkLocal),
        ("169.254.169.254", Kind::Metadata),
        ("169.254.170.2", Kind::Metadata),
        ("100.100.100.200", Kind::Metadata),
        ("192.0.0.192", Kind::Metadata),
        ("168.63.129.16", Kind::Metadata),
        ("100.64.0.1", Kind::CarrierNat),
        ("100.127.255.255", Kind::CarrierNat),
        ("192.0.0.1", Kind::Reserved),
        ("192.0.2.1", Kind::Documentation),
        ("198.51.100.1", Kind::Documentation),
        ("203.0.113.1", Kind::Documentation),
        ("198.18.0.1", Kind::Benchmarking),
        ("198.19.255.255", Kind::Benchmarking),
        ("192.88.99.1", Kind::Reserved),
        ("224.0.0.1", Kind::Multicast),
        ("239.255.255.255", Kind::Multicast),
        ("240.0.0.1", Kind::Reserved),
        ("255.255.255.255", Kind::Broadcast),
        ("::", Kind::Unspecified),
        ("::1", Kind::Loopback),
        ("fe80::1", Kind::LinkLocal),
        ("febf::1", Kind::LinkLocal),
        ("fec0::1", Kind::Reserved),
        ("fc00::1", Kind::Private),
        ("fd12:3456::1", Kind::Private),
        ("fd00:ec2::254", Kind::Metadata),
        ("fd20:ce::254", Kind::Metadata),
        ("ff02::1", Kind::Multicast),
        ("2001:db8::1", Kind::Documentation),
        ("3fff::1", Kind::Documentation),
        ("2001:2::1", Kind::Benchmarking),
        ("2001:10::1", Kind::Reserved),
        ("100::1", Kind::Reserved),
        ("5f00::1", Kind::Reserved),
        ("4000::1", Kind::Reserved),
        ("::ffff:127.0.0.1", Kind::Loopback),
        ("::127.0.0.1", Kind::Loopback),
        ("64:ff9b::10.0.0.1", Kind::Private),
        ("64:ff9b:1::8.8.8.8", Kind::Reserved),
        ("2002:7f00:1::", Kind::Loopback),
        ("2002:a9fe:a9fe::1", Kind::Metadata),
        // Teredo with a private server, and with a private client (bits turned).
        ("2001:0:a00:1::f7f7:f7f7", Kind::Private),
        ("2001:0:808:808::f5ff:fffe", Kind::Private),
    ];

    #[test]
    fn what_is_not_public_is_refused() {
        for (address, kind) in REFUSED {
            assert_eq!(judge(&Guard::default(), address), Some(kind), "{address}");
        }
    }

    #[test]
    fn what_is_public_is_open() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:0:808:808::f7f7:f7f7",
        ] {
            assert_eq!(judge(&Guard::default(), address), None, "{address}");
        }
    }

    #[test]
    fn allow_private_opens_private_and_loopback_only() {
        let guard = Guard::new(true, vec![]);
        for (address, kind) in REFUSED {
            let open = matches!(kind, Kind::Private | Kind::Loopback) && address != "::127.0.0.1";
            assert_eq!(judge(&guard, address).is_none(), open, "{address}");
        }
    }

    #[test]
    fn an_allowed_network_opens_what_it_names() {
        let nets = ["10.1.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "224.0.0.0/4", "fd00::/8", "64:ff9b:1::/48"];
        let guard = Guard::new(false, nets.map(|net| net.parse().unwrap()).to_vec());
        for open in ["10.1.2.3", "::ffff:10.1.2.3", "100.64.0.1", "169.254.1.1", "fd00::1", "64:ff9b:1::8.8.8.8"] {
            assert_eq!(judge(&guard, open), None, "{open}");
        }
        for (shut, kind) in [
            ("10.2.0.1", Kind::Private),
            ("::1", Kind::Loopback),
            ("169.254.169.254", Kind::Metadata),
            ("100.100.100.200", Kind::Metadata),
            ("fd00:ec2::254", Kind::Metadata),
            ("224.0.0.1", Kind::Multicast),
            ("::ffff:169.254.169.254", Kind::Metadata),
            ("64:ff9b:1::169.254.169.254", Kind::Metadata),
        ] {
            assert_eq!(judge(&guard, shut), Some(kind), "{shut}");
        }
    }

    #[test]
    fn local_nat64_finds_metadata_in_every_layout() {
        let guard = Guard::new(true, vec!["64:ff9b:1::/48".parse().unwrap()]);
        for address in ["64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00::"] {
            assert_eq!(judge(&guard, address), Some(Kind::Metadata), "{address}");
        }
    }

    proptest! {
        #[test]
        fn embedded_forms_are_judged_like_the_plain_address(bits: u32, private: bool, edge in 0_usize..27) {
            let plain = if bits % 2 == 0 { Ipv4Addr::from_bits(bits) } else { REFUSED[edge].0.parse().unwrap() };
            let bits = u128::from(plain.to_bits());
            let guard = Guard::new(private, vec!["100.64.0.0/10".parse().unwrap()]);
            let expected = guard.judge(plain.into()).err().map(|refusal| refusal.kind);
            let nat64 = 0x0064_ff9b_u128 << 96;
            let six_to_four = (0x2002_u128 << 112) | 1;
            let teredo_server = 0x2001_0000_0808_0808_u128 << 64;
            for form in [
                0xffff_u128 << 32 | bits,
                nat64 | bits,
                six_to_four | bits << 80,
                0x2001_0000_u128 << 96 | bits << 64 | 0xf7f7_f7f7,
                teredo_server | u128::from(!plain.to_bits()),
            ] {
                let form = Ipv6Addr::from_bits(form);
                let judged = guard.judge(form.into()).err().map(|refusal| refusal.kind);
                prop_assert_eq!(judged, expected, "{} as {}", plain, form);
            }
        }
    }
}
