//! Files that are named one by one, for what reaches no others.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, fstat};

use super::{PlaceError, ResolvedTarget, onlookers, open_below, root_of};
use crate::experiment::{Calls, Presence};

/// The files of exact paths as they are now, in each mount namespace of the target's, opened for their names
/// only. One that is to come is left out.
///
/// # Errors
/// Where nobody sees one of the paths, or one leads to a folder.
pub fn files(calls: &Calls, target: &ResolvedTarget) -> Result<Vec<OwnedFd>, PlaceError> {
    // A process that has ended meanwhile sees nothing.
    let roots: Vec<OwnedFd> = onlookers(target)
        .into_iter()
        .filter_map(|pid| root_of(pid).ok())
        .collect();
    let mut found = Vec::new();
    for pattern in &calls.paths {
        let folder = || PlaceError::Folder(pattern.to_string());
        let path = pattern.exact().ok_or_else(folder)?;
        let before = found.len();
        let mut missed = None;
        for root in &roots {
            match open_below(root, path) {
                Ok(file) => found.push(file),
                Err(error) => missed = Some(error),
            }
        }
        if found[before..].iter().any(is_folder) {
            return Err(folder());
        }
        match missed {
            Some(error) if found.len() == before && calls.presence == Presence::Now => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn is_folder(file: &OwnedFd) -> bool {
    fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
