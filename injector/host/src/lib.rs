//! The kernel side of injector in user space, and the only user of aya.
//!
//! [`kernel`] loads objects, fills maps and holds links; [`delay_line`] holds packets, [`sleep_server`] holds threads;
//! [`other_end`] knows who has connected to a socket; [`target`] finds processes, cgroups and sockets; [`privilege`] says what this process may do.

pub mod delay_line;
pub mod kernel;
pub mod other_end;
pub mod privilege;
pub mod sleep_server;
pub mod targets;
mod trial_child;
