//! Receivers that ask who we are: mutual TLS.

use super::receiver::{Receiver, read_request};
use super::*;
use crate::model::{ClientCertificate, Secret};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertifiedIssuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn client_certificate(authority: &Authority, years: (i32, i32)) -> ClientCertificate {
    let (certificate, key) = secure::certificate(authority, "client.test", years);
    ClientCertificate {
        certificate: format!("{}{}", certificate.pem(), authority.pem()),
        private_key: Secret::new(key.serialize_pem()),
    }
}

/// Answers who it was shown to be connected with to those whose certificates these authorities have signed.
async fn asking(server: &Authority, clients: &[&Authority]) -> Receiver {
    let mut roots = rustls::RootCertStore::empty();
    clients.iter().for_each(|authority| roots.add(authority.der().clone()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let (certificate, key) = secure::certificate(server, "good.test", (2020, 2100));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Receiver::new(move |peer| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(peer.stream).await else { return };
            let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
            while read_request(&mut stream).await.is_some() {
                let body = hex::encode(&shown);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_receiver_that_asks_is_shown_this_webhooks_certificate() {
    let (ours, theirs) = (secure::authority("ours"), secure::authority("theirs"));
    // The receiver's side looks at the real time.
    let valid = |authority| {
        let certificate = client_certificate(authority, (2020, 2100));
        Arc::new(ClientIdentity::new(&certificate).unwrap())
    };
    let receiver = asking(&ours, &[&ours, &theirs]).await;
    let (client, mut line) = (secure::trusting(&ours), Line::new());
    let plain = destination(&format!("https://good.test:{}/", receiver.address.port()));
    let with = |identity: &Arc<ClientIdentity>| Destination { identity: Some(identity.clone()), ..plain.clone() };
    let (one, other) = (valid(&ours), valid(&theirs));
    let shown = |identity: &ClientIdentity| hex::encode(&identity.key.cert[0]);

    let first = send(&client, &mut line, &with(&one)).await;
    assert_eq!((first.status, &first.response_body[..]), (200, shown(&one).as_bytes()), "{first:?}");
    let again = send(&client, &mut line, &with(&one)).await;
    assert_eq!((again.status, again.timings.tls_us), (200, None), "the connection is kept");
    // Another certificate has another connection, and other sessions.
    let second = send(&client, &mut line, &with(&other)).await;
    assert!(second.timings.tls_us.is_some());
    assert_eq!((second.status, &second.response_body[..]), (200, shown(&other).as_bytes()));
    let connector = one.connector.get().map(|connector| Arc::as_ptr(connector.config()));
    send(&client, &mut Line::new(), &with(&one)).await;
    assert_eq!(one.connector.get().map(|connector| Arc::as_ptr(connector.config())), connector, "made once");

    let outcome = send(&client, &mut line, &plain).await;
    assert_failed(&outcome, Reason::TlsFailed, "asks for a client certificate");
    let unknown = valid(&secure::authority("nobody"));
    let outcome = send(&client, &mut Line::new(), &with(&unknown)).await;
    assert_failed(&outcome, Reason::TlsFailed, "refused the TLS connection");
}

#[test]
fn certificates_and_keys_are_checked() {
    let authority = secure::authority("ours");
    let good = client_certificate(&authority, (2020, 2030));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let with_certificate = |text: &str| ClientCertificate { certificate: text.to_owned(), ..good.clone() };
    let with_key = |text: &str| ClientCertificate { private_key: Secret::new(text), ..good.clone() };
    let key_text = std::str::from_utf8(good.private_key.expose()).unwrap().to_owned();
    for (certificate, error) in [
        (with_certificate(""), IdentityError::NoCertificate),
        (with_certificate("a certificate"), IdentityError::NoCertificate),
        (with_certificate(broken), IdentityError::BrokenCertificate),
        (with_certificate(&format!("{}{broken}", good.certificate)), IdentityError::BrokenCertificate),
        (with_certificate(&authority.pem()), IdentityError::Mismatch),
        (with_key(""), IdentityError::Key),
        (with_key(&key_text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")), IdentityError::Key),
        (with_key(&KeyPair::generate().unwrap().serialize_pem()), IdentityError::Mismatch),
    ] {
        assert_eq!(ClientIdentity::new(&certificate).unwrap_err(), error);
    }
    // The older form of an EC key, which is what PKCS#8 wraps.
    let wrapped = rustls::pki_types::PrivateKeyDer::try_from(pem_body(&key_text)).unwrap();
    let inner = &wrapped.secret_der()[wrapped.secret_der().len() - 109..];
    let sec1 =
        format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", BASE64_STANDARD.encode(inner));
    let identity = ClientIdentity::new(&with_key(&sec1)).unwrap();
    assert!(!identity.has_expired(NOW) && format!("{identity:?}") == "ClientIdentity");
    let expired = ClientIdentity::new(&client_certificate(&authority, (2010, 2020))).unwrap();
    let future = ClientIdentity::new(&client_certificate(&authority, (2030, 2040))).unwrap();
    assert_eq!((expired.has_expired(NOW), future.has_expired(NOW)), (true, false));
    assert!(identity != expired && identity == ClientIdentity::new(&with_key(&sec1)).unwrap());
}

/// The bytes of a text in PEM.
fn pem_body(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    BASE64_STANDARD.decode(lines.collect::<String>()).unwrap()
}
