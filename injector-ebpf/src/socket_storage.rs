//! What is kept of a socket in its own storage. The kernel frees it with the socket or with the map, whichever goes first.

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_SK_STORAGE, bpf_sock},
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
};

/// A map of such values with these flags, in the form that BTF loaders read: the fields are types, never values.
#[repr(C)]
pub struct SocketStorage<V, const FLAGS: usize> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const V,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

// SAFETY: the fields are placeholders that the loader replaces; no code dereferences them.
unsafe impl<V, const FLAGS: usize> Sync for SocketStorage<V, FLAGS> {}

impl<V, const FLAGS: usize> SocketStorage<V, FLAGS> {
    /// The map.
    pub const NEW: Self = Self {
        r#type: core::ptr::null(),
        key: core::ptr::null(),
        value: core::ptr::null(),
        max_entries: core::ptr::null(),
        map_flags: core::ptr::null(),
    };

    /// The value of a full socket, or null. The pointer stays valid while the program runs.
    #[inline(always)]
    pub fn get(&self, sk: *mut bpf_sock) -> *mut V {
        // SAFETY: the verifier checks that `sk` is a full socket; null asks for no creation.
        unsafe {
            bpf_sk_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                sk.cast(),
                core::ptr::null_mut(),
                0,
            )
            .cast()
        }
    }

    /// Forgets the value of a full socket, where there is one.
    #[inline(always)]
    pub fn delete(&self, sk: *mut bpf_sock) {
        // SAFETY: as above; that there was none is as good.
        unsafe { bpf_sk_storage_delete(core::ptr::from_ref(self).cast_mut().cast(), sk.cast()) };
    }

    /// The value of a full socket, made from `fresh` where there is none; null where memory is short.
    #[inline(always)]
    pub fn get_or_insert(&self, sk: *mut bpf_sock, fresh: &mut V) -> *mut V {
        // SAFETY: as above; the kernel copies `fresh` before it returns.
        unsafe {
            bpf_sk_storage_get(
                core::ptr::from_ref(self).cast_mut().cast(),
                sk.cast(),
                core::ptr::from_mut(fresh).cast(),
                u64::from(BPF_SK_STORAGE_GET_F_CREATE),
            )
            .cast()
        }
    }
}
