//! Finds the system's libdpdk, makes the bindings and compiles the wrappers of its static inline functions.
//!
//! Linking is dynamic: drivers are plug-ins that EAL loads from the folder compiled into the library, so that a
//! gateway needs no list of drivers at build time. The allow-list is narrow because everything in `rte_*` is 24,000
//! lines of bindings and a minute of build time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// Oldest release whose API is used; Debian 12 has it.
const VERSION_MIN: &str = "22.11";

const FUNCTIONS: &[&str] = &[
    // EAL, threads and time
    "rte_eal_(init|cleanup|remote_launch|wait_lcore|has_hugepages|get_runtime_dir)",
    "rte_(lcore_id|lcore_to_socket_id|socket_id|get_next_lcore|get_main_lcore)",
    "rte_(rdtsc|get_tsc_hz|version|strerror|log_cur_msg_loglevel|log_cur_msg_logtype)",
    // devices
    "rte_dev_(probe|remove|name)",
    "rte_eth_dev_(start|stop|close|set_mtu|get_mtu|socket_id|adjust_nb_rx_tx_desc|get_name_by_port)",
    "rte_eth_(find_next|iterator_init|iterator_next|iterator_cleanup|macaddr_get)",
    "rte_eth_(promiscuous_enable|allmulticast_enable)",
    "rte_eth_(rx_queue_setup|tx_queue_setup|rx_burst|tx_burst|tx_prepare)",
    "rte_eth_(stats_get|xstats_get|xstats_get_names|dev_rx_offload_name|dev_tx_offload_name)",
    // packet memory
    "rte_pktmbuf_(alloc|free|free_seg|free_bulk|linearize)",
    "rte_mempool_(free|avail_count)",
    "rte_softrss",
    "limpid_.*",
];

const TYPES: &[&str] = &["limpid_.*", "rte_eth_stats", "rte_eth_xstat", "rte_eth_xstat_name", "rte_ether_addr"];

const CONSTANTS: &[&str] = &["LIMPID_.*", "RTE_MBUF_(L2_LEN|L3_LEN|L4_LEN|TSO_SEGSZ)_OFS"];

/// Types of which only size and alignment matter, or that bindgen cannot lay out (packed and aligned, unions that
/// differ between releases).
const OPAQUE: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_eth_conf",
    "rte_eth_rxconf",
    "rte_eth_txconf",
    "rte_eth_dev",
    "rte_eth_fp_ops",
    "rte_device",
    "rte_devargs",
    "rte_bus",
    "rte_class",
    "rte_arp_ipv4",
    "rte_arp_hdr",
    "rte_l2tpv2_.*",
    "rte_gtp_psc_.*",
    "rte_ppp_hdr",
];

/// Parts of the opaque ones, which bindgen would emit all the same.
const LEFT_OUT: &[&str] = &["rte_mbuf__.*", "rte_eth_(rx|tx)mode.*", "rte_net_hdr_lens.*"];

fn main() {
    println!("cargo:rerun-if-changed=wrapper.h");
    println!("cargo:rerun-if-changed=build.rs");
    let library = match pkg_config::Config::new().atleast_version(VERSION_MIN).probe("libdpdk") {
        Ok(library) => library,
        Err(error) => fail_without_dpdk(&error),
    };
    let mut flags = other_flags();
    flags.extend(library.include_paths.iter().map(|path| format!("-I{}", path.display())));
    // fopencookie is GNU's.
    flags.push("-D_GNU_SOURCE".into());
    // Newer releases mark functions of 22.11 as moved or experimental; the allow-list is what we vouch for.
    flags.push("-DALLOW_EXPERIMENTAL_API".into());

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let header = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("wrapper.h");
    make_bindings(&header, &flags, &out);
    compile_wrappers(&flags, &out);
}

/// `-include rte_config.h -march=…` and the like, which the pkg-config crate leaves out.
fn other_flags() -> Vec<String> {
    let program = env::var_os("PKG_CONFIG").unwrap_or_else(|| "pkg-config".into());
    let output = Command::new(program)
        .args(["--cflags-only-other", "libdpdk"])
        .output()
        .expect("pkg-config ran a moment ago to find libdpdk");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn make_bindings(header: &Path, flags: &[String], out: &Path) {
    let mut builder = bindgen::Builder::default()
        .header(header.to_str().expect("the path of the source tree is UTF-8"))
        .clang_args(flags)
        .wrap_static_fns(true)
        .wrap_static_fns_path(out.join("static_inlines"))
        .generate_comments(false)
        .layout_tests(false)
        .derive_default(true)
        .prepend_enum_name(false)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .merge_extern_blocks(true);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    for name in LEFT_OUT {
        builder = builder.blocklist_type(name);
    }
    let bindings = builder.generate().unwrap_or_else(|error| {
        eprintln!(
            "bindgen cannot read the DPDK headers: {error}\nIf libclang is missing: apt-get install clang libclang-dev"
        );
        exit(1);
    });
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable");
}

fn compile_wrappers(flags: &[String], out: &Path) {
    let mut build = cc::Build::new();
    build.file(out.join("static_inlines.c")).warnings(false).opt_level(3);
    for flag in flags {
        build.flag(flag);
    }
    build.compile("limpid_dpdk_inlines");
}

fn fail_without_dpdk(error: &pkg_config::Error) -> ! {
    eprintln!(
        "libdpdk {VERSION_MIN} or newer is needed and was not found.\n\
         On Debian or Ubuntu:  apt-get install libdpdk-dev pkg-config clang libclang-dev\n\
         Elsewhere: build DPDK, and let PKG_CONFIG_PATH name the folder that holds libdpdk.pc.\n\
         pkg-config says: {error}"
    );
    exit(1);
}
