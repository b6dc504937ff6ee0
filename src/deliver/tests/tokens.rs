//! Who is asking: values that stay, and tokens of a token server.

use super::receiver::Receiver;
use super::*;
use crate::model::{Auth, ClientCredentials, Secret};
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn with(auth: &Auth, url: &str) -> Destination {
    Destination { authorization: Some(Authorization::new(auth).unwrap()), ..destination(url) }
}

fn credentials(token_url: String) -> ClientCredentials {
    ClientCredentials {
        token_url,
        client_id: String::from("us:er"),
        client_secret: Secret::new("a/s3cret"),
        scope: String::from("send more"),
        audience: String::new(),
        in_body: false,
    }
}

fn oauth2(server: &Receiver, url: &str) -> Destination {
    with(&Auth::OAuth2(credentials(server.url("/token"))), url)
}

/// Gives the tokens t0, t1 and so on, each for 100 s.
async fn token_server() -> Receiver {
    let given = Arc::new(AtomicUsize::new(0));
    Receiver::new(move |mut peer| {
        let given = given.clone();
        async move {
            while peer.read().await {
                let number = given.fetch_add(1, Ordering::SeqCst);
                let body = format!("{{\"access_token\":\"t{number}\",\"token_type\":\"Bearer\",\"expires_in\":100}}");
                let length = body.len();
                peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await;
            }
        }
    })
    .await
}

