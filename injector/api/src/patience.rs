//! A connection whose reader must not fall asleep.
//!
//! hyper limits how long a request's header may take to arrive, and the routes how long its body may.
//! Neither limits how long the other end may leave an answer unread: this does. A write that makes no
//! progress at all for [`STALL_LIMIT`] breaks the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    time::{Instant, Sleep, sleep},
};

/// The longest that a reader may read nothing while there is something to read. A pager that holds up
/// `injector events --follow` is cut off after it.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(30);

/// The connection.
pub(super) struct Patience {
    stream: UnixStream,
    stall: Pin<Box<Sleep>>,
    limit: Duration,
    is_stalled: bool,
}

impl Patience {
    /// Waits at most this long for a reader.
    pub(super) fn new(stream: UnixStream, limit: Duration) -> Self {
        Self {
            stream,
            stall: Box::pin(sleep(limit)),
            limit,
            is_stalled: false,
        }
    }

    /// Passes an outcome on, or breaks the connection where there has been none for too long.
    fn lose<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.is_stalled = false;
            return outcome;
        }
        if !self.is_stalled {
            self.is_stalled = true;
            self.stall.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(self.stall.as_mut().poll(context));
        let sentence = "the other end does not read";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, sentence)))
    }
}

impl AsyncRead for Patience {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patience {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.lose(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.lose(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_reader_that_sleeps_is_cut_off_and_one_that_reads_is_not() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = Patience::new(ours, Duration::from_millis(50));
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; 1 << 20];
            theirs.read_exact(&mut taken).await.unwrap();
            theirs
        });
        ours.write_all(&vec![1; 1 << 20]).await.unwrap();
        let _sleeps = reader.await.unwrap();
        // More than any socket buffer holds.
        let error = ours.write_all(&vec![1; 16 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
