//! Mounts and cgroups of a process as `/proc` has them, byte by byte: a mount point, or a cgroup, may have a
//! name that is not UTF-8 (a stick from another country is enough), and that must neither hide a process
//! from what protects it nor keep every process from finding the hierarchy.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// One line of `/proc/PID/mountinfo` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, as `mnt_id` of `/proc/PID/fdinfo`.
    pub id: i32,
    /// The device of its file system, as the kernel numbers it (`include/linux/kdev_t.h`).
    pub device: u32,
    /// What of the file system is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Its kind, as in `cgroup2`.
    pub kind: String,
    /// The options of the file system itself, without values.
    pub options: Vec<String>,
}

impl Mount {
    /// Whether all of the file system is mounted there.
    pub fn is_whole(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// One line of `/proc/PID/cgroup` (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// 0 for version 2.
    pub hierarchy: u32,
    /// Of version 1.
    pub controllers: Vec<String>,
    /// From the root of the hierarchy.
    pub path: PathBuf,
}

/// The mounts that a process sees; `self` is the caller.
///
/// # Errors
/// What read(2) says.
pub fn of(process: &str) -> io::Result<Vec<Mount>> {
    Ok(mounts(&fs::read(format!("/proc/{process}/mountinfo"))?))
}

/// The cgroups that a process is in.
///
/// # Errors
/// What read(2) says.
pub fn cgroups_of(pid: u32) -> io::Result<Vec<Membership>> {
    Ok(memberships(&fs::read(format!("/proc/{pid}/cgroup"))?))
}

/// Lines that are none are left out.
fn mounts(text: &[u8]) -> Vec<Mount> {
    lines(text).filter_map(mount).collect()
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = device(fields.nth(1)?)?;
    let root = fields.next()?;
    let point = fields.next()?;
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = rest.next()?;
    let options = rest.nth(1).unwrap_or_default();
    let name = |option: &[u8]| {
        let name = option.split(|byte| *byte == b'=').next().unwrap_or(option);
        String::from_utf8_lossy(name).into_owned()
    };
    Some(Mount {
        id,
        device,
        root: path(unescaped(root)),
        point: path(unescaped(point)),
        kind: String::from_utf8_lossy(kind).into_owned(),
        options: options.split(|byte| *byte == b',').map(name).collect(),
    })
}

/// `98:0`
fn device(field: &[u8]) -> Option<u32> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(major.parse::<u32>().ok()? << 20 | minor.parse::<u32>().ok()?)
}

fn memberships(text: &[u8]) -> Vec<Membership> {
    lines(text).filter_map(membership).collect()
}

/// `4:memory,hugetlb:/a/b`; the path has everything behind the second colon.
fn membership(line: &[u8]) -> Option<Membership> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let hierarchy = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let controllers = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Membership {
        hierarchy,
        controllers: controllers
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        path: path(fields.next()?.to_owned()),
    })
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// Blanks, tabs, line feeds and backslashes are written as three octal digits (`fs/proc_namespace.c`,
/// `mangle`).
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        if let (b'\\', Some(byte)) = (first, octal) {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stick_from_another_country_hides_nothing() {
        let text = b"23 1 8:1 / /media/caf\xe9\\040a rw - vfat /dev/sdb1 rw\n\
            29 24 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n\
            30 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        let found = mounts(text);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].id, found[0].device), (23, 8 << 20 | 1));
        assert_eq!(found[0].point.as_os_str().as_bytes(), b"/media/caf\xe9 a");
        assert_eq!(found[1].kind, "cgroup2");
        assert_eq!(
            found[1].point,
            PathBuf::from("/sys/fs/cgroup/unified"),
            "optional fields are passed over"
        );
        assert_eq!(found[2].options, ["rw", "cpu", "cpuacct"]);
    }

    #[test]
    fn a_cgroup_of_any_name_is_read() {
        let found = memberships(b"4:cpu,cpuacct:/a:b\n0::/x/caf\xe9\n");
        assert_eq!(found[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(found[0].path, PathBuf::from("/a:b"));
        assert_eq!((found[1].hierarchy, found[1].controllers.len()), (0, 0));
        assert_eq!(found[1].path.as_os_str().as_bytes(), b"/x/caf\xe9");
    }

    #[test]
    fn this_process_sees_mounts_and_is_in_cgroups() {
        assert!(of("self").unwrap().iter().any(|one| one.kind == "proc"));
        cgroups_of(std::process::id()).unwrap();
    }

    proptest! {
        #[test]
        fn reading_is_total(text: Vec<u8>) {
            let _ = (mounts(&text), memberships(&text));
        }
    }
}
