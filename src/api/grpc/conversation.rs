//! Streams in both directions: whoever answers says what comes next, and the call is counted to its end, whichever it is.

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, unfold};
use tonic::{Code, Status};

use crate::calls::{Call, MethodCalls};

/// The counters of a call that is a stream.
pub(crate) type StreamCall = Call<Arc<MethodCalls>>;

/// The server's side of a stream.
pub(crate) trait Conversation: Send + 'static {
    /// What is sent.
    type Answer: Send + 'static;

    /// The next answer; `None` at the end. Not called again after the end or an error.
    fn next(&mut self, call: &StreamCall) -> impl Future<Output = Result<Option<Self::Answer>, Status>> + Send;
}

/// The answers of `conversation`, to their end.
pub(crate) fn answers<C: Conversation>(
    conversation: C,
    call: StreamCall,
) -> BoxStream<'static, Result<C::Answer, Status>> {
    unfold(Some((conversation, call)), |state| async {
        let (mut conversation, call) = state?;
        match conversation.next(&call).await {
            Ok(Some(answer)) => {
                call.sent();
                Some((Ok(answer), Some((conversation, call))))
            }
            Ok(None) => {
                call.end(Code::Ok);
                None
            }
            Err(status) => {
                call.end(status.code());
                Some((Err(status), None))
            }
        }
    })
    .boxed()
}
