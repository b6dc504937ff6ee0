//! Waiting for async drivers from calls that block.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

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
    use tokio::runtime::Builder;

    #[test]
    fn it_ends_on_a_thread_of_a_runtime_however_often() {
        let driver = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let own = Builder::new_current_thread().build().unwrap();
        own.block_on(async {
            for n in 0..1000 {
                assert_eq!(wait(driver.spawn(async move { n })).unwrap(), n);
            }
        });
    }
}
