//! Every answer, and every way to give none.

use super::*;
use crate::deliver::failure::Failure;
use crate::limits;
use crate::model::Phase;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn every_status_gets_its_reason() {
    for (status, reason) in [
        (200, Reason::Accepted),
        (202, Reason::Accepted),
        (301, Reason::Redirected),
        (307, Reason::Redirected),
        (400, Reason::Refused),
        (404, Reason::Refused),
        (408, Reason::Refused),
        (410, Reason::Refused),
        (429, Reason::TooManyRequests),
        (500, Reason::ServerError),
        (503, Reason::ServerError),
        (599, Reason::ServerError),
        (600, Reason::UnexpectedStatus),
    ] {
        let answer = format!(
            "HTTP/1.1 {status} x\r\nRetry-After: 9\r\nLocation: http://10.0.0.1/\r\nContent-Length: 2\r\n\r\nok"
        );
        let outcome = outcome_of(answer).await;
        assert_eq!((outcome.status, outcome.reason), (status, reason));
        let asked = matches!(status, 429 | 503).then_some(Duration::from_secs(9));
        assert_eq!(outcome.retry_after, asked, "{status}");
        assert_eq!((&outcome.response_body[..], outcome.response_cut), (&b"ok"[..], false));
        assert!(outcome.response_headers.contains("retry-after: 9\r\n"), "{}", outcome.response_headers);
        assert_eq!(outcome.detail, "");
    }
}

#[tokio::test]
async fn unusual_but_complete_answers_count() {
    for (answer, status, body) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
        ("HTTP/1.0 200\r\n\r\n", 200, ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            200,
            "x",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", 200, "abc"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz", 101, ""),
        ("HTTP/1.1 200 Connection established\r\nContent-Length: 3\r\n\r\nabcdefghij", 200, "abc"),
    ] {
        let receiver = Receiver::answering(answer).await;
        let mut line = Line::new();
        let outcome = send(&client(), &mut line, &destination(&receiver.url("/"))).await;
        assert_eq!((outcome.status, &outcome.response_body[..]), (status, body.as_bytes()), "{answer:?}: {outcome:?}");
        let again = Receiver::keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(send(&client(), &mut line, &destination(&again.url("/"))).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_a_response_is_broken() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let outcome = outcome_of(answer).await;
        assert_eq!((outcome.reason, outcome.status), (Reason::BrokenResponse, 0), "{answer:?}: {outcome:?}");
        assert_ne!(outcome.detail, "", "{answer:?}");
    }
    let many: String = (0..200).map(|n| format!("H{n}: x\r\n")).collect();
    assert_eq!(outcome_of(format!("HTTP/1.1 200 OK\r\n{many}\r\n")).await.reason, Reason::BrokenResponse);
    let long = "y".repeat(2 * limits::RESPONSE_HEAD_BYTES);
    assert_failed(&outcome_of(format!("HTTP/1.1 200 OK\r\nH: {long}\r\n\r\n")).await, Reason::BrokenResponse, "large");
}

#[tokio::test]
async fn a_close_before_the_end_is_no_answer() {
    for (answer, words) in [
        ("", "before it had answered"),
        ("HTTP/1.1 200 OK\r\nConten", "before it had answered"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "(status 200, 3 bytes of the body)"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "before the response's body was complete"),
    ] {
        assert_failed(&outcome_of(answer).await, Reason::ConnectionClosed, words);
    }
}

#[tokio::test]
async fn a_reset_is_no_answer() {
    let receiver = Receiver::new(|mut peer| async move {
        peer.read().await;
        // Closing with a linger of zero sends a reset.
        peer.stream.set_zero_linger().unwrap();
    })
    .await;
    let outcome = send(&client(), &mut Line::new(), &destination(&receiver.url("/"))).await;
    assert_failed(&outcome, Reason::ConnectionClosed, "reset the connection before it had answered");
    // On a fresh connection nothing is sent twice.
    assert_eq!(receiver.connections(), [0]);
}

#[tokio::test]
async fn a_hang_ends_at_the_deadline_and_is_told_at_the_quiet_time() {
    let receiver = Receiver::new(|mut peer| async move { peer.until_gone().await }).await;
    let (mut line, mut told) = (Line::new(), vec![]);
    let started = tokio::time::Instant::now();
    let mut call = || told.push(started.elapsed());
    let quiet = Quiet { after: Duration::from_millis(50), call: &mut call };
    let outcome = client().attempt(&mut line, &Arc::new(within(300, &receiver.url("/"))), &message("{}"), quiet).await;
    assert_failed(&outcome, Reason::TimedOut, "waiting for the response after 300ms");
    assert_eq!(outcome.timings.first_byte_us, None);
    assert!((300_000..5_000_000).contains(&outcome.timings.total_us), "{:?}", outcome.timings);
    assert!(
        told.len() == 1 && told[0] >= Duration::from_millis(50) && told[0] < Duration::from_millis(290),
        "{told:?}"
    );
    assert!(!line.is_open());
}

