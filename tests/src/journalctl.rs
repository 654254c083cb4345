//! A `journalctl` of the tests' own, which one command finds in place of the host's: a machine of tests has no systemd.
//!
//! It lies in a folder that is bound over one of those in which root's programs are looked for, in a mount namespace of
//! that command alone.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result};
use rustix::{
    mount::{MountPropagationFlags, mount_bind, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Has `command` find a `journalctl` that prints the lines that are appended to a file, as if the asked-for unit had
/// written them. `folder` is where it lies.
pub fn stand_in(command: &mut Command, folder: &Path, lines: &Path) -> Result<()> {
    let program = folder.join("journalctl");
    let text = format!(
        "#!/bin/sh\n\
         case \"$*\" in\n\
         \"--follow --no-tail --since=@\"*\" --output=cat --quiet --no-pager --unit=agent\") ;;\n\
         *) exit 64 ;;\n\
         esac\n\
         exec tail -n 0 -F '{}'\n",
        lines.display()
    );
    fs::write(&program, text).context("cannot write a journalctl")?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let folder = CString::new(folder.as_os_str().as_bytes()).context("a folder with a NUL")?;
    // SAFETY: between fork and exec only system calls are made, on texts that were made before the fork; nothing
    // allocates or takes a lock.
    unsafe {
        command.pre_exec(move || {
            // SAFETY: the process has one thread, and shares no descriptors with another one by this flag.
            unshare_unsafe(UnshareFlags::NEWNS)?;
            mount_change(
                c"/",
                MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
            )?;
            mount_bind(folder.as_c_str(), c"/usr/local/bin")?;
            Ok::<(), io::Error>(())
        });
    }
    Ok(())
}
