//! The first bytes of a connection: waits, with a deadline, until they tell HTTP/1 from HTTP/2.
//!
//! hyper's own detection waits for ever, and so would let anyone hold a connection for the price of one byte. Here a peer
//! that sends nothing, or a part of HTTP/2's preface only, is given up; what was read is read again by hyper.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose first bytes were looked at and are still to be read.
#[derive(Debug)]
pub(crate) struct Opened<S> {
    head: [u8; PREFACE.len()],
    /// What of `head` was received and not read again.
    unread: std::ops::Range<usize>,
    stream: S,
}

/// Waits until `stream` has sent the whole of HTTP/2's preface, or something that differs from it.
///
/// # Errors
///
/// The peer is slower than `deadline`, has hung up, or cannot be read.
pub(crate) async fn open<S: AsyncRead + Unpin>(stream: S, deadline: Duration) -> io::Result<Opened<S>> {
    timeout(deadline, read_head(stream)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn read_head<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<Opened<S>> {
    let mut head = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() && head[..filled] == PREFACE[..filled] {
        match stream.read(&mut head[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(Opened { head, unread: 0..filled, stream })
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.unread.len().min(buf.remaining());
        let start = self.unread.start;
        buf.put_slice(&self.head[start..start + count]);
        self.unread.start += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    /// What a server reads of a client that sends `parts`.
    async fn read_through(parts: &[&[u8]]) -> io::Result<Vec<u8>> {
        let (mut client, server) = tokio::io::duplex(1024);
        let opened = open(server, DEADLINE);
        let sent = async {
            for part in parts {
                client.write_all(part).await?;
                tokio::task::yield_now().await;
            }
            client.shutdown().await
        };
        let (opened, sent) = tokio::join!(opened, sent);
        sent?;
        let mut read = Vec::new();
        opened?.read_to_end(&mut read).await?;
        Ok(read)
    }

    #[tokio::test]
    async fn nothing_is_lost_wherever_the_bytes_are_cut() {
        for text in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand settings"[..], b"PUT /v1/kv HTTP/1.1\r\n\r\n", b"G"] {
            for cut in 0..=text.len() {
                let parts = [&text[..cut], &text[cut..]];
                assert_eq!(read_through(&parts).await.expect("a connection"), text, "cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn hanging_up_inside_the_preface_is_an_end() {
        let error = read_through(&[b"PRI * HT"]).await.expect_err("half a preface");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_a_preface_end_at_the_deadline() {
        for text in [&b""[..], b"PRI * HTTP/2.0\r\n"] {
            let (mut client, server) = tokio::io::duplex(1024);
            client.write_all(text).await.expect("room for it");
            let begun = tokio::time::Instant::now();
            let error = open(server, DEADLINE).await.expect_err("nothing more comes");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begun.elapsed(), DEADLINE);
        }
    }
}
