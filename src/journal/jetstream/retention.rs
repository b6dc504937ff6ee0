//! What is deleted when: by age and size, and never before each holder has let go of it.

use super::Shared;
use super::stream::{Extent, Stream};
use crate::model::{Position, UnixMs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Looks after it until told to stop.
pub(super) async fn run(shared: Arc<Shared>, stream: Stream, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = look(&shared, &stream).await {
            tracing::warn!(error, "the journal's size cannot be looked at");
        }
    }
}

async fn look(shared: &Shared, stream: &Stream) -> Result<(), String> {
    let extent = stream.extent().await?;
    shared.disk_bytes.store(extent.bytes, Ordering::Relaxed);
    let by_size = outgrown_by_size(&extent, shared.settings.max_bytes);
    let cutoff = shared.clock.now().before(shared.settings.max_age);
    let outgrown = by_size.max(outgrown_by_age(stream, &extent, cutoff).await?);
    shared.outgrown.store(outgrown.0, Ordering::Relaxed);
    let released = shared.control().released.into_iter().min().unwrap_or(Position::ZERO);
    let before = outgrown.min(released);
    if before > extent.oldest {
        // Readers are told first: what is read afterwards is still there, or said to be gone.
        shared.oldest.store(before.0, Ordering::Relaxed);
        stream.purge(before).await?;
        shared.counters.retired.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%before, "deleted the oldest part of the journal");
    } else {
        shared.oldest.store(extent.oldest.0, Ordering::Relaxed);
    }
    Ok(())
}

/// Before where it has to end so that the rest takes no more than it may, as if all were of one size.
fn outgrown_by_size(extent: &Extent, max_bytes: u64) -> Position {
    let excess = extent.bytes.saturating_sub(max_bytes);
    if excess == 0 || extent.messages == 0 {
        return extent.oldest;
    }
    let span = u128::from((extent.last.0 + 1).saturating_sub(extent.oldest.0));
    Position(extent.oldest.0 + (span * u128::from(excess) / u128::from(extent.bytes)) as u64)
}

/// The first that is young enough, by halving what lies between the oldest and the newest.
async fn outgrown_by_age(stream: &Stream, extent: &Extent, cutoff: UnixMs) -> Result<Position, String> {
    let is_old = async |position: Position| -> Result<bool, String> {
        Ok(stream.next(position).await?.is_some_and(|kept| kept.at < cutoff))
    };
    if extent.messages == 0 || !is_old(extent.oldest).await? {
        return Ok(extent.oldest);
    }
    let (mut old, mut young) = (extent.oldest.0, extent.last.0 + 1);
    while young - old > 1 {
        let middle = old + (young - old) / 2;
        if is_old(Position(middle)).await? { old = middle } else { young = middle }
    }
    Ok(Position(young))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_size_as_much_goes_as_is_too_much() {
        let extent = |bytes| Extent { oldest: Position(101), last: Position(200), messages: 100, bytes };
        assert_eq!(outgrown_by_size(&extent(1000), 1000), Position(101));
        assert_eq!(outgrown_by_size(&extent(2000), 1000), Position(151));
        let empty = Extent { oldest: Position(1), last: Position(0), messages: 0, bytes: 0 };
        assert_eq!(outgrown_by_size(&empty, 0), Position(1));
    }
}
