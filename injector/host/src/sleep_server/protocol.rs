//! The few words of FUSE that the park speaks (include/uapi/linux/fuse.h), to and from bytes.
//!
//! One file system with one file, whose pages never come. `OPEN`, `FLUSH` and the rest are answered with
//! "not implemented", after which the kernel leaves them out (fs/fuse/file.c, `no_open` and `no_flush`).
//!
//! Rejected: the `fuser` crate, which does not hand on `FUSE_INTERRUPT`; without it a killed process
//! would lie there until its sleep is over.

/// The version that is spoken: 7.31, which has all that is needed here.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;

/// What the kernel wants a reader's buffer to have at least, and more than any request here is long
/// (fs/fuse/dev.c, `FUSE_MIN_READ_BUFFER`).
pub(super) const REQUEST_BYTES: usize = 16 * 1024;

/// The name of the only file.
pub(super) const FILE: &str = "park";

/// Bytes of the file: more pages than all runs use.
pub(super) const FILE_BYTES: u64 = 1 << 40;

const ROOT: u64 = 1;
const NODE: u64 = 2;

/// How long names and attributes are good for, in seconds: until the end.
const FOR_EVER: u64 = 1 << 30;

/// What the kernel asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The first words.
    Init,
    /// A name in the root directory; whether it is [`FILE`].
    Lookup(Name),
    /// A node's attributes.
    Attributes(u64),
    /// A page: a thread wants to sleep. The value is the offset in the file.
    Read(u64),
    /// The thread that waits for this request has got a signal.
    Interrupt(u64),
    /// Something that wants no answer.
    Silent,
    /// Something else.
    Other,
}

/// A name that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The file.
    File,
    /// What is not there.
    Stranger,
}

/// A request and the number that its answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    /// The number.
    pub(super) unique: u64,
    /// The request.
    pub(super) request: Request,
}

/// `struct fuse_in_header`.
const IN_HEADER: usize = 40;

/// Reads a request; `None` for one that is cut short.
pub(super) fn parse(bytes: &[u8]) -> Option<Numbered> {
    let body = bytes.get(IN_HEADER..)?;
    let node = u64_at(bytes, 16)?;
    let request = match u32_at(bytes, 4)? {
        1 => Request::Lookup(if body.strip_suffix(b"\0")? == FILE.as_bytes() {
            Name::File
        } else {
            Name::Stranger
        }),
        // FORGET and BATCH_FORGET.
        2 | 42 => Request::Silent,
        3 => Request::Attributes(node),
        15 => Request::Read(u64_at(body, 8)?),
        26 => Request::Init,
        36 => Request::Interrupt(u64_at(body, 0)?),
        _ => Request::Other,
    };
    Some(Numbered {
        unique: u64_at(bytes, 8)?,
        request,
    })
}

/// The answer to what needs no waiting; `None` where there is none, or it comes later.
pub(super) fn answer(numbered: Numbered) -> Option<Vec<u8>> {
    let Numbered { unique, request } = numbered;
    Some(match request {
        Request::Init => reply(unique, &init()),
        Request::Lookup(Name::File) => {
            let mut body = words(&[NODE, 0, FOR_EVER, FOR_EVER, 0]);
            body.extend(attributes(NODE));
            reply(unique, &body)
        }
        Request::Lookup(Name::Stranger) => refusal(unique, libc::ENOENT),
        Request::Attributes(node) => {
            let mut body = words(&[FOR_EVER, 0]);
            body.extend(attributes(node));
            reply(unique, &body)
        }
        Request::Other => refusal(unique, libc::ENOSYS),
        Request::Read(_) | Request::Interrupt(_) | Request::Silent => return None,
    })
}

/// Wakes the thread that waits for a page. The page is not there, now or later, so none is ever kept.
pub(super) fn wake(unique: u64) -> Vec<u8> {
    refusal(unique, libc::EIO)
}

/// `struct fuse_out_header` with an error.
fn refusal(unique: u64, errno: i32) -> Vec<u8> {
    message(unique, -errno, &[])
}

