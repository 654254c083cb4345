//! The kernel side as the rest of the program sees it: the only module that talks to aya.
//!
//! An [`object::Object`] is one loaded copy of the BPF programs and maps, for one run in one network
//! namespace. Its maps are reached through [`maps`], its programs are attached through [`links`].
//! Everything is held by descriptors of this process: nothing is pinned, and dropping the object
//! takes programs, maps and links with it.
//!
//! Rejected: one shared object for all runs. It would save a bystander a few nanoseconds a packet and
//! cost the isolation that a run's own lease, budget and tables give.

pub mod btf;
pub mod calls;
pub mod capability;
pub mod census;
pub mod cgroup_file;
pub mod clock;
pub mod clsact;
pub mod debug_log;
pub mod devices;
pub mod error;
pub mod grace;
mod image;
pub mod kfunc;
pub mod links;
pub mod look;
pub mod maps;
pub mod mounts;
pub mod netns;
pub mod object;
mod offsets;
pub mod park_trial;
pub mod pins;
pub mod plaintext;
pub mod relay;
pub mod rewrite;
mod shared;
pub mod sysctl;
pub mod tap_label;
pub mod trampoline;
pub mod uprobe;
pub mod verifier;

pub use error::Error;
