//! Certificates that a member makes for itself, for those who want TLS before they have an authority (etcd's `--auto-tls`).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

use crate::TlsError;
use crate::error::unusable;

/// Days of a year of validity.
const YEAR_DAYS: i64 = 365;

/// How far in the past validity begins, for clocks that differ.
const LEEWAY: Duration = Duration::hours(1);

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM; only for the owner of the file to read.
    pub key: PathBuf,
}

/// The certificate in `folder`, made now for `hosts` and `years` unless there is one.
///
/// # Errors
///
/// The file that cannot be written, or a host that is neither a name nor an address.
pub fn self_signed(folder: &Path, hosts: &[String], years: u32) -> Result<SelfSigned, TlsError> {
    let files = SelfSigned { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    if files.cert.exists() && files.key.exists() {
        return Ok(files);
    }
    let failed = |error: rcgen::Error| TlsError::Policy(format!("no certificate can be made for {hosts:?}: {error}"));
    let mut params = CertificateParams::new(hosts).map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - LEEWAY;
    params.not_after = now + Duration::days(YEAR_DAYS * i64::from(years));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "quorate");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
    write(&files.key, key.serialize_pem().as_bytes(), 0o600)?;
    write(&files.cert, certificate.pem().as_bytes(), 0o644)?;
    Ok(files)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(mode).open(path);
    opened.and_then(|mut file| file.write_all(content)).map_err(|error| unusable(path, error))
}
