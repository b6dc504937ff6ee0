//! Through a proxy: what it is asked for, what the receiver sees, and what the guard still refuses.

use super::receiver::Receiver;
use super::*;
use crate::model::Secret;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const BOTH: [ProxyKind; 2] = [ProxyKind::Http, ProxyKind::Socks5];

async fn started(kind: ProxyKind, credentials: proxy::Credentials) -> Receiver {
    match kind {
        ProxyKind::Http => proxy::http(credentials).await,
        ProxyKind::Socks5 => proxy::socks(credentials).await,
    }
}

fn at(receiver: &Receiver, kind: ProxyKind) -> Proxy {
    let (host, port) = (receiver.address.ip().to_string(), receiver.address.port());
    Proxy { kind, host, port, credentials: None, resolves: false, except: vec![] }
}

fn through(mut client: Client, proxy: Proxy) -> Client {
    client.config.proxy = Some(Arc::new(proxy));
    client
}

#[tokio::test]
async fn the_proxy_is_given_the_judged_address_and_the_receiver_the_name() {
    for kind in BOTH {
        let (receiver, proxy) = (Receiver::keeping(OK).await, started(kind, None).await);
        let (client, mut line) = (through(client(), at(&proxy, kind)), Line::new());
        let port = receiver.address.port();
        for _ in 0..2 {
            let outcome = send(&client, &mut line, &destination(&format!("http://hook.test:{port}/a?b"))).await;
            assert_eq!(outcome.status, 200, "{outcome:?}");
        }
        let asked = proxy.only_request();
        match kind {
            ProxyKind::Http => {
                assert_eq!(asked, format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"));
            }
            ProxyKind::Socks5 => assert_eq!(asked, format!("127.0.0.1:{port}")),
        }
        let requests = receiver.all_requests();
        assert!(
            requests.len() == 2
                && requests[0].starts_with(&format!("POST /a?b HTTP/1.1\r\nHost: hook.test:{port}\r\n"))
        );
        assert!(!requests[0].contains("Proxy-"), "{requests:?}");
    }
}

#[tokio::test]
async fn tls_is_with_the_receiver_and_under_its_name() {
    let authority = secure::authority("ours");
    for kind in BOTH {
        let receiver = secure::serving(secure::server(&authority, "good.test", (2020, 2030))).await;
        let proxy = started(kind, None).await;
        let client = through(secure::trusting(&authority), at(&proxy, kind));
        let url = |name: &str| format!("https://{name}:{}/", receiver.address.port());
        let outcome = send(&client, &mut Line::new(), &destination(&url("good.test"))).await;
        assert_eq!(outcome.status, 200, "{outcome:?}");
        let timings = outcome.timings;
        assert!(timings.dns_us <= timings.connect_us && timings.connect_us <= timings.tls_us, "{timings:?}");
        let outcome = send(&client, &mut Line::new(), &destination(&url("other.test"))).await;
        assert_failed(&outcome, Reason::CertificateInvalid, "is not for other.test");
    }
}

#[tokio::test]
async fn a_proxy_that_asks_is_told_who_we_are() {
    for kind in BOTH {
        let (receiver, proxy) = (Receiver::keeping(OK).await, started(kind, Some(("ada", "s3cret"))).await);
        let with = |password: Option<&str>| {
            let credentials = password.map(|password| (String::from("ada"), Secret::new(password)));
            through(client(), Proxy { credentials, ..at(&proxy, kind) })
        };
        let destination = destination(&receiver.url("/"));
        let outcome = send(&with(Some("s3cret")), &mut Line::new(), &destination).await;
        assert_eq!(outcome.status, 200, "{outcome:?}");
        for password in [None, Some("s3cre")] {
            let outcome = send(&with(password), &mut Line::new(), &destination).await;
            assert_failed(&outcome, Reason::ProxyFailed, &format!("the proxy {}", proxy.address));
            assert!(!format!("{outcome:?}").contains("s3cre"), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn the_guard_holds_although_the_proxy_could_reach_it() {
    let receiver = Receiver::keeping(OK).await;
    for kind in BOTH {
        let proxy = started(kind, None).await;
        let guarded = |resolves| {
            let client = client_with(Guard::default(), Names::new(&[&["198.51.101.1", "127.0.0.1"]]));
            through(client, Proxy { resolves, ..at(&proxy, kind) })
        };
        let port = receiver.address.port();
        let refused = async |resolves, host: &str| {
            let outcome =
                send(&guarded(resolves), &mut Line::new(), &destination(&format!("http://{host}:{port}/"))).await;
            assert_failed(&outcome, Reason::AddressRefused, "127.0.0.1 is a loopback address");
        };
        refused(false, "127.0.0.1").await;
        refused(false, "inside.test").await;
        // Where the proxy resolves, what is an address by itself is judged all the same, also in an odd form.
        refused(true, "127.0.0.1").await;
        refused(true, "127.1").await;
        assert_eq!(proxy.all_requests(), [""; 0]);
    }
}

#[tokio::test]
async fn a_proxy_that_resolves_is_given_the_name() {
    for kind in BOTH {
        let (receiver, proxy) = (Receiver::keeping(OK).await, started(kind, None).await);
        let client = client_with(Guard::default(), Names::new(&[&["127.0.0.1"]]));
        let client = through(client, Proxy { resolves: true, ..at(&proxy, kind) });
        let port = receiver.address.port();
        let outcome = send(&client, &mut Line::new(), &destination(&format!("http://missing.test:{port}/"))).await;
        assert_eq!((outcome.status, outcome.timings.dns_us), (200, None), "{outcome:?}");
        assert!(proxy.only_request().contains(&format!("missing.test:{port}")));
    }
}

#[tokio::test]
async fn excepted_networks_are_reached_without_it() {
    let (receiver, proxy) = (Receiver::keeping(OK).await, proxy::http(None).await);
    let except = vec!["127.0.0.0/8".parse().unwrap()];
    let proxied = Proxy { except, ..at(&proxy, ProxyKind::Http) };
    let destination = destination(&format!("http://hook.test:{}/", receiver.address.port()));
    assert_eq!(send(&through(client(), proxied.clone()), &mut Line::new(), &destination).await.status, 200);
    assert_eq!(proxy.all_requests(), [""; 0]);
    // A name with an address elsewhere is not all in them.
    let both = client_with(Guard::new(true, vec![]), Names::new(&[&["127.0.0.1", "198.51.101.1"]]));
    assert_eq!(send(&through(both, proxied), &mut Line::new(), &destination).await.status, 200);
    assert_eq!(proxy.all_requests().len(), 1);
}

#[tokio::test]
async fn what_a_proxy_can_answer_instead() {
    for (answer, reason, words) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\nno", Reason::ProxyFailed, "it answered 403 to CONNECT 127.0.0.1:9"),
        ("HTTP/1.1 407 No\r\n\r\n", Reason::ProxyFailed, "asks for a user name and a password"),
        ("HTTP/1.1 504 Late\r\n\r\n", Reason::ConnectFailed, "it cannot reach 127.0.0.1:9 (it answered 504)"),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", Reason::ProxyFailed, "it sent more than an answer"),
        ("SSH-2.0-OpenSSH\r\n\r\n", Reason::ProxyFailed, "its answer is not HTTP"),
        ("HTTP/1.1 200", Reason::ProxyFailed, "it closed the connection"),
    ] {
        let proxy = Receiver::answering(answer).await;
        let client = through(client(), at(&proxy, ProxyKind::Http));
        let outcome = send(&client, &mut Line::new(), &destination("http://127.0.0.1:9/")).await;
        assert_failed(&outcome, reason, words);
    }
    for (reply, reason, words) in [
        (2, Reason::ProxyFailed, "it does not allow connections to 127.0.0.1:9"),
        (4, Reason::ConnectFailed, "it cannot reach 127.0.0.1:9"),
        (5, Reason::ConnectionRefused, "nothing accepts connections at 127.0.0.1:9"),
        (1, Reason::ProxyFailed, "SOCKS5 reply 1"),
    ] {
        let proxy = Receiver::new(move |mut peer| async move {
            peer.write(&[5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
            peer.until_gone().await;
        })
        .await;
        let client = through(client(), at(&proxy, ProxyKind::Socks5));
        let outcome = send(&client, &mut Line::new(), &destination("http://127.0.0.1:9/")).await;
        assert_failed(&outcome, reason, words);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_says_nothing() {
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = Receiver::new(|mut peer| async move { peer.until_gone().await }).await;
    for kind in BOTH {
        let nowhere = Proxy { port: gone, ..at(&silent, kind) };
        let outcome = send(&through(client(), nowhere), &mut Line::new(), &destination("http://hook.test/")).await;
        assert_failed(&outcome, Reason::ProxyFailed, "refused");
        let unknown = Proxy { host: String::from("missing.test"), ..at(&silent, kind) };
        let outcome = send(&through(client(), unknown), &mut Line::new(), &destination("http://hook.test/")).await;
        assert_failed(&outcome, Reason::ProxyFailed, "Name or service not known");
        let client = through(client(), at(&silent, kind));
        let outcome = send(&client, &mut Line::new(), &within(100, "http://hook.test/")).await;
        assert_failed(&outcome, Reason::TimedOut, "opening the TCP connection");
    }
}
