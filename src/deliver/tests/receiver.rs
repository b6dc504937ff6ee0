//! A receiver of a few lines: it accepts, reads whole requests, and does as its script says.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    /// Every request, whole, with the number of its connection.
    pub(super) requests: Arc<Mutex<Vec<(usize, String)>>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection as a script sees it.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    pub(super) number: usize,
    requests: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Peer {
    /// Reads one request; false when the client has closed.
    pub(super) async fn read(&mut self) -> bool {
        let request = read_request(&mut self.stream).await;
        let came = request.is_some();
        self.requests.lock().unwrap().extend(request.map(|text| (self.number, text)));
        came
    }

    /// What was read last.
    pub(super) fn said(&self) -> String {
        let requests = self.requests.lock().unwrap();
        requests.iter().rev().find(|(number, _)| *number == self.number).unwrap().1.clone()
    }

    /// Remembers this as something that was read.
    pub(super) fn note(&self, text: String) {
        self.requests.lock().unwrap().push((self.number, text));
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Waits until the client has gone.
    pub(super) async fn until_gone(&mut self) {
        while self.stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
    }
}

impl Receiver {
    /// Runs `script` for each connection.
    pub(super) async fn new<F: Future<Output = ()> + Send>(
        script: impl Fn(Peer) -> F + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(vec![]));
        let seen = requests.clone();
        let task = tokio::spawn(async move {
            let mut number = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let peer = Peer { stream, number, requests: seen.clone() };
                number += 1;
                let script = script.clone();
                tokio::spawn(async move { script(peer).await });
            }
        });
        Self { address, requests, task }
    }

    /// Reads a request, answers with these bytes and closes.
    pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::new(move |mut peer| {
            let answer = answer.clone();
            async move {
                if peer.read().await {
                    // The client may have had enough before all is written.
                    drop(peer.stream.write_all(&answer).await);
                }
            }
        })
        .await
    }

    /// Answers every request of a connection with these bytes.
    pub(super) async fn keeping(answer: &'static [u8]) -> Self {
        Self::new(move |mut peer| async move {
            while peer.read().await {
                peer.write(answer).await;
            }
        })
        .await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The numbers of the connections over which the requests came, in order.
    pub(super) fn connections(&self) -> Vec<usize> {
        self.requests.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }

    /// Every request so far, whole.
    pub(super) fn all_requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }

    pub(super) fn only_request(&self) -> String {
        let requests = self.requests.lock().unwrap();
        assert_eq!(requests.len(), 1);
        requests[0].1.clone()
    }
}

/// Reads one request by its Content-Length.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
