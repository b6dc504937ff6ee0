//! Over real sockets: signed requests in, lines and statuses out.

use super::*;
use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn options(arguments: &[&str]) -> Options {
    let matches = command().try_get_matches_from([&["listen"], arguments].concat()).unwrap();
    Options::of(&matches).unwrap().1
}

fn body(unique_id: &str) -> String {
    format!(r#"{{"accountId":"a","event":"guideDisplayed","visitorId":"v","uniqueId":"{unique_id}"}}"#)
}

fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, body.as_bytes()))
}

/// Sends the bodies one after the other, each with a signature by `secret`; gives the statuses, the screen, the totals.
async fn received(arguments: &[&str], secret: &str, bodies: &[String]) -> (Vec<u16>, String, Summary) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let screen = Screen::default();
    let receiver = Receiver::new(options(arguments), Box::new(screen.clone()));
    let finished = receiver.finished.clone();
    let task = tokio::spawn(receive(listener, receiver));
    let mut statuses = Vec::new();
    for body in bodies {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (length, signature) = (body.len(), signature(secret, body));
        let request = format!(
            "POST /hook?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\nX-Pendo-Signature: {signature}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        statuses.push(response[9..12].parse().unwrap());
    }
    if !arguments.contains(&"--count") {
        finished.cancel();
    }
    let summary = tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends by itself").unwrap();
    (statuses, screen.text(), summary)
}

#[tokio::test]
async fn genuine_and_forged_events_are_told_apart() {
    let (statuses, screen, summary) = received(&["--secret", "s"], "s", &[body("1"), body("2")]).await;
    assert_eq!((statuses, summary.verified, summary.invalid), (vec![200, 200], 2, 0));
    assert_eq!(screen.matches("verified ✓").count(), 2, "{screen}");

    let (_, screen, summary) = received(&["--secret", "other"], "s", &[body("1")]).await;
    assert_eq!((summary.verified, summary.invalid), (0, 1));
    assert!(screen.contains("✗ X-Pendo-Signature does not match"), "{screen}");
}

#[tokio::test]
async fn the_first_attempts_of_each_event_can_fail() {
    let bodies = [body("1"), body("1"), body("2"), body("1"), body("2"), body("2")];
    let (statuses, screen, summary) = received(&["--fail-first", "2", "--status", "503"], "s", &bodies).await;
    assert_eq!(statuses, [503, 503, 503, 200, 503, 200]);
    assert_eq!((summary.requests, summary.delivered, summary.repeats), (6, 2, 4));
    assert!(screen.contains("repeat, seen 3 times"), "{screen}");
}

#[tokio::test]
async fn it_ends_after_so_many_different_events() {
    let bodies = [body("1"), body("1"), body("2")];
    let (statuses, _, summary) = received(&["--count", "2"], "s", &bodies).await;
    assert_eq!((statuses, summary.delivered), (vec![200, 200, 200], 2));
    assert_eq!(summary.line(), "3 requests, 2 events taken, 1 repeats, 0 verified, 0 not genuine");
}

#[tokio::test]
async fn what_is_not_json_is_shown_too() {
    let (statuses, screen, _) = received(&["--status", "410", "--body"], "s", &["<xml>".to_owned()]).await;
    assert_eq!(statuses, [410]);
    assert!(screen.contains("answered 410") && screen.contains("    <xml>\n"), "{screen}");
}

#[test]
fn the_memory_of_ids_is_bounded() {
    let mut seen = Seen::default();
    for id in 0..=SEEN {
        seen.sighting(id.to_string());
    }
    assert_eq!((seen.ids.len(), seen.order.len()), (SEEN, SEEN));
    assert_eq!(seen.sighting("0".to_owned()), (1, false), "the oldest was forgotten");
    assert_eq!(seen.sighting(SEEN.to_string()).0, 2);
}

#[test]
fn the_address_is_given_by_port_or_whole() {
    let address = |arguments: &[&str]| {
        let matches = command().try_get_matches_from([&["listen"], arguments].concat()).unwrap();
        Options::of(&matches).map(|(address, _)| address.to_string())
    };
    assert_eq!(address(&[]).unwrap(), "127.0.0.1:9000");
    assert_eq!(address(&["--port", "9100"]).unwrap(), "127.0.0.1:9100");
    assert_eq!(address(&["--listen", "0.0.0.0:1"]).unwrap(), "0.0.0.0:1");
    assert!(address(&["--listen", "9000"]).is_err());
}
