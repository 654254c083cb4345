//! Network devices of a namespace: those that are there, and those that appear or change later.

use std::{
    sync::mpsc::{self, Receiver},
    thread::JoinHandle,
};

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::{
    LinkUnspec, MulticastGroup,
    packet_core::NetlinkPayload,
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage},
    },
};
use tokio::{runtime::Builder, sync::oneshot};

use super::{Error, netns::Namespace};

/// What the names of delay lines begin with (`delay_line::Tap`).
const TAP_PREFIX: &str = "inj";

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Interface index.
    pub ifindex: u32,
    /// Name; names need not be UTF-8 and are shown as far as they are.
    pub name: String,
    /// MAC address, zero where there is none.
    pub mac: [u8; 6],
    /// Whether faults reach its traffic.
    pub coverage: Coverage,
}

/// Whether the programs can be attached to a device with effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Ethernet or loopback, not enslaved.
    Covered,
    /// A port of a bridge, bond or the like: its traffic is seen at the device above it.
    SeenAbove,
    /// Its packets have no Ethernet header to carry through the delay line.
    NoEthernet,
    /// A delay line of an injector: no process's traffic begins or ends there.
    DelayLine,
}

impl NetDevice {
    fn from_message(message: LinkMessage) -> Self {
        let mut device = Self {
            ifindex: message.header.index,
            name: String::new(),
            mac: [0; 6],
            coverage: match message.header.link_layer_type {
                LinkLayerType::Ether | LinkLayerType::Loopback => Coverage::Covered,
                _ => Coverage::NoEthernet,
            },
        };
        let mut is_tun = false;
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name = name,
                LinkAttribute::Address(bytes) => {
                    if let Ok(mac) = bytes.try_into() {
                        device.mac = mac;
                    }
                }
                LinkAttribute::Controller(_) => device.coverage = Coverage::SeenAbove,
                LinkAttribute::LinkInfo(info) => {
                    is_tun |= info.contains(&LinkInfo::Kind(InfoKind::Tun));
                }
                _ => {}
            }
        }
        let number = device.name.strip_prefix(TAP_PREFIX).unwrap_or_default();
        if is_tun && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            device.coverage = Coverage::DelayLine;
        }
        device
    }
}

/// The devices of the calling thread's network namespace.
pub fn list() -> Result<Vec<NetDevice>, Error> {
    with_netlink("list the network devices", async |handle| {
        let links = handle.link().get().execute();
        links.map_ok(NetDevice::from_message).try_collect().await
    })
}

/// A delay line's device that may belong to no process any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayTap {
    /// Interface index.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// What the process that made it wrote on it; see [`label`].
    pub alias: Option<String>,
    /// Whether a process has it open (`IFLA_CARRIER`; drivers/net/tun.c, `__tun_detach`).
    pub is_held: bool,
}

/// Writes on a device of the calling thread's network namespace whose it is.
pub fn label(ifindex: u32, text: &str) -> Result<(), Error> {
    let message = LinkUnspec::new_with_index(ifindex).alias(text).build();
    with_netlink("label a device", async |handle| {
        handle.link().set(message).execute().await
    })
}

/// Deletes a device of the calling thread's network namespace.
pub fn delete(ifindex: u32) -> Result<(), Error> {
    with_netlink("delete a device", async |handle| {
        handle.link().del(ifindex).execute().await
    })
}

/// The devices of delay lines in the calling thread's network namespace.
pub fn taps() -> Result<Vec<StrayTap>, Error> {
    let messages = with_netlink("list the network devices", async |handle| {
        let links = handle.link().get().execute();
        links.try_collect::<Vec<_>>().await
    })?;
    let stray = |message: LinkMessage| {
        let (mut alias, mut is_held) = (None, false);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfAlias(text) => alias = Some(text.clone()),
                LinkAttribute::Carrier(carrier) => is_held = *carrier != 0,
                _ => {}
            }
        }
        let device = NetDevice::from_message(message);
        (device.coverage == Coverage::DelayLine).then_some(StrayTap {
            ifindex: device.ifindex,
            name: device.name,
            alias,
            is_held,
        })
    };
    Ok(messages.into_iter().filter_map(stray).collect())
}

/// One conversation with the kernel, in the calling thread's network namespace.
fn with_netlink<T>(
    what: &'static str,
    talk: impl AsyncFnOnce(rtnetlink::Handle) -> Result<T, rtnetlink::Error>,
) -> Result<T, Error> {
    let failed = |error: std::io::Error| Error::system(what, error);
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed)?;
        tokio::spawn(connection);
        let talked = talk(handle).await;
        talked.map_err(|error| failed(std::io::Error::other(error)))
    })
}

/// Something about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has appeared or is otherwise than before; it may also be told of when nothing that matters here is.
    Is(NetDevice),
    /// The device of this index has left the namespace.
    Gone(u32),
}

impl Change {
    /// What a message says. A bridge tells of its ports in messages of its own, in which a port that leaves the
    /// bridge looks like a device that is deleted (`net/bridge/br_netlink.c`, `br_ifinfo_notify`); the device's own
    /// message follows, so those are passed over.
    fn from_message(message: RouteNetlinkMessage) -> Option<Self> {
        match message {
            RouteNetlinkMessage::NewLink(link) if !is_of_bridge(&link) => {
                Some(Self::Is(NetDevice::from_message(link)))
            }
            RouteNetlinkMessage::DelLink(link) if !is_of_bridge(&link) => {
                Some(Self::Gone(link.header.index))
            }
            _ => None,
        }
    }
}

fn is_of_bridge(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Bridge
}

/// Tells of devices that appear, change and go in a namespace, until it is dropped.
pub struct Watch {
    /// Changes in their order.
    pub changes: Receiver<Change>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch. What changes after this returns is told of.
    pub fn start(namespace: &Namespace) -> Result<Self, Error> {
        let namespace = namespace.try_clone()?;
        let (tell, changes) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("devices".into())
            .spawn(move || {
                // The thread stays in the namespace for all of its life.
                let watching = namespace.enter().and_then(|()| {
                    Builder::new_current_thread()
                        .enable_io()
                        .build()
                        .map_err(|error| Error::system("watch the network devices", error))
                });
                match watching {
                    Ok(runtime) => runtime.block_on(watch(tell, stopped, ready)),
                    Err(error) => drop(ready.send(Err(error))),
                }
            })
            .map_err(|error| Error::system("start a thread", error))?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Self {
                changes,
                stop: Some(stop),
                thread: Some(thread),
            }),
            Ok(Err(error)) => Err(error),
            Err(gone) => Err(Error::system(
                "watch the network devices",
                std::io::Error::other(gone),
            )),
        }
    }
}

async fn watch(
    tell: mpsc::Sender<Change>,
    mut stopped: oneshot::Receiver<()>,
    ready: mpsc::Sender<Result<(), Error>>,
) {
    let mut messages = match rtnetlink::new_multicast_connection(&[MulticastGroup::Link]) {
        Ok((connection, _, messages)) => {
            tokio::spawn(connection);
            messages
        }
        Err(error) => {
            let _ = ready.send(Err(Error::system("watch the network devices", error)));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = &mut stopped => None,
        };
        let Some((message, _)) = message else { return };
        if let NetlinkPayload::InnerMessage(message) = message.payload
            && let Some(change) = Change::from_message(message)
            && tell.send(change).is_err()
        {
            return;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by the thread; there is nothing left to save.
            let _ = thread.join();
        }
    }
}
