//! The hooks of the security modules: the places where a call knows what it is about to do to what.
//!
//! Each program serves three ways: as a BPF LSM program, as a sleepable one where the kernel lets its hook
//! sleep (`..._s`), and as a `fmod_ret` program on `security_...`, which takes the same arguments. Which way
//! is the loader's choice (`kernel/trampoline.rs`), not the section's name. A hook's return value of
//! an earlier program need not be looked at: the trampoline stops at the first that is not 0
//! (kernel/bpf/trampoline.c, `arch/x86/net/bpf_jit_comp.c`, `invoke_bpf_mod_ret`).

use core::ffi::c_void;

use injector_common::call::op;

use crate::{
    caller, calls, carry, flight,
    maps::OFFSET_BPRM_FILE,
    subject::{Subject, is_opened_by_its_folder, read},
};

/// The `n`-th argument of the hook.
#[inline(always)]
fn argument(context: *mut c_void, n: usize) -> u64 {
    // SAFETY: a trampoline's context is an array of 64-bit words, and the verifier knows its length.
    unsafe { core::ptr::read_volatile(context.cast::<u64>().add(n)) }
}

/// Defines a hook's program, and its sleepable twin where the kernel has a use for one.
macro_rules! hook {
    ($name:ident, $op:expr, |$context:ident| $subject:expr) => {
        #[unsafe(no_mangle)]
        #[unsafe(link_section = concat!("lsm/", stringify!($name)))]
        extern "C" fn $name($context: *mut c_void) -> i64 {
            carry::awake($context, $op, || $subject)
        }
    };
    ($name:ident, $sleepable:ident, $op:expr, |$context:ident| $subject:expr) => {
        hook!($name, $op, |$context| $subject);

        #[unsafe(no_mangle)]
        #[unsafe(link_section = concat!("lsm.s/", stringify!($sleepable)))]
        extern "C" fn $sleepable($context: *mut c_void) -> i64 {
            if caller::scope().is_none() {
                return 0;
            }
            flight::counted(|| calls::decide($op, || $subject).map_or(0, carry::out_asleep))
        }
    };
}

hook!(inj_file_open, op::OPEN, |context| {
    Subject::file(argument(context, 0))
});

/// The sleepable twin of `inj_file_open`, which looks whether the folder is locked.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm.s/inj_file_open_s")]
extern "C" fn inj_file_open_s(context: *mut c_void) -> i64 {
    if caller::scope().is_none() {
        return 0;
    }
    let file = argument(context, 0);
    flight::counted(|| {
        let Some(pending) = calls::decide(op::OPEN, || Subject::file(file)) else {
            return 0;
        };
        if pending.sleeper != 0 && is_opened_by_its_folder(file) {
            carry::out_without_sleep(pending)
        } else {
            carry::out_asleep(pending)
        }
    })
}

hook!(inj_bprm_creds, inj_bprm_creds_s, op::EXEC, |context| {
    let bprm = argument(context, 0);
    Subject::file(read(bprm + u64::from(OFFSET_BPRM_FILE.load())))
});
hook!(inj_task_alloc, inj_task_alloc_s, op::FORK, |_context| {
    Subject::NONE
});
hook!(inj_mmap_file, inj_mmap_file_s, op::MMAP, |context| {
    Subject::file(argument(context, 0))
});
hook!(inj_unlink, op::UNLINK, |context| {
    Subject::dentry(argument(context, 1))
});
hook!(inj_rename, op::RENAME, |context| {
    Subject {
        other: argument(context, 3),
        ..Subject::dentry(argument(context, 1))
    }
});
hook!(inj_mkdir, op::MKDIR, |context| {
    Subject::dentry(argument(context, 1))
});
hook!(inj_rmdir, op::RMDIR, |context| {
    Subject::dentry(argument(context, 1))
});
hook!(inj_getattr, inj_getattr_s, op::STAT, |context| {
    Subject::path(argument(context, 0))
});
hook!(inj_truncate, inj_truncate_s, op::TRUNCATE, |context| {
    Subject::path(argument(context, 0))
});
hook!(inj_chmod, op::CHMOD, |context| {
    Subject::path(argument(context, 0))
});
hook!(inj_chown, op::CHOWN, |context| {
    Subject::path(argument(context, 0))
});
hook!(inj_symlink, op::SYMLINK, |context| {
    Subject::dentry(argument(context, 1))
});
hook!(inj_link, op::LINK, |context| {
    Subject {
        other: argument(context, 2),
        ..Subject::dentry(argument(context, 0))
    }
});
hook!(inj_ioctl, inj_ioctl_s, op::IOCTL, |context| {
    Subject::file(argument(context, 0))
});
hook!(inj_lock, inj_lock_s, op::LOCK, |context| {
    Subject::file(argument(context, 0))
});
hook!(inj_socket, inj_socket_s, op::SOCKET, |_context| {
    Subject::NONE
});
hook!(
    inj_sock_connect,
    inj_sock_connect_s,
    op::CONNECT,
    |context| { Subject::socket(argument(context, 0), argument(context, 1)) }
);
hook!(inj_sock_bind, inj_sock_bind_s, op::BIND, |context| {
    Subject::socket(argument(context, 0), 0)
});
hook!(inj_sock_listen, inj_sock_listen_s, op::LISTEN, |context| {
    Subject::socket(argument(context, 0), 0)
});
hook!(inj_sock_accept, inj_sock_accept_s, op::ACCEPT, |context| {
    Subject::socket(argument(context, 0), 0)
});
hook!(inj_sock_send, inj_sock_send_s, op::SEND, |context| {
    Subject::message(argument(context, 0), argument(context, 1))
});
hook!(
    inj_sock_receive,
    inj_sock_receive_s,
    op::RECEIVE,
    |context| { Subject::socket(argument(context, 0), 0) }
);

/// `MAY_WRITE` (include/linux/fs.h).
const MAY_WRITE: u64 = 2;

const _: () = assert!(op::WRITE == op::READ + 1, "the hook counts on it");

/// Reads and writes of files and pipes; the mask, the hook's second argument, says which. Sockets are met
/// at their own hooks as well.
#[unsafe(no_mangle)]
#[unsafe(link_section = "lsm/inj_file_access")]
extern "C" fn inj_file_access(context: *mut c_void) -> i64 {
    // Without a branch: the verifier would follow both through all that comes.
    let op = op::READ + ((argument(context, 1) / MAY_WRITE) & 1) as u32;
    let file = argument(context, 0);
    carry::awake(context, op, || Subject::file(file))
}
