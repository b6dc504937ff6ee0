//! What is on the wire, and connections that are kept, reused, found stale and given up.

use super::*;
use crate::model::{Format, Secret, SigningKey};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn the_request_is_on_the_wire_byte_for_byte() {
    let receiver = Receiver::keeping(OK).await;
    let (port, version) = (receiver.address.port(), env!("CARGO_PKG_VERSION"));
    let key = |text| sign::parse_signing_key(text).unwrap();
    let keys: Vec<SigningKey> =
        vec![key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), key("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    let destination = Destination {
        secret: Some(Secret::new("It's a Secret to Everybody")),
        signing_keys: keys.clone(),
        ..destination(&format!("http://ReCeiver.test:{port}/a//b/../%7e?x={{1}}&&'y'"))
    };
    let quiet = Quiet { after: Duration::from_secs(10), call: &mut || {} };
    let outcome = client().attempt(&mut Line::new(), &Arc::new(destination), &message("Hello, World!"), quiet).await;
    assert_eq!(outcome.status, 200);

    let id = message("").unique_id;
    let signed = (id.as_str(), "1626806203", b"Hello, World!".as_slice());
    let signatures = sign::Signer::new(None, &keys, &[]).standard_signatures(signed, NOW).unwrap();
    let headers = format!(
        "Host: ReCeiver.test:{port}\r\nContent-Type: application/json\r\n\
         X-Pendo-Signature: 757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n\
         Webhook-Id: {id}\r\nWebhook-Timestamp: 1626806203\r\nWebhook-Signature: {}\r\n\
         User-Agent: Fanfare/{version}\r\nContent-Length: 13\r\n",
        signatures.to_str().unwrap()
    );
    let line = "POST /a//b/../%7e?x={1}&&'y' HTTP/1.1\r\n";
    assert_eq!(receiver.only_request(), format!("{line}{headers}\r\nHello, World!"));
    assert_eq!(outcome.request_headers, headers);
}

#[tokio::test]
async fn another_form_is_what_is_signed_and_further_headers_are_masked() {
    let receiver = Receiver::keeping(OK).await;
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: Secret::new(value) };
    let format = Format::Template { text: String::from("<{{ event }}>"), content_type: String::from("text/x-mine") };
    let destination = Destination {
        secret: Some(Secret::new("s")),
        form: Some(Arc::new(Form::new(&format))),
        headers: vec![header("x-API-key", "k"), header("Authorization", "Bearer t"), header("x-b", "Basic-like")],
        ..destination(&receiver.url("/"))
    };
    let (client, mut line) = (client(), Line::new());
    for _ in 0..2 {
        let outcome = send(&client, &mut line, &destination).await;
        assert_eq!(outcome.request_body.as_deref(), Some(&b"<ping>"[..]));
        let masked = "X-Api-Key: ***\r\nAuthorization: Bearer ***\r\nX-B: ***\r\nContent-Length: 6\r\n";
        assert!(outcome.request_headers.ends_with(masked), "{}", outcome.request_headers);
        assert!(outcome.request_headers.contains("\r\nContent-Type: text/x-mine\r\n"), "{}", outcome.request_headers);
    }
    let signature = sign::Signer::new(destination.secret.as_ref(), &[], &[]).body_signature(b"<ping>").unwrap();
    let (_, request) = receiver.requests.lock().unwrap().remove(0);
    assert!(request.contains(&format!("X-Pendo-Signature: {}\r\n", signature.to_str().unwrap())), "{request}");
    let sent = "X-Api-Key: k\r\nAuthorization: Bearer t\r\nX-B: Basic-like\r\nContent-Length: 6\r\n\r\n<ping>";
    assert!(request.ends_with(sent), "{request}");
    assert_eq!(receiver.connections(), vec![0], "one connection, kept");
}

#[tokio::test]
async fn what_cannot_be_given_its_form_is_not_sent() {
    let receiver = Receiver::keeping(OK).await;
    let format = Format::Template { text: String::from("\n{{ visitorId }}"), content_type: String::from("text/plain") };
    let form = Some(Arc::new(Form::new(&format)));
    let outcome = send(&client(), &mut Line::new(), &Destination { form, ..destination(&receiver.url("/")) }).await;
    assert_failed(&outcome, Reason::CannotSend, "line 2: ");
    assert_eq!((outcome.request_body, receiver.connections().len()), (None, 0));
}

#[tokio::test]
async fn without_keys_there_are_no_signatures() {
    let receiver = Receiver::keeping(OK).await;
    send(&client(), &mut Line::new(), &destination(&receiver.url("/"))).await;
    let request = receiver.only_request().to_ascii_lowercase();
    assert!(!request.contains("x-pendo-signature") && !request.contains("webhook-"), "{request}");
}

