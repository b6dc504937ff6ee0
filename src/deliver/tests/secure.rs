//! Receivers with good and bad certificates.

use super::*;
use crate::clock::Clock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::io::Write;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

/// TLS settings without a root.
pub(super) fn trusting_nobody(clock: Arc<dyn Clock>) -> Tls {
    Tls::with_roots(rustls::RootCertStore::empty(), clock).unwrap()
}

/// An authority that signs certificates for the tests.
pub(super) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name`, valid in these years, and its key.
pub(super) fn certificate(
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    years: (i32, i32),
) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    (params.signed_by(&key, authority).unwrap(), key)
}

/// A server's settings with a certificate for `name`, valid in these years.
pub(super) fn server(authority: &CertifiedIssuer<'static, KeyPair>, name: &str, years: (i32, i32)) -> TlsAcceptor {
    let (certificate, key) = certificate(authority, name, years);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub(super) async fn serving(acceptor: TlsAcceptor) -> Receiver {
    Receiver::new(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(peer.stream).await else { return };
            while receiver::read_request(&mut stream).await.is_some() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await
}

/// A client that trusts this authority, from a file as an operator would name it.
pub(super) fn trusting(authority: &CertifiedIssuer<'static, KeyPair>) -> Client {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    let mut client = client();
    client.config.tls = Tls::new(Some(file.path()), client.config.clock.clone()).unwrap();
    client
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_the_connection_kept() {
    let authority = authority("ours");
    let receiver = serving(server(&authority, "good.test", (2020, 2030))).await;
    let (client, mut line) = (trusting(&authority), Line::new());
    let destination = destination(&format!("https://good.test:{}/", receiver.address.port()));
    let first = send(&client, &mut line, &destination).await;
    assert_eq!(first.status, 200, "{first:?}");
    let timings = first.timings;
    assert!(timings.connect_us <= timings.tls_us && timings.tls_us <= timings.first_byte_us, "{timings:?}");
    let second = send(&client, &mut line, &destination).await;
    assert_eq!((second.status, second.timings.tls_us), (200, None));
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    let ours = authority("ours");
    let client = trusting(&ours);
    for (authority, name, years, words) in [
        (&ours, "good.test", (2010, 2020), "has expired"),
        (&ours, "good.test", (2025, 2030), "is not valid yet"),
        (&ours, "other.test", (2020, 2030), "is not for good.test"),
        (&authority("theirs"), "good.test", (2020, 2030), "issuer is not trusted"),
    ] {
        let receiver = serving(server(authority, name, years)).await;
        let url = format!("https://good.test:{}/", receiver.address.port());
        let outcome = send(&client, &mut Line::new(), &destination(&url)).await;
        assert_failed(&outcome, Reason::CertificateInvalid, words);
        assert!(outcome.timings.connect_us.is_some() && outcome.timings.tls_us.is_none());
    }
}

#[tokio::test]
async fn what_does_not_speak_tls() {
    let plain = Receiver::new(|mut peer| async move {
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.until_gone().await;
    })
    .await;
    let silent = Receiver::new(|mut peer| async move { peer.until_gone().await }).await;
    let closing = Receiver::new(|_| async {}).await;
    let url = |receiver: &Receiver| format!("https://{}/", receiver.address);
    let outcome = send(&client(), &mut Line::new(), &destination(&url(&plain))).await;
    assert_failed(&outcome, Reason::TlsFailed, "does not speak TLS");
    let outcome = send(&client(), &mut Line::new(), &within(100, &url(&silent))).await;
    assert_failed(&outcome, Reason::TimedOut, "in the TLS handshake");
    let outcome = send(&client(), &mut Line::new(), &destination(&url(&closing))).await;
    assert_failed(&outcome, Reason::TlsFailed, "during the TLS handshake");
}

#[test]
fn a_file_of_roots_that_cannot_be_used_is_an_error() {
    let clock = Arc::new(ManualClock::at(NOW));
    assert!(matches!(Tls::new(Some("/no/such/file".as_ref()), clock.clone()), Err(TlsError::Read { .. })));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"no certificate in here").unwrap();
    assert!(matches!(Tls::new(Some(file.path()), clock), Err(TlsError::Unusable { .. })));
}
