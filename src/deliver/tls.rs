//! TLS towards receivers: rustls, the system's trusted roots, the injected clock.

use super::failure::Failure;
use super::identity::ClientIdentity;
use crate::clock::Clock;
use crate::model::Reason;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why TLS could not be set up at start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of additional roots cannot be read.
    #[error("the file of trusted certificates {path} cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in it cannot be used.
    #[error("the file of trusted certificates {path} holds none that can be used")]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// rustls refuses its own defaults.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// How receivers are authenticated. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    /// For receivers that do not ask who we are.
    anonymous: TlsConnector,
    roots: Arc<RootCertStore>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Trusts the system's roots and, where a file is named, the certificates in it (PEM).
    ///
    /// A system without roots is no error: deliveries over https will say what is wrong, those over http work.
    ///
    /// # Errors
    /// [`TlsError`] when the file is named and cannot be used.
    pub fn new(extra_roots: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's trusted certificates cannot be read");
        }
        if let Some(path) = extra_roots {
            add_file(&mut roots, path)?;
        }
        if roots.is_empty() {
            tracing::warn!("the system has no trusted certificates: no delivery over https can succeed");
        }
        Self::with_roots(roots, clock)
    }

    pub(super) fn with_roots(roots: RootCertStore, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let roots = Arc::new(roots);
        let anonymous = connector(&roots, &clock, None)?;
        Ok(Self { anonymous, roots, clock })
    }

    /// The handshake with a server that is no receiver; `host` is the name that the certificate must be for.
    ///
    /// # Errors
    /// What went wrong, in words that tell where to look.
    pub async fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connect(host, stream, None).await.map_err(|failure| io::Error::other(failure.detail))
    }

    /// The handshake; `host` is the name that the certificate must be for. With an `identity` it is shown to a receiver
    /// that asks.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
        identity: Option<&ClientIdentity>,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        // A name may end in a dot, which says that it is complete; a certificate's names don't.
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host)).map_err(|_| {
            Failure::new(Reason::CertificateInvalid, format!("no certificate can be valid for the host {host:?}"))
        })?;
        let connector = match identity {
            None => &self.anonymous,
            Some(identity) => self.connector_of(identity)?,
        };
        connector.connect(name.to_owned(), stream).await.map_err(|error| handshake_failure(&error, host))
    }

    fn connector_of<'a>(&self, identity: &'a ClientIdentity) -> Result<&'a TlsConnector, Failure> {
        if let Some(connector) = identity.connector.get() {
            return Ok(connector);
        }
        let made = connector(&self.roots, &self.clock, Some(Arc::clone(&identity.key)));
        let made = made.map_err(|error| Failure::new(Reason::TlsFailed, error.to_string()))?;
        Ok(identity.connector.get_or_init(|| made))
    }
}

/// Settings of their own have sessions of their own: what one client may resume, no other can.
fn connector(
    roots: &Arc<RootCertStore>,
    clock: &Arc<dyn Clock>,
    key: Option<Arc<CertifiedKey>>,
) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Time(Arc::clone(clock))))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::clone(roots));
    let mut config = match key {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let mut added = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        let unusable = |_| TlsError::Unusable { path: path.to_owned() };
        roots.add(certificate.map_err(read)?).map_err(unusable)?;
        added += 1;
    }
    if added == 0 { Err(TlsError::Unusable { path: path.to_owned() }) } else { Ok(()) }
}

/// The injected clock as rustls asks for it.
#[derive(Debug)]
struct Time(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

fn handshake_failure(error: &io::Error, host: &str) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => rustls_failure(error, host),
        None if closed(error) => {
            Failure::new(Reason::TlsFailed, "the receiver closed the connection during the TLS handshake")
        }
        None => Failure::new(Reason::TlsFailed, format!("during the TLS handshake: {error}")),
    }
}

fn closed(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted)
}

/// What rustls has to say, in words that tell the person who runs the receiver where to look.
pub(super) fn rustls_failure(error: &rustls::Error, host: &str) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            Failure::new(Reason::CertificateInvalid, format!("{} ({why})", certificate_words(why, host)))
        }
        rustls::Error::InvalidMessage(_) => Failure::new(
            Reason::TlsFailed,
            format!("what answers at this port does not speak TLS; is the URL meant to start with http://? ({error})"),
        ),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            let words = "the receiver asks for a client certificate, and this webhook has none that it takes";
            Failure::new(Reason::TlsFailed, format!("{words} ({error})"))
        }
        rustls::Error::AlertReceived(_) => {
            Failure::new(Reason::TlsFailed, format!("the receiver refused the TLS connection ({error})"))
        }
        _ => Failure::new(Reason::TlsFailed, error.to_string()),
    }
}

fn certificate_words(error: &CertificateError, host: &str) -> String {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "the certificate has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "the certificate is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => format!("the certificate is not for {host}"),
        E::UnknownIssuer => {
            "the certificate's issuer is not trusted; is an intermediate certificate missing?".to_owned()
        }
        E::Revoked => "the certificate has been revoked".to_owned(),
        _ => "the certificate cannot be used".to_owned(),
    }
}
