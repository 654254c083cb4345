//! BPF programs and maps with names of ours that the kernel holds now, whichever process has loaded them.
//!
//! What a run has left can be told from it, where no other run began meanwhile: the kernel gives no id twice.

use std::{collections::BTreeSet, io};

use aya::{
    maps::{MapError, loaded_maps},
    programs::{ProgramError, loaded_programs},
    sys::SyscallError,
};

use super::{Error, pins::is_ours};

/// How long a look waits. A table of programs empties itself behind its last descriptor by work that the kernel puts off; a
/// descriptor by its id that is closed before makes the kernel keep the empty table for good (`prog_array_map_clear` in
/// `kernel/bpf/arraymap.c`).
const SETTLED: std::time::Duration = std::time::Duration::from_millis(100);

/// Each as `program inj_egress (id 7)`. One that goes while it is looked at is passed over.
pub fn objects() -> Result<BTreeSet<String>, Error> {
    // A map that has lost its last descriptor just now is not to be opened: see SETTLED.
    std::thread::sleep(SETTLED);
    let mut found = BTreeSet::new();
    for program in loaded_programs() {
        match program {
            Ok(program) => {
                if let Some(name) = program.name_as_str().filter(|name| is_ours(name)) {
                    found.insert(format!("program {name} (id {})", program.id()));
                }
            }
            Err(ProgramError::SyscallError(error)) if is_gone(&error) => {}
            Err(error) => return Err(unknown(&error)),
        }
    }
    for map in loaded_maps() {
        match map {
            Ok(map) => {
                if let Some(name) = map.name_as_str().filter(|name| is_ours(name)) {
                    found.insert(format!("map {name} (id {})", map.id()));
                }
            }
            Err(MapError::SyscallError(error)) if is_gone(&error) => {}
            Err(error) => return Err(unknown(&error)),
        }
    }
    Ok(found)
}

fn is_gone(error: &SyscallError) -> bool {
    error.io_error.kind() == io::ErrorKind::NotFound
}

fn unknown(error: &impl std::fmt::Display) -> Error {
    Error::Probe(format!(
        "the BPF objects of this host cannot be listed: {error}"
    ))
}
