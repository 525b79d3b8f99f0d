//! Secrets: items whose bytes are encrypted wherever they are kept, with an envelope for each.
//!
//! ```text
//! sealed   = "quorate-secret-1:" base64( nonce:12 wrapped_key:48 nonce:12 ciphertext+tag )
//! wrapped  = AES-256-GCM(key of the file, random key of the item)
//! cipher   = AES-256-GCM(random key of the item, value)            both bound to the item: "<set prefix>items/<key>"
//! ```
//!
//! A sealed value says of itself what it is, so it stays a secret wherever it is copied to: into releases, exports, backups. Bound
//! to its item, it cannot be passed off as another one. Only members that were started with the key can seal and open; all
//! members need the same. What is opened goes into answers that ask for it, and nowhere else.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::item::Item;
use super::set::ConfigSet;
use crate::options::SecretKey;
use crate::rest::problem::{Kind, Problem};

/// What a sealed value begins with.
const MARK: &[u8] = b"quorate-secret-1:";

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Bytes that encryption adds.
const TAG_BYTES: usize = 16;

/// Whether bytes are a sealed value.
pub(crate) fn is_sealed(value: &[u8]) -> bool {
    value.starts_with(MARK)
}

/// Seals and opens, if the member has a key. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Vault(Option<Arc<LessSafeKey>>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vault").field(&self.0.is_some()).finish()
    }
}

impl Vault {
    /// With the key that the member was started with, if it was.
    pub(crate) fn new(key: Option<&SecretKey>) -> Self {
        Self(key.map(|key| Arc::new(cipher(key.bytes()))))
    }

    /// The item with its bytes sealed.
    pub(crate) fn seal(&self, set: &ConfigSet, key: &str, item: Item) -> Result<Item, Problem> {
        let key_of_file = self.key()?;
        let bound = bound_to(set, key);
        let data_key = random::<KEY_BYTES>()?;
        let mut sealed = encrypt(key_of_file, &bound, &data_key)?;
        sealed.extend(encrypt(&cipher(&data_key), &bound, &item.value)?);
        let value = [MARK, STANDARD.encode(sealed).as_bytes()].concat().into();
        Ok(Item { value, content_type: item.content_type })
    }

    /// The item with its bytes in the clear.
    pub(crate) fn open(&self, set: &ConfigSet, key: &str, item: &Item) -> Result<Item, Problem> {
        let Some(encoded) = item.value.strip_prefix(MARK) else { return Ok(item.clone()) };
        let key_of_file = self.key()?;
        let bound = bound_to(set, key);
        let opened = || {
            let sealed = STANDARD.decode(encoded).ok()?;
            let (wrapped, cipher_text) = sealed.split_at_checked(NONCE_LEN + KEY_BYTES + TAG_BYTES)?;
            let data_key: [u8; KEY_BYTES] = decrypt(key_of_file, &bound, wrapped)?.try_into().ok()?;
            decrypt(&cipher(&data_key), &bound, cipher_text)
        };
        let value = opened().ok_or_else(|| {
            let detail = format!("{key} was sealed with another key, or for another item");
            Problem::new(Kind::SecretUnreadable, detail)
        })?;
        Ok(Item { value: value.into(), content_type: item.content_type.clone() })
    }

    fn key(&self) -> Result<&LessSafeKey, Problem> {
        self.0.as_deref().ok_or_else(|| {
            Problem::new(Kind::SecretUnreadable, "the member was started without --config-secret-key-file")
        })
    }
}

/// What a secret is bound to.
fn bound_to(set: &ConfigSet, key: &str) -> Bytes {
    set.key(&format!("items/{key}"))
}

fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the length that the cipher takes"))
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    let failure = |_| Problem::new(Kind::Internal, "the system has no random numbers");
    SystemRandom::new().fill(&mut bytes).map_err(failure)?;
    Ok(bytes)
}

/// Nonce, ciphertext and tag.
fn encrypt(key: &LessSafeKey, bound: &[u8], text: &[u8]) -> Result<Vec<u8>, Problem> {
    let nonce = random::<NONCE_LEN>()?;
    let mut sealed = text.to_vec();
    let failure = |_| Problem::new(Kind::ValueTooLarge, "the value is too large to be sealed");
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
        .map_err(failure)?;
    Ok([&nonce[..], &sealed].concat())
}

fn decrypt(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, cipher_text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = cipher_text.to_vec();
    let text = key.open_in_place(nonce, Aad::from(bound), &mut buffer).ok()?;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::names::Namespace;

    fn vault(byte: u8) -> Vault {
        Vault::new(Some(&SecretKey::new([byte; 32])))
    }

    fn set(env: &str) -> ConfigSet {
        ConfigSet::parse(Namespace::default(), "shop", env).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_key_for_the_same_item_only() {
        let item = Item { value: "hunter2".into(), content_type: Some("text/plain".to_owned()) };
        let sealed = vault(1).seal(&set("prod"), "db.password", item.clone()).unwrap();
        assert!(sealed.is_secret() && !sealed.value.windows(7).any(|window| window == b"hunter2"));
        assert_ne!(vault(1).seal(&set("prod"), "db.password", item.clone()).unwrap().value, sealed.value);
        assert_eq!(vault(1).open(&set("prod"), "db.password", &sealed).unwrap(), item);
        assert_eq!(vault(1).open(&set("prod"), "db.password", &item).unwrap(), item, "what is no secret is what it is");
        let kind = |vault: Vault, set: ConfigSet, key| vault.open(&set, key, &sealed).unwrap_err().kind();
        assert_eq!(kind(vault(2), set("prod"), "db.password"), Kind::SecretUnreadable);
        assert_eq!(kind(vault(1), set("test"), "db.password"), Kind::SecretUnreadable);
        assert_eq!(kind(vault(1), set("prod"), "other"), Kind::SecretUnreadable);
        assert_eq!(kind(Vault::new(None), set("prod"), "db.password"), Kind::SecretUnreadable);
        let mut bent = sealed.value.to_vec();
        *bent.last_mut().unwrap() = b'A';
        for value in [bent, sealed.value[..40].to_vec(), MARK.to_vec()] {
            let bent = Item { value: value.into(), content_type: None };
            assert!(vault(1).open(&set("prod"), "db.password", &bent).is_err());
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        assert_eq!(format!("{:?} {:?}", vault(7), SecretKey::new([7; 32])), "Vault(true) SecretKey(..)");
    }
}
