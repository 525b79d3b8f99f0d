//! An authority in a folder, and certificates from it.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::{Callers, Client, Policy, Server, Trust};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Validity {
    Now,
    Past,
    Future,
}

/// An authority, its files and those that it signed.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("an authority");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `NAME.pem` and `NAME.key`: a certificate for the host `localhost` and the common name `NAME`.
    pub(crate) fn sign(&self, name: &str, serial: u64, validity: Validity) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        let (now, day) = (OffsetDateTime::now_utc(), Duration::days(1));
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (now - day, now + day),
            Validity::Past => (now - 2 * day, now - day),
            Validity::Future => (now + day, now + 2 * day),
        };
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).expect("written");
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).expect("written");
    }

    /// Writes `crl.pem` and `crl.der`, which revoke the certificates with these numbers.
    pub(crate) fn revoke(&self, serials: &[u64]) {
        let now = OffsetDateTime::now_utc();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::days(1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        fs::write(self.path("crl.pem"), list.pem().expect("PEM")).expect("written");
        fs::write(self.path("crl.der"), list.der().as_ref()).expect("written");
    }

    /// Serves with the certificate of `name`.
    pub(crate) fn server(&self, name: &str, callers: Callers) -> Server {
        Server {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            callers,
            policy: Policy::default(),
            protocols: &["h2", "http/1.1"],
        }
    }

    /// Callers with a certificate of this authority.
    pub(crate) fn certified(&self) -> Callers {
        Callers::Certified { trusted_ca: self.path("ca.pem"), crl: None, allowed_hostname: None }
    }

    /// Calls, showing the certificate of `name`, if there is one to show.
    pub(crate) fn client(&self, name: Option<&str>) -> Client {
        Client {
            identity: name.map(|name| (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")))),
            trust: Trust::Authorities(self.path("ca.pem")),
            policy: Policy::default(),
            protocols: &["h2"],
        }
    }
}
