//! Gathers what one turn of a connection's task writes, so that it leaves in one system call.
//!
//! hyper writes and flushes after every frame that it does not copy, several times for one response. On few cores those calls
//! are half of what a read costs. Here a write is kept until the task has nothing more to do in its turn, and then everything
//! goes out at once: nothing is delayed, because the turn ends when there is nothing left to write.
//!
//! The socket is shared by hyper, which writes, and the task, which releases ([`Release`]). Both run in the same task, so the
//! lock between them is never waited for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes kept at most; more than this go out within the turn.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of memory that an idle connection keeps for the next turn.
const RESTING_BYTES: usize = 8 * 1024;

/// A stream, and what was written to it but not sent.
#[derive(Debug)]
struct Outlet<S> {
    stream: S,
    unsent: Vec<u8>,
    /// How much of `unsent` the stream has taken.
    sent: usize,
}

/// The stream as hyper has it.
#[derive(Debug)]
pub(crate) struct Gathered<S>(Arc<Mutex<Outlet<S>>>);

/// The stream as the connection's task has it.
#[derive(Debug)]
pub(crate) struct Release<S>(Arc<Mutex<Outlet<S>>>);

/// Divides `stream` between who writes and who says when it leaves.
pub(crate) fn gather<S>(stream: S) -> (Gathered<S>, Release<S>) {
    let outlet = Arc::new(Mutex::new(Outlet { stream, unsent: Vec::new(), sent: 0 }));
    (Gathered(Arc::clone(&outlet)), Release(outlet))
}

impl<S: AsyncWrite + Unpin> Release<S> {
    /// Sends what was written; pending while the stream takes no more, and the task is woken when it does.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Outlet<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        // What a stream keeps for itself leaves as well: TLS does when the network was full.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.sent = 0;
        self.unsent.clear();
        if self.unsent.capacity() > RESTING_BYTES {
            self.unsent = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what fits; at least a byte, unless the stream is full as well.
    fn poll_write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.unsent.len() >= GATHERED_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        let mut taken = 0;
        for buf in bufs {
            let room = GATHERED_BYTES_MAX - self.unsent.len();
            let part = &buf[..buf.len().min(room)];
            self.unsent.extend_from_slice(part);
            taken += part.len();
        }
        Poll::Ready(Ok(taken))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The end of the turn flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outlet = self.0.lock();
        ready!(outlet.poll_send(cx))?;
        Pin::new(&mut outlet.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    async fn release(stream: &Release<DuplexStream>) {
        poll_fn(|cx| stream.poll(cx)).await.expect("the peer is there");
    }

    #[tokio::test]
    async fn nothing_leaves_before_it_is_released_and_then_all_in_one() {
        let (stream, mut peer) = duplex(1024);
        let (mut gathered, stream) = gather(stream);
        for part in ["a", "b", "c"] {
            gathered.write_all(part.as_bytes()).await.expect("room");
            gathered.flush().await.expect("nothing to do");
        }
        let mut read = [0; 16];
        let mut reading = Box::pin(peer.read(&mut read));
        assert!(futures::poll!(&mut reading).is_pending());
        release(&stream).await;
        assert_eq!(reading.await.expect("bytes"), 3);
    }

    #[tokio::test]
    async fn more_than_is_kept_goes_out_as_the_peer_takes_it() {
        let (stream, mut peer) = duplex(1000);
        let (mut gathered, stream) = gather(stream);
        let sent: Vec<u8> = (0..=250).cycle().take(3 * GATHERED_BYTES_MAX + 17).collect();
        let writing = async {
            gathered.write_all(&sent).await?;
            release(&stream).await;
            gathered.shutdown().await
        };
        let mut received = Vec::new();
        let (written, read) = tokio::join!(writing, peer.read_to_end(&mut received));
        written.expect("all was written");
        read.expect("all was read");
        assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
        assert!(stream.0.lock().unsent.capacity() <= RESTING_BYTES, "memory is kept after a burst");
    }

    #[tokio::test]
    async fn shutting_down_sends_the_rest() {
        let (stream, mut peer) = duplex(1024);
        let (mut gathered, _release) = gather(stream);
        gathered.write_all(b"last words").await.expect("room");
        gathered.shutdown().await.expect("an end");
        let mut read = String::new();
        peer.read_to_string(&mut read).await.expect("an end");
        assert_eq!(read, "last words");
    }
}
