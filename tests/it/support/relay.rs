//! What stands between one node and a server, so that this node's way there can be cut.

use super::backend::{NATS, server};
use super::proxy::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A way to the NATS server that tests are given.
pub struct Relay {
    addr: SocketAddr,
    /// What goes through it; `None` when it is cut.
    through: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Relay {
    /// One that is open.
    #[track_caller]
    pub fn to_nats() -> Self {
        let to: SocketAddr = server(NATS).trim_start_matches("nats://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, through) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Some(Vec::new()))));
        let open = Arc::clone(&through);
        // It ends with the test's process: a thread that waits for connections costs nothing.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(through) = &mut *open.lock().unwrap() else { continue };
                let server = TcpStream::connect(to).expect("the server is there");
                for (from, to) in [(&stream, &server), (&server, &stream)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || drop(copy(from, to)));
                }
                through.extend([stream, server]);
            }
        });
        Self { addr, through }
    }

    /// The server's URL by this way.
    pub fn url(&self) -> String {
        format!("nats://{}", self.addr)
    }

    /// Nothing goes through it any more.
    pub fn cut(&self) {
        for stream in self.through.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
