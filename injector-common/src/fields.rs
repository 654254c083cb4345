//! The fields of a ring buffer's record, by their offsets.

/// The bytes of a record whose length is right.
pub(crate) struct Fields<'b, const LENGTH: usize>(&'b [u8; LENGTH]);

impl<'b, const LENGTH: usize> Fields<'b, LENGTH> {
    /// `None` where the length is another record's.
    pub(crate) fn of(bytes: &'b [u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn u64_at(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes_at(at))
    }

    pub(crate) fn u32_at(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes_at(at))
    }

    /// So many bytes from there on, which the record has.
    pub(crate) fn bytes_at<const COUNT: usize>(&self, at: usize) -> [u8; COUNT] {
        let mut value = [0; COUNT];
        value.copy_from_slice(&self.0[at..at + COUNT]);
        value
    }
}
