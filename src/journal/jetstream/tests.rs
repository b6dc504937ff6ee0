//! Against a real server, which `tests/services` starts.

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::journal::contract::{every_rule, group, read_all};
use crate::model::{Secret, UnixMs};
use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// A stream of this test alone, on the server that this run was given.
struct Bench {
    nats: NatsSettings,
    settings: JournalSettings,
    clock: Arc<dyn Clock>,
}

impl Bench {
    fn new() -> Self {
        let urls = std::env::var("TEST_NATS").unwrap_or_else(|_| {
            panic!("TEST_NATS is not set: `make test` starts the servers, or `tests/services <command>` does")
        });
        let stream = format!("TEST-{:016x}", SystemRandom::default().id());
        let settings = crate::config::Settings::defaults().journal;
        Self {
            nats: NatsSettings { urls: Secret::new(urls), replicas: 1, stream },
            settings,
            clock: Arc::new(SystemClock),
        }
    }

    fn open(&self) -> JetStreamJournal {
        JetStreamJournal::open(&self.nats, &self.settings, None, Arc::clone(&self.clock)).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let journal = self.open();
        let (context, name) = (journal.stream.context(), self.nats.stream.clone());
        journal.ask(async move { context.delete_stream(name).await.map_err(|error| error.to_string()) }).unwrap();
    }
}

/// Stands between a journal and its server, and can let what is connected fall silent, as a network does that is cut.
struct Relay {
    addr: SocketAddr,
    silence: watch::Sender<()>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, silence) = (listener.local_addr().unwrap(), watch::Sender::new(()));
        let silences = silence.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut falls_silent = silences.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        // Both stay open, and neither hears of the other again.
                        _ = falls_silent.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { addr, silence }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_fallen_silent_is_replaced() {
    let mut bench = Bench::new();
    let server = String::from_utf8(bench.nats.urls.expose().to_vec()).unwrap();
    let relay = Relay::to(server.trim_start_matches("nats://").parse().unwrap()).await;
    bench.nats.urls = Secret::new(format!("nats://{}", relay.addr));
    let journal = bench.open();
    let first = journal.append(group([1])).await.unwrap();
    relay.silence.send_replace(());
    let second = timeout(Duration::from_secs(60), journal.append(group([2]))).await;
    assert_eq!(second.expect("the silence is noticed").unwrap(), first.next());
}

/// What is erased reads so, and what writers became it by.
fn is_mark(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::Erased)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_every_rule() {
    let bench = Bench::new();
    every_rule(&|| Arc::new(bench.open())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_memory_is_fetched_over_gaps() {
    let bench = Bench::new();
    let journal = bench.open();
    let first = journal.append(group(1..=2500)).await.unwrap();
    drop(journal);
    let journal = bench.open();
    let odd = &mut |position: Position, _: &Entry<'_>| ControlFlow::Continue((position.0 - first.0) % 100 >= 3);
    let erased = journal.erase((first, first.plus(2499)), odd).unwrap();
    assert_eq!(erased, 2425);
    let left = read_all(&journal, 500).unwrap();
    let expected: Vec<_> = (0..2500).filter(|n| n % 100 < 3).map(|n| n + 1).collect();
    assert_eq!(left.into_values().collect::<Vec<_>>(), expected);
    let chunk = journal.read(first.plus(2498), 1000).unwrap();
    let (at, entry) = chunk.entries().next().unwrap().unwrap();
    assert!(at == first.plus(2498) && is_mark(&entry), "an erased entry keeps its position");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_stops_the_first() {
    let bench = Bench::new();
    let first = bench.open();
    first.append(group([1])).await.unwrap();
    let second = bench.open();
    second.append(group([2])).await.unwrap();
    let late = first.append(group([3])).await;
    assert!(matches!(late, Err(AppendError::Failing(_) | AppendError::Closed)), "{late:?}");
    first.lost().cancelled().await;
    assert_eq!(first.accepting(), Err(AppendError::Closed));
    second.append(group([4])).await.unwrap();
    assert_eq!(read_all(&second, 1 << 20).unwrap().into_values().collect::<Vec<_>>(), [1, 2, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_there_once() {
    let bench = Bench::new();
    let journal = bench.open();
    let last = *journal.durable().borrow();
    let (entries, stream) = (vec![group([7]).into_bytes(), group([8]).into_bytes()], journal.stream.clone());
    // As the writer does, but the answer is thrown away; then the same commit again, by the same name.
    let published = journal.ask(async move {
        let first = stream.publish(&entries, last, "lost").await.map_err(|error| format!("{error:?}"))?;
        let again = stream.publish(&entries, last, "lost").await;
        let there = stream.next(last.next()).await?.and_then(|kept| kept.commit);
        Ok((first, matches!(again, Err(Unpublished::WrongEnd)), there))
    });
    assert_eq!(published.unwrap(), (last.next(), true, Some(String::from("lost"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_when_everybody_has_let_go_of_it() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let mut bench = Bench::new();
    bench.clock = Arc::<ManualClock>::clone(&clock);
    let journal = bench.open();
    let first = journal.append(group(1..=10)).await.unwrap();
    clock.set(UnixMs(clock.now().0 + bench.settings.max_age.as_millis() as i64 + 60_000));
    while journal.outgrown() <= first.plus(9) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read_all(&journal, 1000).unwrap().len(), 10, "nobody has let go of anything");
    Holder::ALL.into_iter().for_each(|holder| journal.release(holder, first.plus(4)));
    while journal.oldest() < first.plus(4) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let gone = journal.read(first, 1000);
    assert!(matches!(gone, Err(ReadError::Gone { oldest, .. }) if oldest == first.plus(4)), "{gone:?}");
    assert_eq!(read_all(&journal, 1000).unwrap().into_values().collect::<Vec<_>>(), (5..=10).collect::<Vec<_>>());
}
