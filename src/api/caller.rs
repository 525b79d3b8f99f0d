//! What a connection tells about who is at its other end. Requests carry it as extensions.

use tls::{ServerStream, common_name};

use crate::admission::Allowance;

/// The certificate that a client has shown and that was verified. In the extensions of each of its requests, gRPC and HTTP alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of its subject.
    pub common_name: String,
}

impl ClientCertificate {
    /// The certificate of the client of `stream`, if it has one with a common name.
    pub(crate) fn of<S>(stream: &ServerStream<S>) -> Option<Self> {
        let certificates = stream.get_ref().1.peer_certificates()?;
        Some(Self { common_name: common_name(certificates.first()?)? })
    }
}

/// The request came over TLS. In the extensions of those that did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secured;

/// What requests of one connection carry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) secured: Option<Secured>,
    pub(crate) certificate: Option<ClientCertificate>,
    pub(crate) allowance: Option<Allowance>,
}

impl Caller {
    /// The same, at the other end of `stream`.
    pub(crate) fn over_tls<S>(self, stream: &ServerStream<S>) -> Self {
        Self { secured: Some(Secured), certificate: ClientCertificate::of(stream), ..self }
    }

    /// Writes it into a request's extensions. Of a plain connection there is nothing to say, and nothing is spent.
    pub(crate) fn mark(&self, extensions: &mut http::Extensions) {
        if let Some(secured) = self.secured {
            extensions.insert(secured);
        }
        if let Some(certificate) = &self.certificate {
            extensions.insert(certificate.clone());
        }
        if let Some(allowance) = &self.allowance {
            extensions.insert(allowance.clone());
        }
    }
}
