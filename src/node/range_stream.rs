//! A range part by part, at one revision, with memory for one part.

use std::sync::atomic::Ordering;

use model::{Identity, KeyRange, KeyValue, RangeRequest, Revision};
use state::{Page, PageBounds};

use crate::error::Error;
use crate::handle::{Handle, KEYS_AT_ONCE};

/// Keys of the first part (etcd's figure): a client that wanted little has it at once.
const FIRST_PART_KEYS: usize = 10;

/// See the top of this file.
#[derive(Debug)]
pub struct RangeStream {
    handle: Handle,
    identity: Identity,
    request: RangeRequest,
    /// What has not been read; none at the end.
    rest: Option<KeyRange>,
    /// Revision of the store when the first part was read.
    revision: Revision,
    sent: i64,
    keys_max: usize,
    bytes_max: usize,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangePart {
    /// Its pairs, by key.
    pub kvs: Vec<KeyValue>,
    /// With the last part, what is said of the whole.
    pub end: Option<RangeEnd>,
}

/// What is said of a whole range at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeEnd {
    /// Revision of the store when the first part was read.
    pub revision: Revision,
    /// Whether the limit left keys out.
    pub more: bool,
    /// Keys of the range, whatever the limit.
    pub count: i64,
}

impl Handle {
    /// Begins to read a range part by part, by key: order and bounds of revisions are not looked at. The parts are of one revision, the
    /// one asked for or that of the first part. A part holds about `part_bytes` bytes.
    ///
    /// # Errors
    ///
    /// As [`Handle::range`].
    pub async fn range_stream(
        &self,
        identity: Identity,
        request: RangeRequest,
        part_bytes: usize,
    ) -> Result<RangeStream, Error> {
        request.check()?;
        if !request.serializable {
            self.confirm_reads().await?;
        }
        self.inner().measures.ranges.fetch_add(1, Ordering::Relaxed);
        self.permit_read(&identity, &request.range)?;
        Ok(RangeStream {
            handle: self.clone(),
            identity,
            rest: Some(request.range.clone()),
            revision: Revision::ZERO,
            sent: 0,
            keys_max: FIRST_PART_KEYS,
            bytes_max: part_bytes,
            request,
        })
    }
}

impl RangeStream {
    /// The next part; none after the last.
    ///
    /// # Errors
    ///
    /// As [`Handle::range`]; [`model::Rejection::Compacted`] also in between, when the revision is compacted away. There is nothing
    /// after an error.
    pub async fn next(&mut self) -> Result<Option<RangePart>, Error> {
        let Some(rest) = self.rest.take() else { return Ok(None) };
        // A client may take its time, in which it can lose the right to go on.
        self.handle.permit_read(&self.identity, &rest)?;
        if self.request.count_only {
            let count = self.count(rest, self.request.revision).await?;
            return Ok(Some(RangePart { kvs: Vec::new(), end: Some(count) }));
        }
        let page = self.read(rest).await?;
        if self.sent == 0 {
            self.revision = page.revision;
            self.request.revision = page.at;
        }
        self.sent += i64::try_from(page.kvs.len()).unwrap_or(i64::MAX);
        self.adapt(page.bytes);
        let end = match page.next {
            None => Some(RangeEnd { revision: self.revision, more: false, count: self.sent }),
            Some(key) if self.request.limit > 0 && self.sent >= self.request.limit => {
                let unsent = self.count(self.request.range.rest_from(key), page.at).await?;
                Some(RangeEnd { revision: self.revision, more: true, count: self.sent + unsent.count })
            }
            Some(key) => {
                self.rest = Some(self.request.range.rest_from(key));
                None
            }
        };
        Ok(Some(RangePart { kvs: page.kvs, end }))
    }

    async fn read(&self, rest: KeyRange) -> Result<Page, Error> {
        let wanted = match usize::try_from(self.request.limit - self.sent) {
            Ok(left) if self.request.limit > 0 => left,
            _ => usize::MAX,
        };
        let keys_max = self.keys_max.min(wanted);
        let bounds = PageBounds { keys_max, bytes_max: self.bytes_max, keys_only: self.request.keys_only };
        let asked = self.request.revision;
        if keys_max <= KEYS_AT_ONCE {
            return Ok(self.handle.inner().reader.page(&rest, asked, bounds)?);
        }
        self.handle.read_aside(move |reader| reader.page(&rest, asked, bounds)).await
    }

    /// etcd's rule: twice as many keys after a part that was less than half full. It takes half as many after one that was twice too
    /// large; here none is, because a part that is full ends.
    fn adapt(&mut self, bytes: usize) {
        if bytes < self.bytes_max / 2 {
            self.keys_max = self.keys_max.saturating_mul(2);
        }
    }

    async fn count(&self, range: KeyRange, at: Revision) -> Result<RangeEnd, Error> {
        let request = RangeRequest { count_only: true, ..RangeRequest::new(range).at(at) };
        let counted = self.handle.read_aside(move |reader| reader.range(&request)).await?;
        Ok(RangeEnd { revision: counted.revision, more: false, count: counted.count })
    }
}
