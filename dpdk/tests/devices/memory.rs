//! Pools and packets: what is taken comes back, chains and slices included.

use dpdk::{Full, Mbuf, MbufSlice, Pool, limits};

use crate::wire::frame;
use crate::{Case, World};

pub(crate) const CASES: &[Case] = &[
    ("memory::a_packet_grows_and_shrinks", false, grows_and_shrinks),
    ("memory::a_chain_is_written_cut_and_made_one", false, chains),
    ("memory::slices_keep_the_buffer_until_the_last", false, slices),
    ("memory::a_slice_of_a_chain_lets_the_rest_go", false, slice_of_chain),
    ("memory::an_empty_pool_says_so", false, exhaustion),
    ("memory::a_pool_dropped_with_buffers_out_stays", false, dropped_early),
    ("memory::too_much_memory_is_an_error", false, too_much),
];

fn grows_and_shrinks(world: &World) {
    let mut packet = world.pool.allocate().unwrap();
    assert!(packet.is_empty());
    assert_eq!((packet.len(), packet.segments(), packet.tailroom()), (0, 1, usize::from(limits::DATA_ROOM)));
    packet.append(b"world").unwrap();
    packet.prepend(6).unwrap().copy_from_slice(b"hello ");
    assert_eq!(packet.data(), b"hello world");
    packet.data_mut()[0] = b'H';
    packet.truncate(5);
    packet.truncate(50);
    assert_eq!(packet.data(), b"Hello");
    assert_eq!(packet.append(&[0; 4000]), Err(Full));
    assert_eq!(packet.data(), b"Hello", "what did not fit left nothing behind");
    let headroom = packet.headroom();
    assert!(packet.prepend(headroom + 1).is_none());
    assert!(packet.exchange_head(4, 6), "two bytes more in front of the last one");
    packet.data_mut()[..6].copy_from_slice(b"longer");
    assert_eq!((packet.data(), packet.len(), packet.headroom()), (&b"longero"[..], 7, headroom - 2));
    assert!(packet.exchange_head(6, 0));
    assert_eq!((packet.data(), packet.len()), (&b"o"[..], 1));
    let headroom = packet.headroom();
    assert!(!packet.exchange_head(2, 0) && !packet.exchange_head(0, headroom + 1));
    assert_eq!((packet.data(), packet.headroom()), (&b"o"[..], headroom));
}

fn chains(world: &World) {
    let bytes: Vec<u8> = (0..5000_u32).map(|index| index as u8).collect();
    let mut packet = frame(world, &bytes);
    assert_eq!((packet.len(), packet.segments()), (5000, 3));
    assert!(!packet.linearise(), "5,000 bytes do not fit into one buffer");
    packet.truncate(2100);
    assert_eq!((packet.len(), packet.segments()), (2100, 2));
    packet.append_chained(&bytes[2100..2110]).unwrap();
    packet.truncate(2000);
    packet.append_chained(&bytes[2000..2048]).unwrap();
    assert_eq!((packet.len(), packet.segments()), (2048, 1));
    assert_eq!(packet.data(), &bytes[..2048]);

    let mut packet = frame(world, &bytes[..2100]);
    // Room for the second segment by cutting the first: what remains fits one buffer.
    packet.truncate(2060);
    assert!(!packet.linearise());
    let mut long: Mbuf = world.pool.allocate().unwrap();
    assert_eq!(long.append_chained(&vec![7; 1 << 17]), Err(Full), "a chain has an end");
    assert_eq!(long.segments(), limits::SEGMENTS_MAX);
    packet.truncate(0);
    assert!(packet.is_empty());
}

fn slices(world: &World) {
    let before = world.pool.available();
    let mut whole: MbufSlice = frame(world, b"0123456789").into_slice(2..8);
    let part = whole.slice(1..3);
    let front = whole.split_to(2);
    let copy = part.clone();
    assert_eq!((front.as_slice(), whole.as_slice(), copy.as_slice()), (&b"23"[..], &b"4567"[..], &b"34"[..]));
    assert_eq!((whole.len(), part.is_empty(), whole.slice(4..4).is_empty()), (4, false, true));
    drop((whole, front, part));
    assert_eq!(world.pool.available(), before - 1, "one reference is left");
    assert_eq!(copy.as_slice(), b"34");
    drop(copy);
    assert_eq!(world.pool.available(), before);
}

fn slice_of_chain(world: &World) {
    let before = world.pool.available();
    let slice = frame(world, &[9; 5000]).into_slice(0..2000);
    assert_eq!(world.pool.available(), before - 1);
    assert!(slice.iter().all(|&byte| byte == 9));
}

fn exhaustion(world: &World) {
    let pool = Pool::new(&world.eal, None, 600, 256).unwrap();
    assert!(pool.free_share() >= 250, "{}", pool.free_share());
    let packets: Vec<Mbuf> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!(packets.len(), pool.capacity() as usize);
    assert_eq!((pool.available(), pool.free_share()), (0, 0));
    let mut one = packets.into_iter().next().unwrap();
    // The others are free again: a chain may grow now.
    one.append_chained(&[1; 300]).unwrap();
    assert_eq!(pool.available(), pool.capacity() - 2);
}

fn dropped_early(world: &World) {
    let pool = Pool::new(&world.eal, None, 600, 256).unwrap();
    let mut packet = pool.allocate().unwrap();
    drop(pool);
    packet.append(b"still here").unwrap();
    assert_eq!(packet.data(), b"still here");
}

fn too_much(world: &World) {
    let Err(error) = Pool::new(&world.eal, None, 1_000_000, limits::DATA_ROOM) else {
        panic!("96 MiB hold no million")
    };
    assert!(error.to_string().contains("memory_mib"), "{error}");
    assert_eq!([1500, 9000, u16::MAX].map(Pool::data_room_for), [2048, 9088, u16::MAX]);
    assert!(Pool::buffers_for(64 << 20, limits::DATA_ROOM) > 20_000);
}
