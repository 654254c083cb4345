//! Hands the compiled BPF object to the program, which embeds it, packed: it is a seventh of its size so.
//!
//! `cargo xtask build` compiles the object and names it in `INJECTOR_BPF_OBJECT`. Without the variable
//! an empty object is embedded, so that plain `cargo build` and `cargo test` need no BPF toolchain;
//! such a binary says so when it is asked to arm anything.

use std::{env, fs, io, path::PathBuf};

/// The level that takes longest.
const SMALLEST: u8 = 10;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=INJECTOR_BPF_OBJECT");
    let out =
        PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("injector.bpf.o.deflate");
    match env::var_os("INJECTOR_BPF_OBJECT") {
        Some(object) => {
            println!("cargo:rerun-if-changed={}", object.to_string_lossy());
            let packed = miniz_oxide::deflate::compress_to_vec(&fs::read(object)?, SMALLEST);
            fs::write(out, packed)
        }
        None => fs::write(out, []),
    }
}
