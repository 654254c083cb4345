//! Files of a cgroup that hold one setting: `cgroup.freeze`, `cpu.max`, `io.max` and their like. They
//! outlive the process that writes them, so the executor records the old value before it writes.
//!
//! `io.max` and the throttles of v1 hold a line for each block device; there the setting is one line.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Reads a setting. `like` is a value that is or will be in force: its first word is the device where
/// the file has a line for each.
///
/// # Errors
/// What open(2) and read(2) say; `ENOENT` or `ENODEV` where the cgroup is gone.
pub fn read(path: &Path, like: &str) -> io::Result<String> {
    Ok(of_text(path, &fs::read_to_string(path)?, like))
}

/// Writes a setting.
///
/// # Errors
/// What open(2) and write(2) say; `EINVAL` where the kernel does not take the value.
pub fn write(path: &Path, value: &str) -> io::Result<()> {
    // Never made where it is missing: a file in a cgroup is the kernel's to make.
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(value.as_bytes())
}

/// Whether two values are about the same setting of a file: the same device, where it has many.
pub fn is_same_setting(path: &Path, one: &str, other: &str) -> bool {
    device(path, one) == device(path, other)
}

/// The setting in the text of a file.
fn of_text(path: &Path, text: &str, like: &str) -> String {
    let Some(device) = device(path, like) else {
        return text.trim().to_owned();
    };
    let found = text.lines().find(|line| first_word(line) == device);
    // A device without limits has no line.
    found.map_or_else(|| unlimited(path, device), |line| line.trim().to_owned())
}

/// The device that a value is about; `None` where the file holds a single setting.
fn device<'v>(path: &Path, value: &'v str) -> Option<&'v str> {
    let name = path.file_name()?.to_str()?;
    (name == "io.max" || name.starts_with("blkio.throttle.")).then(|| first_word(value))
}

/// What puts a device back to no limit (`block/blk-throttle.c`, `tg_set_limit`, `tg_set_conf`).
fn unlimited(path: &Path, device: &str) -> String {
    if path.ends_with("io.max") {
        format!("{device} rbps=max wbps=max riops=max wiops=max")
    } else {
        format!("{device} 0")
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_setting_or_one_for_each_device() {
        let single = Path::new("/c/cpu.max");
        assert_eq!(of_text(single, "max 100000\n", "1000 100000"), "max 100000");
        let many = Path::new("/c/io.max");
        let text =
            "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=2 wbps=max riops=max wiops=max\n";
        assert_eq!(
            of_text(many, text, "8:16 rbps=9"),
            "8:16 rbps=2 wbps=max riops=max wiops=max"
        );
        assert_eq!(
            of_text(many, text, "8:1 rbps=9"),
            "8:1 rbps=max wbps=max riops=max wiops=max"
        );
        let v1 = Path::new("/c/blkio.throttle.read_bps_device");
        assert_eq!(of_text(v1, "", "8:0 5"), "8:0 0");
        assert!(is_same_setting(many, "8:0 rbps=1", "8:0 wbps=1"));
        assert!(!is_same_setting(many, "8:0 rbps=1", "8:1 rbps=1"));
        assert!(is_same_setting(single, "1", "2"));
    }
}
