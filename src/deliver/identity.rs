//! By what a receiver with mutual TLS knows its client: certificate and key, read and made ready once per destination.

use crate::model::{ClientCertificate, UnixMs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// What is wrong with a certificate or its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Nothing in PEM.
    #[error("holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// In PEM, but no certificate.
    #[error("holds a certificate that cannot be read")]
    BrokenCertificate,
    /// Nothing in PEM, or of a kind that cannot sign.
    #[error(
        "holds no private key that can be used: PEM with an RSA, ECDSA (P-256, P-384) or Ed25519 key, without a passphrase"
    )]
    Key,
    /// The key of something else.
    #[error("is not the key of the first certificate; those that lead to the root follow it")]
    Mismatch,
}

impl IdentityError {
    /// Whether it is the key that is wrong.
    pub fn concerns_key(self) -> bool {
        matches!(self, Self::Key | Self::Mismatch)
    }
}

/// A client's certificate and key.
pub struct ClientIdentity {
    /// As set: two identities are the same when these are.
    of: ClientCertificate,
    pub(super) key: Arc<CertifiedKey>,
    /// Made at the first handshake, so that all connections of the destination share it, and with it its sessions.
    pub(super) connector: OnceLock<TlsConnector>,
}

impl ClientIdentity {
    /// Reads certificate and key, and sees whether they belong together.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn new(of: &ClientCertificate) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(of.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| IdentityError::BrokenCertificate)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        if chain.iter().any(|der| ParsedCertificate::try_from(der).is_err()) {
            return Err(IdentityError::BrokenCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(of.private_key.expose()).map_err(|_| IdentityError::Key)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| IdentityError::Key)?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|_| IdentityError::Mismatch)?;
        Ok(Self { of: of.clone(), key: Arc::new(key), connector: OnceLock::new() })
    }

    /// Whether the certificate's time is over. Asked when it is set, not when it is used: what the receiver makes of it
    /// then is the receiver's affair.
    pub fn has_expired(&self, now: UnixMs) -> bool {
        let judge = || {
            let leaf = self.key.cert.first()?;
            let mut roots = RootCertStore::empty();
            // Whether a receiver trusts it is not the question: the times are looked at before that.
            roots.add(leaf.clone()).ok()?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
            let seconds = u64::try_from(now.seconds()).ok()?;
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            verifier.verify_client_cert(leaf, &[], now).err()
        };
        let expired = |error| match error {
            rustls::Error::InvalidCertificate(error) => {
                matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. })
            }
            _ => false,
        };
        judge().is_some_and(expired)
    }
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl Eq for ClientIdentity {}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity")
    }
}
