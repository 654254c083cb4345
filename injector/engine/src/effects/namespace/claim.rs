//! Reaches the sockets that targets have open: tags those without a tag, and finds the connections that resets are
//! to ask.
//!
//! At arming, and again while the run goes on, because a socket may come over a unix socket, or be opened by a
//! process that was just being followed. The kernel looks where it can ([`Looker`]); elsewhere descriptors are
//! copied ([`target::socket`](injector_host::targets::socket)), each once, and the table of those that were looked at
//! forgets what is closed.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    os::fd::OwnedFd,
};

use injector_common::{
    look::{Found, Look},
    tag::Tag,
};

use injector_host::{
    kernel::{Error, look::Looker, maps::Maps, object::Object},
    targets::{
        pidfd,
        process::TaskKey,
        socket::{self, TargetSocket},
    },
};

/// What looks through sockets.
pub(super) struct Sockets {
    way: Way,
}

enum Way {
    /// A program looks.
    InKernel(Looker),
    /// Descriptors are copied. For each scope the slots that have asked a socket, by its inode.
    ByCopies(BTreeMap<u32, HashMap<u64, u32>>),
}

/// Which resets ask, one bit for each slot.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::effects) struct Asking {
    /// Those that ask every connection.
    pub(in crate::effects) any: u32,
    /// Those that ask busy ones.
    pub(in crate::effects) busy: u32,
    /// Those that ask idle ones.
    pub(in crate::effects) idle: u32,
}

/// What came of a socket.
pub(in crate::effects) enum Met {
    /// These slots have asked it now; others may later.
    Asked(u32),
    /// No slot will ever ask it: it is no TCP connection, and will be none.
    Never,
    /// There is no more time: the look ends, and the socket is looked at again.
    Enough,
}

/// Meets a socket that these slots have not asked yet.
pub(in crate::effects) type Meet<'m> = dyn FnMut(&mut Maps, &TargetSocket, u32) -> Met + 'm;

impl Sockets {
    /// In the way that this kernel allows. Before the object's maps are taken.
    pub(super) fn of(object: &mut Object) -> Self {
        let way = match Looker::of(object) {
            Ok(looker) => Way::InKernel(looker),
            // Slower and no worse: nothing is refused for want of it.
            Err(_) => Way::ByCopies(BTreeMap::new()),
        };
        Self { way }
    }

    /// Tags the sockets of these processes; what cannot be tagged stays a bystander's. Whatever the programs did
    /// not see being made was made before: by a stranger, say, who passed it on.
    pub(super) fn claim(&mut self, members: &[TaskKey], scope: u32, maps: &mut Maps) {
        self.look(members, scope, Asking::default(), maps, &mut |_, _, _| {
            Met::Asked(0)
        });
    }

    /// The same, and meets each connection that a reset has not asked yet.
    pub(super) fn look(
        &mut self,
        members: &[TaskKey],
        scope: u32,
        asking: Asking,
        maps: &mut Maps,
        meet: &mut Meet<'_>,
    ) {
        if let Way::InKernel(looker) = &mut self.way {
            let looked = members.iter().try_for_each(|key| {
                match in_kernel(looker, *key, scope, asking, maps, meet) {
                    Ok(ControlFlow::Continue(())) => Ok(()),
                    Ok(ControlFlow::Break(())) => Err(None),
                    Err(refused) => Err(Some(refused)),
                }
            });
            match looked {
                Ok(()) | Err(None) => return,
                Err(Some(_refused)) => self.way = Way::ByCopies(BTreeMap::new()),
            }
        }
        if let Way::ByCopies(known) = &mut self.way {
            let known = known.entry(scope).or_default();
            let tag = |maps: &mut Maps, socket: &TargetSocket| {
                let tag = Tag::new(scope, Tag::EXISTING, socket.cookie);
                // What cannot be tagged stays a bystander's.
                let _ = maps.tag(&socket.fd, tag);
            };
            by_copies(known, members, asking, maps, &tag, meet);
        }
    }
}

fn in_kernel(
    looker: &mut Looker,
    key: TaskKey,
    scope: u32,
    asking: Asking,
    maps: &mut Maps,
    meet: &mut Meet<'_>,
) -> Result<ControlFlow<()>, Error> {
    let look = Look {
        start_ticks: key.start_ticks,
        tgid: key.tgid,
        scope,
        origin: Tag::EXISTING,
        ask_any: asking.any,
        ask_busy: asking.busy,
        ask_idle: asking.idle,
    };
    let mut pidfd = None;
    let mut flow = ControlFlow::Continue(());
    looker.look(look, &mut |found| {
        if pidfd.is_none() {
            pidfd = pidfd::open(key).ok();
        }
        if let Some(pidfd) = &pidfd {
            flow = ask(pidfd, found, maps, meet);
        }
        flow
    })?;
    Ok(flow)
}

