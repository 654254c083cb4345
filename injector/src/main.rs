//! The `injector` command.
fn main() {}
