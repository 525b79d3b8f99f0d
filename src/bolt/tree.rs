//! The buckets of a bbolt file, each a tree of pages.

use bytes::Bytes;

use crate::BoltError;
use crate::page::{Element, Meta, Page, u64_at};

/// Bytes before the page of a bucket that is within its parent.
const BUCKET_BYTES: usize = 16;

/// A bbolt file.
#[derive(Clone, Debug)]
pub struct Tree {
    file: Bytes,
    meta: Meta,
}

impl Tree {
    /// Looks at the head of a file.
    ///
    /// # Errors
    ///
    /// [`BoltError::Foreign`].
    pub fn open(file: Bytes) -> Result<Self, BoltError> {
        let meta = Meta::newest(&file)?;
        Ok(Self { file, meta })
    }

    /// All keys and values of a bucket in the order of keys; none if there is no such bucket.
    ///
    /// # Errors
    ///
    /// [`BoltError::Damaged`].
    pub fn bucket(&self, name: &[u8]) -> Result<Vec<(Bytes, Bytes)>, BoltError> {
        let buckets = self.elements(self.meta.root)?;
        let Some(bucket) = buckets.iter().find(|element| element.is_bucket && element.key == name) else {
            return Ok(Vec::new());
        };
        let root = u64_at(&bucket.value, 0).ok_or(BoltError::Damaged("a bucket that is cut off"))?;
        let elements = if root == 0 {
            if bucket.value.len() < BUCKET_BYTES {
                return Err(BoltError::Damaged("a bucket that is cut off"));
            }
            match Page::parse(&bucket.value.slice(BUCKET_BYTES..))? {
                Page::Leaf(elements) => elements,
                Page::Branch(_) => return Err(BoltError::Damaged("a small bucket with pages of its own")),
            }
        } else {
            self.elements(root)?
        };
        if elements.windows(2).any(|pair| pair[0].key >= pair[1].key) {
            return Err(BoltError::Damaged("keys out of order"));
        }
        Ok(elements.into_iter().filter(|element| !element.is_bucket).map(|one| (one.key, one.value)).collect())
    }

    /// What the leaves below a page hold. Each page can be there once: a page more than there are is a circle.
    fn elements(&self, root: u64) -> Result<Vec<Element>, BoltError> {
        let mut left = self.meta.pages;
        let mut found = Vec::new();
        // The next one last.
        let mut pages = vec![root];
        while let Some(page) = pages.pop() {
            left = left.checked_sub(1).ok_or(BoltError::Damaged("pages in a circle"))?;
            match Page::read(&self.file, &self.meta, page)? {
                Page::Leaf(elements) => found.extend(elements),
                Page::Branch(below) => pages.extend(below.into_iter().rev()),
            }
            if pages.len() as u64 > self.meta.pages {
                return Err(BoltError::Damaged("more pages than there are"));
            }
        }
        Ok(found)
    }
}
