//! Pages of a bbolt file, byte by byte.
//!
//! ```text
//! page     = id:u64 flags:u16 count:u16 overflow:u32 element*count data      page `id` lies at id * page size
//! branch   = position:u32 key_length:u32 page:u64                            flags 1; positions count from the element itself
//! leaf     = flags:u32 position:u32 key_length:u32 value_length:u32          flags 2; the element's flag 1: the value is a bucket
//! bucket   = root:u64 sequence:u64 [page]                                    root 0: the page follows at once
//! meta     = magic:u32 version:u32 page_size:u32 flags:u32 root:bucket freelist:u64 pages:u64 transaction:u64 checksum:u64
//! ```
//!
//! Pages 0 and 1 hold a meta each, behind a page's head; the one with the higher transaction is the newer. Its checksum is the 64-bit
//! FNV-1a of all before it. Integers are little-endian.

use bytes::Bytes;

use crate::BoltError;

const HEAD_BYTES: usize = 16;
const ELEMENT_BYTES: usize = 16;
const META_BYTES: usize = 64;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const FLAG_BRANCH: u16 = 0x01;
const FLAG_LEAF: u16 = 0x02;
const FLAG_META: u16 = 0x04;

/// Sizes that a page can have.
const PAGE_SIZES: [usize; 7] = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

/// The newest meta of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) page_size: usize,
    pub(crate) root: u64,
    /// Pages that the file has.
    pub(crate) pages: u64,
    transaction: u64,
}

/// What a page holds.
pub(crate) enum Page {
    /// Pages below it.
    Branch(Vec<u64>),
    /// Keys and values.
    Leaf(Vec<Element>),
}

/// A key and its value.
pub(crate) struct Element {
    pub(crate) is_bucket: bool,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

impl Meta {
    /// The newer of the two that are whole.
    pub(crate) fn newest(file: &[u8]) -> Result<Self, BoltError> {
        let first = Self::at(file, 0);
        // Where the second one is, the first one says; if that is not whole, any size may be.
        let sizes = PAGE_SIZES.iter().filter(|size| first.is_none_or(|first| first.page_size == **size));
        let second = sizes.filter_map(|size| Self::at(file, *size).filter(|meta| meta.page_size == *size));
        first.into_iter().chain(second).max_by_key(|meta| meta.transaction).ok_or(BoltError::Foreign)
    }

    fn at(file: &[u8], offset: usize) -> Option<Self> {
        let page = file.get(offset..)?;
        let meta = page.get(HEAD_BYTES..HEAD_BYTES + META_BYTES)?;
        let is_meta = u16_at(page, 8)? & FLAG_META != 0;
        let is_known = u32_at(meta, 0)? == MAGIC && u32_at(meta, 4)? == VERSION;
        let page_size = usize::try_from(u32_at(meta, 8)?).ok()?;
        let is_whole = fnv1a(&meta[..56]) == u64_at(meta, 56)?;
        let found =
            Self { page_size, root: u64_at(meta, 16)?, pages: u64_at(meta, 40)?, transaction: u64_at(meta, 48)? };
        (is_meta && is_known && is_whole && PAGE_SIZES.contains(&page_size)).then_some(found)
    }
}

impl Page {
    /// Page `id` of a file.
    pub(crate) fn read(file: &Bytes, meta: &Meta, id: u64) -> Result<Self, BoltError> {
        if id >= meta.pages {
            return Err(BoltError::Damaged("a page after the last one"));
        }
        let start = usize::try_from(id).ok().and_then(|id| id.checked_mul(meta.page_size));
        let start = start.filter(|start| *start < file.len()).ok_or(BoltError::Damaged("a page after the end"))?;
        let page = file.slice(start..);
        if u64_at(&page, 0) != Some(id) {
            return Err(BoltError::Damaged("a page with the number of another"));
        }
        let overflow = u32_at(&page, 12).ok_or(BoltError::Damaged("a page that is cut off"))?;
        let length = usize::try_from(overflow).ok().and_then(|overflow| overflow.checked_add(1));
        let length = length.and_then(|count| count.checked_mul(meta.page_size)).filter(|length| *length <= page.len());
        Self::parse(&page.slice(..length.ok_or(BoltError::Damaged("a page that goes on after the end"))?))
    }

    /// A page that is there whole.
    pub(crate) fn parse(page: &Bytes) -> Result<Self, BoltError> {
        let cut = BoltError::Damaged("a page that is cut off");
        let (flags, count) = u16_at(page, 8).zip(u16_at(page, 10)).ok_or(cut.clone())?;
        let elements = (0..usize::from(count)).map(|number| HEAD_BYTES + number * ELEMENT_BYTES);
        if page.len() < HEAD_BYTES + usize::from(count) * ELEMENT_BYTES {
            return Err(cut);
        }
        match flags & (FLAG_BRANCH | FLAG_LEAF) {
            FLAG_BRANCH => Ok(Self::Branch(elements.filter_map(|at| u64_at(page, at + 8)).collect())),
            FLAG_LEAF => elements.map(|at| leaf(page, at).ok_or(cut.clone())).collect::<Result<_, _>>().map(Self::Leaf),
            _ => Err(BoltError::Damaged("a page of another kind than was to be there")),
        }
    }
}

fn leaf(page: &Bytes, at: usize) -> Option<Element> {
    let [flags, position, key_length, value_length] = [0, 4, 8, 12].map(|offset| u32_at(page, at + offset));
    let length = |length: Option<u32>| usize::try_from(length?).ok();
    let start = at.checked_add(length(position)?)?;
    let middle = start.checked_add(length(key_length)?)?;
    let end = middle.checked_add(length(value_length)?)?;
    if end > page.len() {
        return None;
    }
    Some(Element { is_bucket: flags? & 1 != 0, key: page.slice(start..middle), value: page.slice(middle..end) })
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

/// The 64-bit FNV-1a.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