#[tokio::test]
async fn a_connection_is_reused_and_one_to_elsewhere_is_not() {
    let (here, there) = (Receiver::keeping(OK).await, Receiver::keeping(OK).await);
    let (client, mut line) = (client(), Line::new());
    for path in ["/1", "/2", "/3"] {
        assert_eq!(send(&client, &mut line, &destination(&here.url(path))).await.status, 200);
        assert!(line.is_open());
    }
    let again = send(&client, &mut line, &destination(&here.url("/3"))).await;
    assert_eq!((again.timings.dns_us, again.timings.connect_us), (None, None));
    send(&client, &mut line, &destination(&there.url("/"))).await;
    send(&client, &mut line, &destination(&here.url("/"))).await;
    assert_eq!((here.connections(), there.connections()), (vec![0, 0, 0, 0, 1], vec![0]));
}

#[tokio::test]
async fn a_stale_connection_is_replaced_within_the_attempt() {
    // The second request of a connection is read, and the connection closed without an answer.
    let receiver = Receiver::new(|mut peer| async move {
        peer.read().await;
        peer.write(OK).await;
        peer.read().await;
    })
    .await;
    let (client, mut line) = (client(), Line::new());
    for _ in 0..3 {
        assert_eq!(send(&client, &mut line, &destination(&receiver.url("/"))).await.status, 200);
    }
    assert_eq!(receiver.connections(), [0, 0, 1, 1, 2]);
}

#[tokio::test]
async fn a_connection_closed_while_unused_is_noticed() {
    let receiver = Receiver::answering(OK).await;
    let (client, mut line) = (client(), Line::new());
    for _ in 0..3 {
        assert_eq!(send(&client, &mut line, &destination(&receiver.url("/"))).await.status, 200);
        until_closed(&mut line).await;
        assert!(!line.is_open());
    }
    assert_eq!(receiver.connections(), [0, 1, 2]);
}

#[tokio::test]
async fn a_reused_connection_that_fails_within_the_response_is_not_used_for_a_second_try() {
    let receiver = Receiver::new(|mut peer| async move {
        peer.read().await;
        peer.write(OK).await;
        peer.read().await;
        peer.write(b"HTTP/1.1 20").await;
    })
    .await;
    let (client, mut line) = (client(), Line::new());
    let destination = destination(&receiver.url("/"));
    assert_eq!(send(&client, &mut line, &destination).await.status, 200);
    let outcome = send(&client, &mut line, &destination).await;
    assert_failed(&outcome, Reason::ConnectionClosed, "before it had answered");
    assert_eq!(receiver.connections(), [0, 0]);
}

#[tokio::test]
async fn what_the_receiver_says_of_its_connection_is_respected() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let receiver = Receiver::keeping(answer.as_bytes()).await;
        let mut line = Line::new();
        assert_eq!(send(&client(), &mut line, &destination(&receiver.url("/"))).await.status, 200);
        assert!(!line.is_open(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed_in_time() {
    let receiver = Receiver::keeping(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n").await;
    let (client, mut line) = (client(), Line::new());
    assert_eq!(send(&client, &mut line, &destination(&receiver.url("/"))).await.status, 200);
    let unused_since = tokio::time::Instant::now();
    // Waiting may be given up and begun again.
    let early = tokio::time::timeout(Duration::from_millis(100), line.closed()).await;
    assert!(early.is_err() && line.is_open());
    line.closed().await;
    assert!(unused_since.elapsed() > Duration::from_millis(900));
    assert!(!line.is_open());
}

#[tokio::test]
async fn early_answers_to_large_bodies_count() {
    let receiver = Receiver::new(|mut peer| async move {
        peer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
        peer.until_gone().await;
    })
    .await;
    let body = Bytes::from(vec![b'x'; 8 << 20]);
    let large = Message { unique_id: "id".to_owned(), body };
    let quiet = Quiet { after: Duration::from_secs(10), call: &mut || {} };
    let mut line = Line::new();
    let outcome = client().attempt(&mut line, &Arc::new(destination(&receiver.url("/"))), &large, quiet).await;
    assert_eq!(outcome.status, 413, "{outcome:?}");
}

#[tokio::test]
async fn attempts_can_be_spawned() {
    let receiver = Receiver::keeping(OK).await;
    let url = receiver.url("/");
    let task = tokio::spawn(async move { send(&client(), &mut Line::new(), &destination(&url)).await.status });
    assert_eq!(task.await.unwrap(), 200);
}

/// As nothing ever should.
#[derive(Debug)]
struct Panics;

impl Resolver for Panics {
    fn resolve<'a>(&'a self, _: &'a str) -> resolve::Lookup<'a> {
        Box::pin(async { panic!("as it is told") })
    }
}

#[tokio::test]
async fn a_panic_is_the_end_of_one_attempt_only() {
    let client: &dyn Courier = &client_with(Guard::new(true, vec![]), Arc::new(Panics));
    let (mut line, destination) = (Line::new(), Arc::new(destination("http://receiver.test/")));
    let quiet = Quiet { after: Duration::from_secs(10), call: &mut || {} };
    let outcome = client.attempt(&mut line, &destination, &message("{}"), quiet).await;
    assert_eq!((outcome.status, outcome.reason), (0, Reason::CannotSend));
    assert!(outcome.detail.contains("a defect of Fanfare"), "{}", outcome.detail);
    assert!(!line.is_open());
}
