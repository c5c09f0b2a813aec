//! Much data, whole: 200 MiB each way, compared by SHA-256, and both ways at once.

use crate::address::Family;
use crate::limits;
use crate::on_every_device;
use crate::servers::port;
use crate::world::World;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

on_every_device!(kernel, a_large_file_goes_down, a_large_file_goes_up, echo_fills_both_ways_at_once);

fn a_large_file_goes_down(world: &World, family: Family) {
    let (_, sum) = large_file(world);
    let url = format!("http://{}/large", family.server_at(80));
    let pipeline = format!("curl -sS -g -m 60 '{url}' | sha256sum");
    let fetched = world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &pipeline]).successful();
    assert_eq!(first_word(&fetched.stdout), sum);
}

fn a_large_file_goes_up(world: &World, family: Family) {
    let (path, sum) = large_file(world);
    for hundred in [port::MIRRORED, port::IMMEDIATE] {
        let port = (hundred + port::DIGEST).to_string();
        let server = family.server().to_string();
        let result = world.client.client(&["upload", &server, &port, "--text", path.to_str().expect("a plain path")]);
        assert_eq!(result["sent"], limits::FILE_BYTES, "port {port}: {result}");
        assert_eq!(result["reply"], *sum, "port {port}: what the server took differs from what was sent: {result}");
    }
}

/// The echo of 50 MiB: nobody may stop reading because they cannot write.
fn echo_fills_both_ways_at_once(world: &World, family: Family) {
    let (path, _) = large_file(world);
    let (path, part) = (path.display(), world.directory().join("part"));
    let (part, server, port) = (part.display(), family.server(), port::MIRRORED + port::ECHO);
    // nc sends and reads at the same time; -N finishes when the file has ended.
    let pipeline = format!("head -c 50M '{path}' >'{part}' && nc -N -w 30 {server} {port} <'{part}' | cmp - '{part}'");
    world.client.namespace.run(&["bash", "-o", "pipefail", "-c", &pipeline]).successful();
}

/// A file among nginx's documents, made once a world, and its SHA-256. No two blocks of it are equal: a lost, doubled
/// or misplaced one shows.
fn large_file(world: &World) -> (PathBuf, String) {
    let path = world.servers().documents().join("large");
    if !path.exists() {
        write_words(&path, limits::FILE_BYTES).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let sum = Command::new("sha256sum").arg(&path).output().expect("sha256sum is part of coreutils");
    (path, first_word(&String::from_utf8_lossy(&sum.stdout)).to_owned())
}

/// A xorshift64 sequence, whose period is longer than any file.
pub(crate) fn write_words(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / 8 {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        file.write_all(&word.to_le_bytes())?;
    }
    file.flush()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}
