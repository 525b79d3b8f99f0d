//! The first bytes of a connection: HTTP/2's preface, within a deadline.
//!
//! hyper waits for it for ever, and so would let anyone hold a connection for the price of one byte. What was read is read again
//! by hyper.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split};
use tokio::time::timeout;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits until the preface is there.
///
/// # Errors
///
/// The caller is slower than `deadline`, has hung up, or says something else.
pub(crate) async fn await_preface<S>(stream: S, deadline: Duration) -> io::Result<impl AsyncRead + AsyncWrite + Unpin>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, writer) = split(stream);
    timeout(deadline, expect_preface(&mut reader)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(join(PREFACE.chain(reader), writer))
}

async fn expect_preface(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut read = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() {
        match reader.read(&mut read[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
        if read[..filled] != PREFACE[..filled] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn nothing_is_lost_wherever_the_bytes_are_cut() {
        let text = [&PREFACE[..], b"and settings"].concat();
        for cut in 0..=text.len() {
            let (mut caller, served) = tokio::io::duplex(1024);
            let sent = async {
                caller.write_all(&text[..cut]).await?;
                tokio::task::yield_now().await;
                caller.write_all(&text[cut..]).await?;
                caller.shutdown().await
            };
            let (opened, sent) = tokio::join!(await_preface(served, DEADLINE), sent);
            sent.expect("room for it");
            let mut read = Vec::new();
            opened.expect("a preface").read_to_end(&mut read).await.expect("the rest");
            assert_eq!(read, text, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn anything_else_ends_at_its_first_wrong_byte() {
        for (text, kind) in [
            (&b"GET / HTTP/1.1\r\n"[..], io::ErrorKind::InvalidData),
            (b"\x16\x03\x01", io::ErrorKind::InvalidData),
            (b"PRI * HTTP/1", io::ErrorKind::InvalidData),
            (b"PRI * HT", io::ErrorKind::UnexpectedEof),
        ] {
            let (mut caller, served) = tokio::io::duplex(1024);
            caller.write_all(text).await.expect("room for it");
            caller.shutdown().await.expect("an open pipe");
            let Err(error) = await_preface(served, DEADLINE).await else { panic!("not a preface: {text:?}") };
            assert_eq!(error.kind(), kind, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let (mut caller, served) = tokio::io::duplex(1024);
        caller.write_all(b"PRI * HT").await.expect("room for it");
        let begun = Instant::now();
        let Err(error) = await_preface(served, DEADLINE).await else { panic!("nothing more comes") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), DEADLINE);
    }
}
