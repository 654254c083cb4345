//! Flags that say which system calls, and about which files.

use clap::Args;
use ipnet::IpNet;

use super::values;
use crate::{
    experiment::{CallMechanism, Calls, FdKind, FilePattern, Presence},
    quantity::PortRange,
    syscall::{Syscall, SyscallClass},
};

/// Which calls.
#[derive(Args, Debug)]
#[command(next_help_heading = "Calls")]
pub(crate) struct CallFlags {
    /// This system call, as in `openat`; repeatable
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present = "syscall_class"
    )]
    syscall: Vec<Syscall>,
    /// All calls of this kind; repeatable
    #[arg(long, value_name = "CLASS", value_enum, value_delimiter = ',')]
    syscall_class: Vec<SyscallClass>,
    /// Only of threads with such a name, as in `tokio-*`
    #[arg(long, value_name = "GLOB")]
    thread: Option<String>,
    #[command(flatten)]
    paths: PathFlags,
    /// Only about files of this kind; repeatable
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    fd_kind: Vec<FdKind>,
    /// Only about sockets whose far end has this address or network; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = values::net, value_delimiter = ',')]
    dest_ip: Vec<IpNet>,
    /// Only about sockets whose far end has this port or range; repeatable
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    dest_port: Vec<PortRange>,
    /// By this mechanism and no other
    #[arg(long, value_name = "NAME", value_enum)]
    mechanism: Option<CallMechanism>,
}

impl CallFlags {
    /// The calls.
    pub(crate) fn calls(self) -> Calls {
        let of_classes = self.syscall_class.into_iter().flat_map(SyscallClass::calls);
        let calls = Calls::of(self.syscall.into_iter().chain(of_classes), self.thread);
        self.paths.narrow(Calls {
            mechanism: self.mechanism,
            kinds: self.fd_kind,
            dest: self.dest_ip,
            dest_ports: self.dest_port,
            ..calls
        })
    }
}

/// Which files, as faults on any system call have it too.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub(crate) struct PathFlags {
    /// Only about this file, all below this folder, or names as in `/data/*.log` and `/data/**/*.log`;
    /// repeatable
    #[arg(long, value_name = "PATH")]
    path: Vec<FilePattern>,
    /// A path may be one that is to come; its folder is there
    #[arg(long, requires = "path")]
    future: bool,
}

impl PathFlags {
    /// The calls, of those about these files only.
    pub(crate) fn narrow(self, calls: Calls) -> Calls {
        Calls {
            paths: self.path,
            presence: if self.future {
                Presence::Future
            } else {
                Presence::Now
            },
            ..calls
        }
    }
}
