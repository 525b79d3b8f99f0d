//! The key that secrets of configurations are sealed with: which file, and what is in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Flags about secrets.
#[derive(Clone, Debug, Args)]
pub(super) struct SecretFlags {
    /// File with the key that secrets of configurations are sealed with: 64 hexadecimal digits, the same for all members
    #[arg(long, env = "QUORATE_CONFIG_SECRET_KEY_FILE")]
    config_secret_key_file: Option<PathBuf>,
}

impl SecretFlags {
    /// The key, if there is to be one.
    ///
    /// # Errors
    ///
    /// One sentence that names the flag and what the file must hold; never what it holds.
    pub(super) fn key(&self) -> Result<Option<api::SecretKey>> {
        let Some(path) = &self.config_secret_key_file else { return Ok(None) };
        read(path).with_context(|| format!("--config-secret-key-file: {}", path.display())).map(Some)
    }
}

fn read(path: &Path) -> Result<api::SecretKey> {
    let text = std::fs::read_to_string(path)?;
    let digits: Vec<u32> = text.trim().chars().filter_map(|digit| digit.to_digit(16)).collect();
    let is_key = digits.len() == 2 * KEY_BYTES && text.trim().len() == 2 * KEY_BYTES;
    ensure!(is_key, "the file must hold 64 hexadecimal digits, as `openssl rand -hex 32` makes them");
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] << 4 | pair[1]).context("two digits are a byte")?;
    }
    Ok(api::SecretKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            SecretFlags { config_secret_key_file: Some(path.clone()) }.key()
        };
        assert!(read(&format!("{}\n", "0f".repeat(32))).unwrap().is_some());
        for text in ["", "swordfish", &"0f".repeat(31), &"0f".repeat(33), &"0g".repeat(32), &"0 ".repeat(64)] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains("--config-secret-key-file") && error.contains("64 hexadecimal"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(SecretFlags { config_secret_key_file: Some(dir.path().join("none")) }.key().is_err());
        assert!(SecretFlags { config_secret_key_file: None }.key().unwrap().is_none());
    }
}