/// Meets one connection that the program has found, and writes down who has asked it.
fn ask(pidfd: &OwnedFd, found: Found, maps: &mut Maps, meet: &mut Meet<'_>) -> ControlFlow<()> {
    let number = i32::try_from(found.fd).unwrap_or(-1);
    // It may have been closed meanwhile, and its number given to another.
    let socket = socket::copy(pidfd, number).filter(|socket| socket.cookie == found.cookie);
    let Some(socket) = socket else {
        return ControlFlow::Continue(());
    };
    let Some(tag) = maps.tag_of(&socket.fd) else {
        return ControlFlow::Continue(());
    };
    // One with two descriptors was met by the first.
    let left = found.slots & !tag.asked;
    if left == 0 {
        return ControlFlow::Continue(());
    }
    let asked = match meet(maps, &socket, left) {
        Met::Asked(asked) => asked,
        Met::Never => u32::MAX,
        Met::Enough => return ControlFlow::Break(()),
    };
    if asked != 0 {
        let tag = Tag {
            asked: tag.asked | asked,
            ..tag
        };
        // One whose tag cannot be written is gone, or is asked again.
        let _ = maps.mark_asked(&socket.fd, tag);
    }
    ControlFlow::Continue(())
}

/// Looks through copies of descriptors. `known` is what was seen by the last look, and becomes what is open now; `M`
/// is where tags are.
fn by_copies<M>(
    known: &mut HashMap<u64, u32>,
    members: &[TaskKey],
    asking: Asking,
    maps: &mut M,
    tag: &dyn Fn(&mut M, &TargetSocket),
    meet: &mut dyn FnMut(&mut M, &TargetSocket, u32) -> Met,
) {
    let slots = asking.any | asking.busy | asking.idle;
    let mut open = HashMap::with_capacity(known.len());
    let mut is_over = false;
    for key in members {
        let is_wanted = |inode: u64| known.get(&inode).is_none_or(|asked| slots & !asked != 0);
        socket::visit(*key, |inode, copy| {
            if open.contains_key(&inode) {
                return;
            }
            let before = known.get(&inode).copied();
            let mut asked = before.unwrap_or_default();
            if is_over || !is_wanted(inode) {
                // A socket that was never looked at is not made known either.
                open.extend(before.map(|asked| (inode, asked)));
                return;
            }
            let Some(socket) = copy() else {
                open.insert(inode, u32::MAX);
                return;
            };
            if before.is_none() {
                tag(maps, &socket);
            }
            let left = slots & !asked;
            if left != 0 {
                match meet(maps, &socket, left) {
                    Met::Asked(now) => asked |= now,
                    Met::Never => asked = u32::MAX,
                    Met::Enough => is_over = true,
                }
            }
            open.insert(inode, asked);
        });
    }
    *known = open;
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Each socket is tagged once, asked by each slot once, and forgotten when it is closed.
    #[test]
    fn sockets_are_met_once_and_forgotten_when_they_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let cookie = rustix::net::sockopt::socket_cookie(&client).unwrap();
        let members = [TaskKey::of(std::process::id()).unwrap()];
        let mut known = HashMap::new();
        // Sockets of other tests come and go beside ours.
        let mut look = |any: u32| {
            let mut tagged: Vec<u64> = Vec::new();
            let mut asked = 0;
            let asking = Asking {
                any,
                ..Asking::default()
            };
            let tag = |tagged: &mut Vec<u64>, socket: &TargetSocket| tagged.push(socket.cookie);
            by_copies(
                &mut known,
                &members,
                asking,
                &mut tagged,
                &tag,
                &mut |_, socket, slots| {
                    if socket.cookie == cookie {
                        asked |= slots;
                    }
                    Met::Asked(slots)
                },
            );
            let of_ours = tagged.iter().filter(|tagged| **tagged == cookie).count();
            (of_ours, asked, known.len())
        };
        let (tagged, asked, _) = look(0b01);
        assert_eq!((tagged, asked), (1, 0b01));
        let (tagged, asked, _) = look(0b11);
        assert_eq!((tagged, asked), (0, 0b10));
        let held: Vec<_> = (0..200)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let (_, _, many) = look(0);
        drop((held, client));
        let (_, _, few) = look(0);
        assert!(many >= 200 && few <= many - 100, "{many} and then {few}");
    }
}
