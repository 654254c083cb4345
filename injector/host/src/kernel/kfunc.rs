//! Calls of kernel functions ("kfuncs") from BPF programs.
//!
//! aya 0.14 knows only helpers, which have fixed numbers. A kfunc is called by its id in the kernel's own
//! type information, so the programs are compiled with numbers that no helper has, and the calls are
//! rewritten here before aya sees the object (kernel/bpf/verifier.c, `add_kfunc_call`). Where a function is
//! missing its calls stay as they are: a frozen global tells the programs, and the verifier removes them.
//!
//! Rejected: a newer aya, which relocates kfuncs but wants a newer compiler than bpf-linker does.

use aya::Btf;
use aya_obj::btf::BtfKind;
use injector_common::park::{CALL_TASK_FROM_PID, CALL_TASK_RELEASE};

/// The functions that the park calls.
const PARK: [(i32, &str); 2] = [
    (CALL_TASK_FROM_PID, "bpf_task_from_pid"),
    (CALL_TASK_RELEASE, "bpf_task_release"),
];

/// Which kernel functions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kfuncs {
    /// All that the park needs.
    Park,
    /// Too few.
    None,
}

/// Rewrites the calls in a compiled object for this kernel.
pub(super) fn link(object: &mut [u8], btf: &Btf) -> Kfuncs {
    let Some(ids) = ids(btf) else {
        return Kfuncs::None;
    };
    for section in code_sections(object) {
        if let Some(code) = object.get_mut(section) {
            rewrite(code, &ids);
        }
    }
    Kfuncs::Park
}

fn ids(btf: &Btf) -> Option<[(i32, u32); PARK.len()]> {
    let mut ids = [(0, 0); PARK.len()];
    for (entry, (number, name)) in ids.iter_mut().zip(PARK) {
        *entry = (number, btf.id_by_type_name_kind(name, BtfKind::Func).ok()?);
    }
    Some(ids)
}

/// Bytes of an instruction (include/uapi/linux/bpf.h, `struct bpf_insn`).
const INSTRUCTION: usize = 8;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL` in the upper half of the register byte, where the source register is.
const KFUNC: u8 = 2 << 4;

fn rewrite(code: &mut [u8], ids: &[(i32, u32)]) {
    for instruction in code.chunks_exact_mut(INSTRUCTION) {
        if let [CALL, registers @ 0, _, _, immediate @ ..] = instruction {
            let wanted = ids
                .iter()
                .find(|(number, _)| number.to_le_bytes()[..] == *immediate);
            if let Some((_, id)) = wanted {
                *registers = KFUNC;
                immediate.copy_from_slice(&id.to_le_bytes());
            }
        }
    }
}

/// The sections of a 64-bit little-endian ELF file that hold instructions (`SHF_EXECINSTR`).
fn code_sections(elf: &[u8]) -> Vec<std::ops::Range<usize>> {
    const EXECUTABLE: u64 = 4;
    let headers = || {
        let table = number(elf, 0x28, 8)?;
        let size = number(elf, 0x3a, 2)?;
        let count = number(elf, 0x3c, 2)?;
        Some((0..count).map(move |index| table.saturating_add(index * size)))
    };
    let section = |header: u64| {
        let at = usize::try_from(header).ok()?;
        let flags = number(elf, at.checked_add(0x08)?, 8)?;
        let start = usize::try_from(number(elf, at + 0x18, 8)?).ok()?;
        let length = usize::try_from(number(elf, at + 0x20, 8)?).ok()?;
        (flags & EXECUTABLE != 0).then(|| start..start.saturating_add(length))
    };
    headers()
        .into_iter()
        .flatten()
        .filter_map(section)
        .collect()
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(registers: u8, immediate: i32) -> [u8; INSTRUCTION] {
        let mut instruction = [CALL, registers, 0, 0, 0, 0, 0, 0];
        instruction[4..].copy_from_slice(&immediate.to_le_bytes());
        instruction
    }

    /// An ELF header, one section that holds code, one that does not, and the two headers.
    fn elf(code: &[u8], data: &[u8]) -> Vec<u8> {
        let mut elf = vec![0; 0x40];
        elf.extend(code);
        elf.extend(data);
        let table = elf.len() as u64;
        elf[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        elf[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        elf[0x3c..0x3e].copy_from_slice(&2_u16.to_le_bytes());
        for (flags, start, length) in [
            (6_u64, 0x40, code.len()),
            (2, 0x40 + code.len(), data.len()),
        ] {
            let mut header = [0; 64];
            header[0x08..0x10].copy_from_slice(&flags.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(start as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(length as u64).to_le_bytes());
            elf.extend(header);
        }
        elf
    }

    #[test]
    fn only_our_calls_in_code_are_rewritten() {
        let ours = call(0, CALL_TASK_FROM_PID);
        let helper = call(0, 14);
        let local = call(0x10, CALL_TASK_FROM_PID);
        let code = [ours, helper, local].concat();
        let mut object = elf(&code, &ours);
        for section in code_sections(&object) {
            rewrite(&mut object[section], &[(CALL_TASK_FROM_PID, 99)]);
        }
        let expected = [call(KFUNC, 99), helper, local, ours].concat();
        assert_eq!(&object[0x40..0x60], expected);
    }

    #[test]
    fn damaged_files_are_no_panic() {
        let whole = elf(&call(0, CALL_TASK_RELEASE), &[0; 8]);
        for length in 0..whole.len() {
            let _ = code_sections(&whole[..length]);
        }
        let mut far = whole;
        far[0x28..0x30].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(code_sections(&far).is_empty());
    }
}