#[tokio::test]
async fn a_drip_is_cut_off_at_the_deadline_but_is_not_silence() {
    for (head, phase) in
        [(&b"HTTP/1.1 2"[..], Phase::FirstByte), (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", Phase::Body)]
    {
        let receiver = Receiver::new(move |mut peer| async move {
            peer.read().await;
            peer.write(head).await;
            while peer.stream.write_all(b"0").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let mut told = 0;
        let quiet = Quiet { after: Duration::from_millis(250), call: &mut || told += 1 };
        let outcome =
            client().attempt(&mut Line::new(), &Arc::new(within(400, &receiver.url("/"))), &message("{}"), quiet).await;
        assert_failed(&outcome, Reason::TimedOut, &Failure::timed_out(phase, Duration::from_millis(400)).detail);
        assert!(outcome.timings.first_byte_us.is_some());
        assert_eq!(told, 0);
    }
}

#[tokio::test]
async fn of_an_endless_body_only_the_start_is_read() {
    let receiver = Receiver::new(|mut peer| async move {
        peer.read().await;
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
        while peer.stream.write_all(&[b'g'; 65536]).await.is_ok() {}
    })
    .await;
    let mut line = Line::new();
    let outcome = send(&client(), &mut line, &destination(&receiver.url("/"))).await;
    assert_eq!((outcome.status, outcome.reason), (200, Reason::Accepted));
    assert_eq!(outcome.response_body, vec![b'g'; limits::RESPONSE_KEPT_BYTES]);
    assert!(outcome.response_cut && !line.is_open());
}

#[tokio::test]
async fn the_kept_part_of_a_body_is_exact() {
    for (length, cut) in [(limits::RESPONSE_KEPT_BYTES, false), (limits::RESPONSE_KEPT_BYTES + 1, true)] {
        let mut answer = format!("HTTP/1.1 500 x\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + length, 0xff);
        let outcome = outcome_of(answer).await;
        assert_eq!((outcome.response_body.len(), outcome.response_cut), (limits::RESPONSE_KEPT_BYTES, cut));
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = send(&client(), &mut Line::new(), &destination(&format!("http://{address}/"))).await;
    assert_failed(&outcome, Reason::ConnectionRefused, &address.to_string());
    assert_eq!((outcome.timings.dns_us, outcome.timings.connect_us), (None, None));
    assert!(outcome.request_headers.starts_with(&format!("Host: {address}\r\n")));
}

#[tokio::test]
async fn names_that_do_not_resolve() {
    let client = client();
    let missing = send(&client, &mut Line::new(), &destination("http://missing.test/")).await;
    assert_failed(&missing, Reason::DnsFailed, "missing.test: Name or service not known");
    let never = send(&client, &mut Line::new(), &within(50, "http://never.test/")).await;
    assert_failed(&never, Reason::TimedOut, "resolving the host's name after 50ms");
    let empty = client_with(Guard::default(), Names::new(&[&[]]));
    let outcome = send(&empty, &mut Line::new(), &destination("http://empty.test/")).await;
    assert_failed(&outcome, Reason::DnsFailed, "no address");
}

#[tokio::test]
async fn the_guard_refuses_what_a_name_or_an_odd_form_stands_for() {
    let receiver = Receiver::keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let port = receiver.address.port();
    let system = client_with(Guard::default(), Arc::new(SystemResolver::default()));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "127.1", "localhost", "0"] {
        let outcome = send(&system, &mut Line::new(), &destination(&format!("http://{host}:{port}/"))).await;
        assert_failed(&outcome, Reason::AddressRefused, " is a");
    }
    let mixed = client_with(Guard::default(), Names::new(&[&["1.1.1.1", "10.0.0.7"]]));
    let outcome = send(&mixed, &mut Line::new(), &destination("http://mixed.test/")).await;
    assert_failed(&outcome, Reason::AddressRefused, "mixed.test resolves to 10.0.0.7 is a private address");
    assert!(receiver.connections().is_empty());
}

#[tokio::test]
async fn a_name_that_is_bent_later_is_refused_when_connecting() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let bending = client_with(Guard::new(true, vec![]), Names::new(&[&["127.0.0.1"], &["169.254.169.254"]]));
    let destination = destination(&format!("http://bent.test:{}/", receiver.address.port()));
    let mut line = Line::new();
    let first = send(&bending, &mut line, &destination).await;
    assert_eq!(first.status, 200);
    assert!(first.timings.dns_us.is_some() && first.timings.dns_us <= first.timings.connect_us);
    until_closed(&mut line).await;
    assert_failed(&send(&bending, &mut line, &destination).await, Reason::AddressRefused, "metadata");
    assert_eq!(receiver.connections(), [0]);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_is_dead() {
    let receiver = Receiver::keeping(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let names = Names::new(&[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]);
    let client = client_with(Guard::new(true, vec![]), names);
    let url = format!("http://several.test:{}/", receiver.address.port());
    assert_eq!(send(&client, &mut Line::new(), &destination(&url)).await.status, 200);
    let dead = client_with(Guard::new(true, vec![]), Names::new(&[&["127.0.0.2", "127.0.0.3"]]));
    let outcome = send(&dead, &mut Line::new(), &destination(&url)).await;
    assert_failed(&outcome, Reason::ConnectionRefused, "127.0.0.2");
    assert!(outcome.detail.contains("127.0.0.3"), "{}", outcome.detail);
}
