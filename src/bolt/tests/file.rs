//! Writes bbolt files, as small as a test needs them.

use crate::page::fnv1a;

/// Size of a page.
pub(super) const PAGE: usize = 1024;

/// Records of a leaf: those of the tests fit into a page.
const LEAF_RECORDS: usize = 4;

/// Pages below a branch.
const BRANCH_PAGES: usize = 40;

/// A key and its value.
type Record = (Vec<u8>, Vec<u8>);

/// A file that is being written. Its first two pages are the heads.
pub(super) struct FileBuilder {
    pages: Vec<Vec<u8>>,
    buckets: Vec<Record>,
}

impl FileBuilder {
    pub(super) fn new() -> Self {
        Self { pages: vec![Vec::new(), Vec::new()], buckets: Vec::new() }
    }

    /// The number of the page that is written next.
    pub(super) fn next_page(&self) -> u64 {
        self.pages.len() as u64
    }

    /// A bucket: within its parent if it is small, else with pages of its own.
    pub(super) fn bucket(&mut self, name: &[u8], records: Vec<Record>) {
        if records.len() < LEAF_RECORDS {
            let value = [&[0; 16][..], &page(0, 2, records.len(), &leaf(&records, 0))].concat();
            self.buckets.push((name.to_vec(), value));
            return;
        }
        let leaves: Vec<u64> =
            records.chunks(LEAF_RECORDS).map(|part| self.push(2, part.len(), &leaf(part, 0))).collect();
        let branches: Vec<u64> = leaves.chunks(BRANCH_PAGES).map(|part| self.branch(part)).collect();
        let root = self.branch(&branches);
        self.root_bucket(name, root);
    }

    /// A bucket whose root is a page.
    pub(super) fn root_bucket(&mut self, name: &[u8], root: u64) {
        self.buckets.push((name.to_vec(), [&root.to_le_bytes()[..], &[0; 8]].concat()));
    }

    pub(super) fn branch(&mut self, below: &[u64]) -> u64 {
        let elements: Vec<u8> = below.iter().flat_map(|page| [&[0; 8][..], &page.to_le_bytes()].concat()).collect();
        self.push(1, below.len(), &elements)
    }

    fn push(&mut self, flags: u16, count: usize, content: &[u8]) -> u64 {
        let id = self.next_page();
        let mut bytes = page(id, flags, count, content);
        assert!(bytes.len() <= PAGE, "a page of {} bytes", bytes.len());
        bytes.resize(PAGE, 0);
        self.pages.push(bytes);
        id
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let buckets = leaf(&self.buckets, 1);
        let root = self.push(2, self.buckets.len(), &buckets);
        let pages = self.next_page();
        self.pages[0] = meta(0, root, pages, 5);
        self.pages[1] = meta(1, root, pages, 6);
        self.pages.concat()
    }
}

/// The elements of a leaf, and behind the last one what they point at.
fn leaf(records: &[Record], flags: u32) -> Vec<u8> {
    let mut elements = Vec::new();
    let mut data = Vec::new();
    for (number, (key, value)) in records.iter().enumerate() {
        elements.extend(flags.to_le_bytes());
        for length in [(records.len() - number) * 16 + data.len(), key.len(), value.len()] {
            elements.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        data.extend_from_slice(key);
        data.extend_from_slice(value);
    }
    [elements, data].concat()
}

fn page(id: u64, flags: u16, count: usize, content: &[u8]) -> Vec<u8> {
    let count = u16::try_from(count).unwrap();
    [&id.to_le_bytes()[..], &flags.to_le_bytes(), &count.to_le_bytes(), &[0; 4], content].concat()
}

fn meta(id: u64, root: u64, pages: u64, transaction: u64) -> Vec<u8> {
    let mut bytes = page(id, 4, 0, &[]);
    bytes.extend([0xED0C_DAED_u32, 2, u32::try_from(PAGE).unwrap(), 0].iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([root, 0, u64::MAX, pages, transaction].iter().flat_map(|number| number.to_le_bytes()));
    bytes.resize(PAGE, 0);
    seal(&mut bytes);
    bytes
}

/// Makes the checksum of a head right.
pub(super) fn seal(page: &mut [u8]) {
    let checksum = fnv1a(&page[16..72]);
    page[72..80].copy_from_slice(&checksum.to_le_bytes());
}
