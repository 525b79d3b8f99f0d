//! Takes connections from one listening socket until the server stops, then gives their requests time to end.
//!
//! Owns every connection's task and awaits it. Guarantees that no error of `accept` ends the loop, that connections above the
//! cap are closed at once instead of left waiting, and that stopping is bounded: what has not ended by the drain deadline is
//! cut off.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::admission::Admission;
use crate::connection::Connections;
use crate::draining::Draining;

/// How long accepting pauses when the process or the system is out of something; an error such as "too many open files"
/// stays until somebody closes a file.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Serves `listener` until the server drains, and then up to `drain_deadline` longer.
pub(crate) async fn serve(
    listener: TcpListener,
    connections: Connections,
    admission: Admission,
    mut draining: Draining,
    drain_deadline: Duration,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = draining.begun() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => report(ended),
            (stream, address) = accept(&listener) => match admission.admit(address) {
                Ok(admitted) => {
                    let connection = connections.clone();
                    tasks.spawn(async move {
                        connection.serve(stream, admitted.allowance()).await;
                        drop(admitted);
                    });
                }
                Err(full) => tracing::warn!(%address, ?full, "a connection was refused: there are as many as there may be"),
            },
        }
    }
    drop(listener);
    drain(tasks, &connections, drain_deadline).await;
}

/// Connections say goodbye by themselves; the deadline is for those that do not come to an end.
async fn drain(mut tasks: JoinSet<()>, connections: &Connections, deadline: Duration) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
        connections.requests_ended().await;
    };
    if timeout(deadline, all).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests were cut off: they did not end in time");
        tasks.shutdown().await;
    }
}

/// The next connection, and where it comes from.
///
/// # Cancel safety
///
/// No connection is lost when the call is dropped.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address.ip()),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Whether the peer hung up before it was accepted, which says nothing about the next.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
