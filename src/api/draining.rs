//! The word that the server is stopping, for everything that would otherwise go on without end: streams and connections.

use tokio::sync::watch as latest;

/// Says when to end. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Draining(latest::Receiver<bool>);

impl Draining {
    /// True in `stop`, or its end, is the word.
    pub(crate) fn new(stop: latest::Receiver<bool>) -> Self {
        Self(stop)
    }

    /// Returns when the server is stopping; at once if it is.
    ///
    /// # Cancel safety
    ///
    /// A dropped call can be made again.
    pub(crate) async fn begun(&mut self) {
        // An error says that nobody can give the word any more, which happens when the server is gone.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
