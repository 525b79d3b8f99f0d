//! Takes connections from one socket of the peer port until the word to stop.
//!
//! Owns every connection's task and awaits it. Guarantees that no error of `accept` ends the loop, and that stopping is bounded.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::listener::Socket;
use crate::serve::Connections;

/// Connections at a time; members open three each.
const CONNECTIONS_MAX: usize = 1024;

/// How long accepting pauses when the process is out of something, such as open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long calls may go on after the word to stop.
const STOP_DEADLINE: Duration = Duration::from_millis(500);

/// Serves what connects to `socket` until the word to stop, and a while longer.
pub(crate) async fn accept_all(socket: Socket, connections: Connections) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = connections.stopped() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => report(ended),
            stream = accept(&socket.listener) => {
                if tasks.len() < CONNECTIONS_MAX {
                    tasks.spawn(connections.clone().serve(stream, socket.tls.clone()));
                } else {
                    tracing::warn!("a peer's connection was refused: there are as many as there may be");
                }
            }
        }
    }
    drop(socket);
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if timeout(STOP_DEADLINE, all).await.is_err() {
        tasks.shutdown().await;
    }
}

/// The next connection.
///
/// # Cancel safety
///
/// No connection is lost when the call is dropped.
async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections of peers; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the caller hung up before it was accepted, which says nothing about the next.
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
        tracing::error!(%error, "the task of a peer's connection panicked");
    }
}
