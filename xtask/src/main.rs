//! `cargo xtask`: what it takes to build, test and show injector.
fn main() {}
