//! A connection whose text the relay does not read: bytes go on, both ways.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::process::Shared;

/// A tunnel through which nothing has gone for so long is taken to be at rest. A request that waits longer for its answer ends
/// with it, uncounted.
const REST: Duration = Duration::from_millis(200);

/// Passes bytes on, both ways, until both have ended. At the end of the relay one that is at rest ends at once.
pub(crate) async fn pass<T, P>(shared: &Rc<Shared>, target: T, peer: P)
where
    T: AsyncRead + AsyncWrite + Unpin,
    P: AsyncRead + AsyncWrite + Unpin,
{
    let last = Rc::new(Cell::new(Instant::now()));
    let mut target = Watched(target, Rc::clone(&last));
    let mut peer = Watched(peer, Rc::clone(&last));
    let at_rest = async {
        shared.ends().await;
        while last.get().elapsed() < REST {
            tokio::time::sleep(REST / 4).await;
        }
    };
    tokio::select! {
        // How it ended, both ends have seen.
        _ = tokio::io::copy_bidirectional(&mut target, &mut peer) => {}
        () = at_rest => {}
    }
}

/// Notes when something was read.
struct Watched<S>(S, Rc<Cell<Instant>>);

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if read.is_ready() {
            self.1.set(Instant::now());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