fn reply(unique: u64, body: &[u8]) -> Vec<u8> {
    message(unique, 0, body)
}

fn message(unique: u64, error: i32, body: &[u8]) -> Vec<u8> {
    const OUT_HEADER: u32 = 16;
    // Bodies are a few dozen bytes.
    let length = OUT_HEADER + u32::try_from(body.len()).unwrap_or(0);
    let mut message = length.to_le_bytes().to_vec();
    message.extend(error.to_le_bytes());
    message.extend(unique.to_le_bytes());
    message.extend(body);
    message
}

/// `struct fuse_init_out`: no flags, so nothing but the plainest behaviour.
fn init() -> Vec<u8> {
    const LEAST_WRITE: u32 = 4096;
    let mut body = Vec::new();
    for word in [MAJOR, MINOR, 0, 0, 0, LEAST_WRITE] {
        body.extend(word.to_le_bytes());
    }
    body.resize(64, 0);
    body
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = if node == ROOT {
        (libc::S_IFDIR | 0o500, 0)
    } else {
        (libc::S_IFREG | 0o400, FILE_BYTES)
    };
    let mut body = words(&[node, size, 0, 0, 0, 0]);
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0_u32] {
        body.extend(word.to_le_bytes());
    }
    body
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod testing {
    //! The kernel's side.

    use super::{IN_HEADER, words};

    /// A request as the kernel sends it.
    pub(in crate::sleep_server) fn request(opcode: u32, unique: u64, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(IN_HEADER + body.len()).unwrap();
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(opcode.to_le_bytes());
        bytes.extend(words(&[unique, super::NODE, 0, 0]));
        bytes.extend(body);
        bytes
    }

    pub(in crate::sleep_server) fn read(unique: u64, offset: u64) -> Vec<u8> {
        request(15, unique, &words(&[0, offset, 4096, 0, 0]))
    }

    pub(in crate::sleep_server) fn interrupt(unique: u64, of: u64) -> Vec<u8> {
        request(36, unique, &words(&[of]))
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::request, *};
    use proptest::prelude::*;

    fn parsed(opcode: u32, body: &[u8]) -> Request {
        parse(&request(opcode, 7, body)).unwrap().request
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(parsed(1, b"park\0"), Request::Lookup(Name::File));
        assert_eq!(parsed(1, b"parks\0"), Request::Lookup(Name::Stranger));
        assert_eq!(
            parsed(15, &words(&[0, 8192, 4096, 0, 0])),
            Request::Read(8192)
        );
        assert_eq!(parsed(36, &words(&[5])), Request::Interrupt(5));
        assert_eq!(parsed(26, &[0; 16]), Request::Init);
        assert_eq!(parsed(2, &[0; 8]), Request::Silent);
        for opcode in [14, 18, 25, 22, 43] {
            assert_eq!(parsed(opcode, &[0; 64]), Request::Other, "{opcode}");
        }
    }

    #[test]
    fn answers_have_the_lengths_that_the_kernel_expects() {
        let length = |request| answer(Numbered { unique: 7, request }).map(|bytes| bytes.len());
        assert_eq!(length(Request::Init), Some(16 + 64));
        assert_eq!(length(Request::Lookup(Name::File)), Some(16 + 128));
        assert_eq!(length(Request::Attributes(ROOT)), Some(16 + 104));
        assert_eq!(length(Request::Other), Some(16));
        assert_eq!(length(Request::Read(0)), None);
        assert_eq!(length(Request::Interrupt(1)), None);
        assert_eq!(length(Request::Silent), None);
    }

    #[test]
    fn who_is_woken_gets_an_error_and_no_page() {
        let bytes = wake(0x0102);
        assert_eq!(u32_at(&bytes, 0), Some(16));
        assert_eq!(u32_at(&bytes, 4), Some((-libc::EIO).cast_unsigned()));
        assert_eq!(u64_at(&bytes, 8), Some(0x0102));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = parse(&bytes).map(answer);
        }
    }
}
