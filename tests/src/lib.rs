//! Harness of the end-to-end tests, the demo and the benches.
//!
//! Everything here that changes the host is a guard: what it makes goes away with the value, also
//! when a test panics. What the injector itself leaves behind is not cleaned up but found, by
//! [`snapshot`].

pub mod abuse;
pub mod bench_table;
pub mod binaries;
pub mod boot_clock;
pub mod bpf;
pub mod cgroup;
pub mod controller;
pub mod counter;
pub mod disk;
pub mod eventually;
pub mod fuzzing;
pub mod held_exec;
pub mod injector;
pub mod journalctl;
pub mod lab;
pub mod lack;
pub mod leftovers;
pub mod measure;
pub mod mortal;
pub mod netns;
pub mod observation;
pub mod parker;
pub mod pids;
pub mod place;
pub mod plugin_agent;
pub mod process_status;
pub mod pseudo_terminal;
pub mod qdiscs;
pub mod snapshot;
pub mod victim;
