//! Async drivers behind calls that block.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A runtime of one thread for a driver's connections, so that a caller may block for them wherever it stands, on a thread
/// of the program's runtime too.
pub struct Driver {
    handle: Handle,
    /// `None` once it is dropped.
    runtime: Option<Runtime>,
}

impl Driver {
    /// Starts it; its thread is called so.
    ///
    /// # Errors
    /// The system's.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Runs something there.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
    }

    /// Runs something there, and blocks for it.
    ///
    /// # Errors
    /// In words, when it did not run to its end: it panicked, or the runtime is going down.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
        wait(self.spawn(work)).map_err(|error| error.to_string())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Waiting for it is forbidden where this may be dropped, and nothing is left to wait for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Blocks until the future is done. For futures whose work is done on a runtime of their own: this thread only waits, so
/// it may be one of another runtime.
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    // Without that, a task's share of its thread is used up some time, and what would give it a new one is not come to here.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_on_a_thread_of_a_runtime_however_often_and_is_dropped_there() {
        let driver = Driver::start("driver").unwrap();
        let own = Builder::new_current_thread().build().unwrap();
        own.block_on(async {
            for n in 0..1000 {
                assert_eq!(driver.run(async move { n }).unwrap(), n);
            }
            drop(driver);
        });
    }
}
