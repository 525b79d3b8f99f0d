//! A stream that something may end early.

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};

/// The items of `items` until its first error, its end, or until `end` comes, whose error is then the last item. What is there
/// goes before the end.
pub(crate) fn until<T, E>(
    items: BoxStream<'static, Result<T, E>>,
    end: BoxFuture<'static, E>,
) -> BoxStream<'static, Result<T, E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    stream::unfold(Some((items, end)), |state| async move {
        let (mut items, mut end) = state?;
        tokio::select! {
            biased;
            item = items.next() => match item? {
                Ok(item) => Some((Ok(item), Some((items, end)))),
                Err(error) => Some((Err(error), None)),
            },
            error = &mut end => Some((Err(error), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future};

    use super::*;

    async fn all(
        items: BoxStream<'static, Result<u8, &'static str>>,
        end: BoxFuture<'static, &'static str>,
    ) -> Vec<Result<u8, &'static str>> {
        until(items, end).collect().await
    }

    #[tokio::test]
    async fn what_is_there_goes_before_the_end() {
        let items = stream::iter([Ok(1), Ok(2)]).chain(stream::pending()).boxed();
        assert_eq!(all(items, future::ready("end").boxed()).await, [Ok(1), Ok(2), Err("end")]);
    }

    #[tokio::test]
    async fn an_error_and_the_streams_own_end_are_final() {
        let items = stream::iter([Ok(1), Err("broken"), Ok(2)]).boxed();
        assert_eq!(all(items, future::pending().boxed()).await, [Ok(1), Err("broken")]);
        assert_eq!(all(stream::iter([Ok(1)]).boxed(), future::ready("end").boxed()).await, [Ok(1)]);
    }
}