/// Takes this token only.
async fn taking(token: &'static str) -> Receiver {
    Receiver::new(move |mut peer| async move {
        while peer.read().await {
            let right = peer.said().contains(&format!("\r\nAuthorization: Bearer {token}\r\n"));
            let answer: &[u8] = if right { OK } else { b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno" };
            peer.write(answer).await;
        }
    })
    .await
}

/// The tokens that came, in order.
fn tokens(receiver: &Receiver) -> Vec<String> {
    let token = |request: &String| {
        let value = request.split("Authorization: Bearer ").nth(1).unwrap();
        value.split("\r\n").next().unwrap().to_owned()
    };
    receiver.all_requests().iter().map(token).collect()
}

#[tokio::test]
async fn bearer_and_basic_are_sent_and_never_shown() {
    let basic = Auth::Basic { username: String::from("ada"), password: Secret::new("pass:w\u{f6}rd") };
    for (auth, value, shown) in [
        (Auth::Bearer { token: Secret::new("s3cret") }, "Bearer s3cret", "Bearer ***"),
        (basic, "Basic YWRhOnBhc3M6d8O2cmQ=", "Basic ***"),
    ] {
        let receiver = Receiver::keeping(OK).await;
        let destination = with(&auth, &receiver.url("/"));
        let outcome = send(&client(), &mut Line::new(), &destination).await;
        assert_eq!(outcome.status, 200);
        assert!(receiver.only_request().contains(&format!("\r\nAuthorization: {value}\r\n")));
        assert!(outcome.request_headers.contains(&format!("\r\nAuthorization: {shown}\r\n")), "{outcome:?}");
        assert!(!format!("{destination:?}").contains(value), "{destination:?}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_used_until_shortly_before_its_end() {
    let (server, receiver) = (token_server().await, Receiver::keeping(OK).await);
    let clock = Arc::new(ManualClock::at(NOW));
    let mut client = client();
    client.config.clock = clock.clone();
    let (destination, mut line) = (oauth2(&server, &receiver.url("/")), Line::new());
    for after_ms in [0, 89_999, 90_000] {
        clock.set(UnixMs(NOW.0 + after_ms));
        let outcome = send(&client, &mut line, &destination).await;
        assert_eq!(outcome.status, 200, "{outcome:?}");
        assert!(outcome.request_headers.contains("\r\nAuthorization: Bearer ***\r\n"), "{outcome:?}");
    }
    assert_eq!(tokens(&receiver), ["t0", "t0", "t1"]);
    assert_eq!(receiver.connections(), [0; 3], "and the receiver's connection is kept");
    let asked = &server.all_requests()[0];
    // The values of RFC 6749, 2.3.1: each encoded, then put together.
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nAuthorization: Basic dXMlM0FlcjphJTJGczNjcmV0\r\n"), "{asked}");
    assert!(asked.contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=send+more"), "{asked}");
}

#[tokio::test]
async fn id_and_secret_go_in_the_body_where_the_server_wants_them_there() {
    let (server, receiver) = (token_server().await, Receiver::keeping(OK).await);
    let client_credentials =
        ClientCredentials { in_body: true, audience: String::from("api"), ..credentials(server.url("/")) };
    let destination = with(&Auth::OAuth2(client_credentials), &receiver.url("/"));
    assert_eq!(send(&client(), &mut Line::new(), &destination).await.status, 200);
    let asked = server.only_request();
    let form = "grant_type=client_credentials&scope=send+more&audience=api&client_id=us%3Aer&client_secret=a%2Fs3cret";
    assert!(asked.ends_with(&format!("\r\n\r\n{form}")) && !asked.contains("Authorization"), "{asked}");
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_once() {
    let (server, receiver) = (token_server().await, taking("t1").await);
    let (client, destination) = (client(), oauth2(&server, &receiver.url("/")));
    // A new token that is refused is the receiver's answer.
    let outcome = send(&client, &mut Line::new(), &destination).await;
    assert_eq!((outcome.status, outcome.reason, &outcome.response_body[..]), (401, Reason::Refused, &b"no"[..]));
    assert_eq!(send(&client, &mut Line::new(), &destination).await.status, 200);
    assert_eq!(tokens(&receiver), ["t0", "t1"]);

    // A kept one is given up, and the request made once more, as one attempt.
    let (server, receiver) = (token_server().await, taking("t1").await);
    let destination = oauth2(&server, &receiver.url("/"));
    let elsewhere = Receiver::keeping(OK).await;
    let warm = Destination { endpoint: Endpoint::parse(&elsewhere.url("/")).unwrap(), ..destination.clone() };
    assert_eq!(send(&client, &mut Line::new(), &warm).await.status, 200);
    let outcome = send(&client, &mut Line::new(), &destination).await;
    assert_eq!((outcome.status, outcome.response_body.len()), (200, 0), "{outcome:?}");
    assert_eq!(tokens(&receiver), ["t0", "t1"]);
    assert_eq!(receiver.connections(), [0, 0]);

    // Once only.
    let never = taking("never").await;
    let destination = Destination { endpoint: Endpoint::parse(&never.url("/")).unwrap(), ..warm };
    assert_eq!(send(&client, &mut Line::new(), &destination).await.status, 401);
    assert_eq!(tokens(&never), ["t1", "t2"]);
}

#[tokio::test]
async fn one_asks_and_the_others_wait() {
    let (server, receiver) = (token_server().await, Receiver::keeping(OK).await);
    let (client, destination) = (client(), oauth2(&server, &receiver.url("/")));
    let attempts = (0..8).map(|_| async { send(&client, &mut Line::new(), &destination).await.status });
    assert_eq!(join_all(attempts).await, [200; 8]);
    assert_eq!(server.all_requests().len(), 1);

    let failing = Receiver::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
    let destination = oauth2(&failing, &receiver.url("/"));
    let attempts = (0..8).map(|_| async { send(&client, &mut Line::new(), &destination).await.reason });
    assert_eq!(join_all(attempts).await, [Reason::AuthUnavailable; 8]);
    assert_eq!(failing.all_requests().len(), 1, "and share what comes of it");
    assert_eq!(send(&client, &mut Line::new(), &destination).await.reason, Reason::AuthUnavailable);
    assert_eq!(failing.all_requests().len(), 2, "but who comes later asks anew");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let receiver = Receiver::keeping(OK).await;
    for (answer, reason, words) in [
        (
            "400 No\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}",
            Reason::AuthFailed,
            "answered 400 (invalid_client)",
        ),
        ("302 Go\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Reason::AuthFailed, "answered 302"),
        ("200 OK\r\nContent-Length: 2\r\n\r\n{}", Reason::AuthFailed, "there is no access_token"),
        ("429 Slow\r\nContent-Length: 0\r\n\r\n", Reason::AuthUnavailable, "answered 429"),
        ("500 Oh\r\nContent-Length: 0\r\n\r\n", Reason::AuthUnavailable, "answered 500"),
        ("200 OK\r\nContent-Length: 9\r\n\r\n{", Reason::AuthUnavailable, "closed the connection"),
    ] {
        let server = Receiver::answering(format!("HTTP/1.1 {answer}")).await;
        let outcome = send(&client(), &mut Line::new(), &oauth2(&server, &receiver.url("/"))).await;
        assert_failed(&outcome, reason, words);
        assert!(outcome.detail.starts_with(&format!("the token server {}: ", server.address)), "{outcome:?}");
        assert_eq!(outcome.request_headers, "");
    }
    let long = vec![b' '; crate::limits::TOKEN_ANSWER_BYTES + 1];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", long.len());
    let server = Receiver::answering([head.as_bytes(), &long].concat()).await;
    let outcome = send(&client(), &mut Line::new(), &oauth2(&server, &receiver.url("/"))).await;
    assert_failed(&outcome, Reason::AuthFailed, "more than a token");
    let silent = Receiver::new(|mut peer| async move { peer.until_gone().await }).await;
    let hasty = Destination { timeout: Duration::from_millis(100), ..oauth2(&silent, &receiver.url("/")) };
    let outcome = send(&client(), &mut Line::new(), &hasty).await;
    assert_failed(&outcome, Reason::TimedOut, "waiting for a token of the token server");
    assert_eq!(receiver.all_requests(), [""; 0]);
}

#[tokio::test]
async fn the_guard_judges_token_servers_too() {
    let server = token_server().await;
    let destination = oauth2(&server, "http://198.51.101.1/");
    let guarded = client_with(Guard::default(), Names::new(&[&["127.0.0.1"]]));
    let outcome = send(&guarded, &mut Line::new(), &destination).await;
    assert_failed(&outcome, Reason::AddressRefused, "the token server");
    let named = credentials(format!("http://inside.test:{}/", server.address.port()));
    let outcome = send(&guarded, &mut Line::new(), &with(&Auth::OAuth2(named), "http://198.51.101.1/")).await;
    assert_failed(&outcome, Reason::AddressRefused, "inside.test resolves to 127.0.0.1");
    assert_eq!(server.all_requests(), [""; 0]);
}

#[tokio::test]
async fn token_servers_are_reached_through_the_proxy() {
    let (server, receiver, proxy) = (token_server().await, Receiver::keeping(OK).await, proxy::http(None).await);
    let mut client = client();
    client.config.proxy = Some(Arc::new(Proxy {
        kind: ProxyKind::Http,
        host: String::from("proxy.test"),
        port: proxy.address.port(),
        credentials: None,
        resolves: false,
        except: vec![],
    }));
    assert_eq!(send(&client, &mut Line::new(), &oauth2(&server, &receiver.url("/"))).await.status, 200);
    let asked = proxy.all_requests();
    for (request, to) in asked.iter().zip([server.address, receiver.address]) {
        assert!(request.starts_with(&format!("CONNECT {to} HTTP/1.1\r\n")), "{asked:?}");
    }
    assert_eq!(asked.len(), 2);
}
