//! An eBPF fault injector for chosen processes and cgroups of a Linux host.
pub mod kernel;
