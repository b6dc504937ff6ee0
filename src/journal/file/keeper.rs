//! The keeper thread: makes the next segment's file ahead of need, seals full segments, retires old ones. So the
//! writer never waits for any of it, and a full disk is noticed while there is still room.

use super::control::{Control, Shared, Spare, SpareSlot, refusal_of};
use super::{lock, retention, segment};
use crate::clock::{Random, SystemRandom};
use crate::model::Position;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often retention looks at the segments when none is sealed meanwhile.
const RETENTION_PAUSE: Duration = Duration::from_secs(10);

/// Pause after a segment's file was made but could not be begun.
const BEGIN_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Pauses between tries to make a segment's file: from the first to the last, doubling.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    random: SystemRandom,
    retry_pause: Duration,
    retry_at: Option<Instant>,
    retention_at: Instant,
}

enum Task {
    Stop,
    MakeSpare,
    Seal(Vec<u64>),
    Retire,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (random, retry_pause) = (SystemRandom::default(), RETRY_PAUSES[0]);
        Self { shared, random, retry_pause, retry_at: None, retention_at: Instant::now() + RETENTION_PAUSE }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        loop {
            match self.next_task() {
                Task::Stop => return,
                Task::MakeSpare => self.make_spare(),
                Task::Seal(ids) => self.seal(&ids),
                Task::Retire => self.retire(),
            }
        }
    }

    fn next_task(&mut self) -> Task {
        let shared = Arc::clone(&self.shared);
        let mut control = lock(&shared.control);
        loop {
            if self.retry_at.is_none() && matches!(control.spare, SpareSlot::Failed(_)) {
                self.retry_at = Some(Instant::now() + BEGIN_RETRY_PAUSE);
            }
            if let Some(task) = self.due(&mut control) {
                return task;
            }
            control = self.sleep(&shared, control);
        }
    }

    fn due(&self, control: &mut Control) -> Option<Task> {
        let now = Instant::now();
        let retry = self.retry_at.is_some_and(|at| at <= now);
        // What is full is sealed also when stopping; a file that nobody will need is not made then.
        if !control.full.is_empty() {
            Some(Task::Seal(std::mem::take(&mut control.full)))
        } else if control.keeper_stops {
            Some(Task::Stop)
        } else if matches!(control.spare, SpareSlot::Wanted) || retry {
            Some(Task::MakeSpare)
        } else if self.retention_at <= now {
            Some(Task::Retire)
        } else {
            None
        }
    }

    fn sleep<'a>(&self, shared: &'a Shared, control: MutexGuard<'a, Control>) -> MutexGuard<'a, Control> {
        let until = self.retry_at.map_or(self.retention_at, |at| at.min(self.retention_at));
        let pause = until.saturating_duration_since(Instant::now());
        shared.keeper.wait_timeout(control, pause).unwrap_or_else(PoisonError::into_inner).0
    }

    fn make_spare(&mut self) {
        let id = {
            let mut control = lock(&self.shared.control);
            control.next_id += 1;
            control.next_id - 1
        };
        let made = make_spare(&self.shared, id, self.random.id());
        let mut control = lock(&self.shared.control);
        match made {
            Ok(spare) => {
                (self.retry_at, self.retry_pause) = (None, RETRY_PAUSES[0]);
                control.spare = SpareSlot::Ready(spare);
            }
            Err(error) => {
                self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, retry_in = ?self.retry_pause, "the journal's next segment cannot be made");
                control.spare = SpareSlot::Failed(refusal_of(&error));
                self.retry_at = Some(Instant::now() + self.retry_pause);
                self.retry_pause = (self.retry_pause * 2).min(RETRY_PAUSES[1]);
            }
        }
        drop(control);
        // The writer may wait for it, or have to say that there is none.
        self.shared.writer.notify_one();
    }

    fn seal(&mut self, ids: &[u64]) {
        for id in ids {
            if let Err(error) = self.shared.library.seal(*id) {
                // The footer only saves a scan at the next start.
                tracing::warn!(%error, segment = %format!("{id:016x}"), "a journal segment could not be sealed");
            }
        }
        self.retire();
    }

    fn retire(&mut self) {
        self.retention_at = Instant::now() + RETENTION_PAUSE;
        retire(&self.shared);
    }
}

/// Makes a segment's file and makes it durable, without a header.
pub(super) fn make_spare(shared: &Shared, id: u64, salt: u64) -> io::Result<Spare> {
    let path = segment::path(&shared.dir, id);
    let made = shared.disk.create(&path, shared.settings.segment_bytes).and_then(|file| {
        file.sync()?;
        shared.disk.sync_dir(&shared.dir)?;
        Ok(file)
    });
    match made {
        Ok(file) => Ok(Spare { id, salt, path, file }),
        Err(error) => {
            // Whatever is left of it holds nothing; the next start removes it if this does not.
            let _gone_or_not = shared.disk.remove(&path);
            Err(error)
        }
    }
}

/// Where what retention keeps begins, whoever still holds what lies before.
pub(super) fn outgrown(shared: &Shared) -> Position {
    shared.library.outgrown(&rules(shared, Position(u64::MAX)))
}

fn rules(shared: &Shared, released: Position) -> retention::Rules {
    let (now, settings) = (shared.clock.now(), &shared.settings);
    retention::Rules { now, max_age: settings.max_age, max_bytes: settings.max_bytes, released }
}

/// One round of retention.
pub(super) fn retire(shared: &Shared) {
    let released = lock(&shared.control).released.into_iter().min().unwrap_or_default();
    match shared.library.retire(&rules(shared, released)) {
        Ok(count) => {
            shared.counters.retired.fetch_add(count as u64, Ordering::Relaxed);
        }
        Err(error) => tracing::warn!(%error, "old journal segments could not be removed"),
    }
}
