//! A proxy that takes CONNECT, asks for a name and a password, and notes what it was asked for.

use super::http::{find_header, parse_head};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy on a port of its own.
pub struct Proxy {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Asks for these; connects to whatever it is asked for, names being 127.0.0.1.
    pub fn new(user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let noted = Arc::clone(&asked);
        // It ends with the test's process: a thread that waits for connections costs nothing.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (expected, noted) = (expected.clone(), Arc::clone(&noted));
                // A connection's error is for the node to notice.
                std::thread::spawn(move || drop(serve(stream, &expected, &noted)));
            }
        });
        Self { addr, asked }
    }

    /// What it was asked to connect to, and that it did, so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, expected: &str, noted: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let (line, headers) = parse_head(&head[..head.len() - 4]).expect("a request");
    if find_header(&headers, "proxy-authorization") != Some(expected) {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    let goal = line.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1")).expect("CONNECT");
    noted.lock().unwrap().push(goal.to_owned());
    let (_, port) = goal.rsplit_once(':').expect("a port");
    let address = goal.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())));
    let Ok(to) = TcpStream::connect(address) else {
        return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (back_from, back_to) = (to.try_clone()?, stream.try_clone()?);
    let back = std::thread::spawn(move || copy(back_from, back_to));
    let _ended = copy(stream, to);
    drop(back.join());
    Ok(())
}

pub(super) fn copy(mut from: TcpStream, mut to: TcpStream) -> std::io::Result<()> {
    let ended = std::io::copy(&mut from, &mut to);
    drop(to.shutdown(Shutdown::Write));
    ended.map(|_| ())
}
