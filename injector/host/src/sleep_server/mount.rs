//! A FUSE file system that is mounted nowhere (fs/fuse/inode.c; fsopen(2), fsmount(2)).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
        fsopen,
    },
};

use super::Error;

/// Makes the file system. Returns the device that its server reads, without blocking, and its root directory, which
/// is a descriptor and has no path. The file system ends when either is closed everywhere.
///
/// A process that opens something in it waits for the server, so this process must not.
pub(super) fn mount() -> Result<(OwnedFd, OwnedFd), Error> {
    let device = rustix::fs::open(
        "/dev/fuse",
        OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .map_err(|errno| Error::NoFuse(errno.into()))?;
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(Error::system("open a FUSE file system"))?;
    let number = device.as_raw_fd().to_string();
    // The root's mode is that of a directory, in octal.
    for (key, value) in [
        ("source", "injector"),
        ("fd", &number),
        ("rootmode", "40000"),
        ("user_id", "0"),
        ("group_id", "0"),
    ] {
        fsconfig_set_string(&context, key, value)
            .map_err(Error::system("set an option of its FUSE file system"))?;
    }
    fsconfig_create(&context).map_err(Error::system("make its FUSE file system"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(Error::system("mount its FUSE file system"))?;
    Ok((device, root))
}
