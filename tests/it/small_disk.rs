//! A small file system of its own for a data directory, to fill it; needs root.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs. Dropped, it is unmounted, whatever became of the test.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many megabytes at a path, which is made.
    pub(crate) fn mount(path: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(path).expect("a folder to mount on");
        let disk = Self { path: path.to_owned() };
        disk.run("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]);
        disk
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.path.join("ballast")).expect("a file");
        let megabyte = vec![0; 1 << 20];
        let mut portion = megabyte.len();
        while portion >= 4096 {
            // A write that did not fit may have taken a part.
            match ballast.write(&megabyte[..portion]) {
                Ok(written) if written == portion => {}
                Ok(_) | Err(_) => portion /= 2,
            }
        }
    }

    /// Gives back what [`Self::fill`] took.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("the ballast is there");
    }

    /// Makes it larger.
    pub(crate) fn grow(&self, megabytes: u32) {
        self.run("mount", &["-o", &format!("remount,size={megabytes}m")]);
    }

    fn run(&self, command: &str, arguments: &[&str]) {
        let done = Command::new(command).args(arguments).arg(&self.path).output().expect("the command runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{command} on {}, which needs root: {said}", self.path.display());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a member that a failing test leaves behind may still have files open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).output();
    }
}
