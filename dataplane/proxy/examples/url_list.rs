//! How long a look-up takes in a list of URLs: `cargo run --release -p proxy --example url_list -- [ENTRIES]`.
//!
//! The list is made up: two thirds domains, one third directories of domains. Half of what is looked up is listed, as a
//! domain above the host or a directory above the path; hosts have three labels and paths three directories.

#![expect(clippy::print_stdout, reason = "an example tells what it has measured")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::fmt::Write;
use std::time::Instant;

use proxy::http::filter::List;

/// Look-ups that are measured, after as many that are not.
const LOOKUPS: usize = 2_000_000;

fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

fn main() {
    let entries: u64 = std::env::args().nth(1).map_or(1_000_000, |word| word.parse().expect("a number of entries"));
    let mut file = String::new();
    for number in 0..entries {
        let name = mixed(number);
        let _ = match number % 3 {
            0 => writeln!(file, "site{name:x}.example/some/folder{}", number % 7),
            _ => writeln!(file, "site{name:x}.example"),
        };
    }
    let began = Instant::now();
    let list = List::parse(&file).expect("it is a list");
    println!("{} entries of {} bytes read in {:?}", list.len(), file.len(), began.elapsed());
    // Made beforehand: the look-up is measured, not the making of URLs.
    let asked: Vec<(String, String)> = (0..1_u64 << 18)
        .map(|number| {
            let listed = mixed(number).is_multiple_of(2);
            let at = mixed(number ^ 0xabcd) % entries;
            let name = mixed(if listed { at } else { at + entries });
            (format!("www.site{name:x}.example"), format!("/some/folder{}/page.html", at % 7))
        })
        .collect();
    let mut found = 0_usize;
    for round in 0..2 {
        let began = Instant::now();
        found = 0;
        for number in 0..LOOKUPS {
            let (host, path) = &asked[number % asked.len()];
            found += usize::from(list.has(host, path));
        }
        if round == 1 {
            let each = began.elapsed().as_nanos() as usize / LOOKUPS;
            println!("{each} ns a look-up, {} of {LOOKUPS} found", found);
        }
    }
    assert!(found > LOOKUPS / 3, "half of them are listed");
}
