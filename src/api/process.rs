//! What the kernel says about this process, from `/proc/self`. Numbers that cannot be had are left out.

use std::fs;

/// Clock ticks a second in `/proc/self/stat`: 100 on every Linux platform that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes of a page in the same file.
const PAGE_BYTES: u64 = 4096;

/// One look at the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Time spent in user and kernel mode since the start.
    pub(crate) cpu_seconds: f64,
    /// Address space in bytes.
    pub(crate) virtual_bytes: u64,
    /// Memory in bytes.
    pub(crate) resident_bytes: u64,
    /// When the process began, in seconds since the machine did.
    started_after_boot: f64,
}

impl Usage {
    /// Looks now.
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The second field is the program's name in brackets and may hold anything; the numbers begin after the last bracket.
    fn parse(stat: &str) -> Option<Self> {
        let (_, numbers) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = numbers.split_ascii_whitespace().collect();
        // The first of `fields` is field 3 of proc(5).
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^52")]
        let seconds = |number: usize| field(number).map(|ticks| ticks as f64 / TICKS_PER_SECOND);
        Some(Self {
            cpu_seconds: seconds(14)? + seconds(15)?,
            started_after_boot: seconds(22)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * PAGE_BYTES,
        })
    }

    /// When the process began, in seconds since 1970.
    pub(crate) fn started_at(&self) -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(boot + self.started_after_boot)
    }
}

/// Files that the process has open now.
pub(crate) fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Files that the process may have open; `None` if unknown or unlimited.
pub(crate) fn open_files_max() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_numbers() {
        let stat = "7 (a) b) (c) R 1 1 1 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 3 0 1200 8192 2 18446744073709551615 1";
        let usage = Usage::parse(stat).expect("a line of numbers");
        let expected =
            Usage { cpu_seconds: 3.0, virtual_bytes: 8192, resident_bytes: 2 * PAGE_BYTES, started_after_boot: 12.0 };
        assert_eq!(usage, expected);
    }

    #[test]
    fn this_process_is_seen() {
        let usage = Usage::now().expect("a look");
        assert!(usage.resident_bytes > 0 && usage.virtual_bytes > 0);
        assert!(usage.started_at().expect("a time") > 1.6e9);
        assert!(open_files().expect("a count") > 0);
        assert!(open_files_max().is_none_or(|files| files > 3));
    }
}
