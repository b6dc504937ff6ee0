//! How webhooks did, as charts show it.

use super::view::FigureStep;
use super::{RecordError, Records};
use crate::model::{UnixMs, WebhookId};
use crate::store::projection::{Figures, TOOK_BOUNDS_MS, TOOK_COUNTS};

/// The shares that are told of how long attempts took.
const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

impl Records {
    /// A webhook's figures between two times, in steps of so many minutes. Steps without an attempt are left out.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub fn figures(
        &self,
        webhook: WebhookId,
        span: (UnixMs, UnixMs),
        step_min: i64,
    ) -> Result<Vec<FigureStep>, RecordError> {
        Ok(self.projection.figures(webhook, span, step_min)?.into_iter().map(step).collect())
    }
}

fn step((at, figures): (UnixMs, Figures)) -> FigureStep {
    let Figures { delivered, failed, attempts, failed_attempts, took, waited_min } = figures;
    FigureStep {
        at,
        delivered,
        failed,
        attempts,
        failed_attempts,
        took_ms: SHARES.map(|share| quantile(&took, share)),
        waited_min,
    }
}

/// Below which time this share of the attempts lies, as if those between two bounds were spread evenly.
fn quantile(took: &[u64; TOOK_COUNTS], share: f64) -> f64 {
    let wanted = share * took.iter().sum::<u64>() as f64;
    let mut below = 0.0;
    for (index, count) in took.iter().map(|count| *count as f64).enumerate() {
        if count > 0.0 && below + count >= wanted {
            let bound = |index: usize| f64::from(TOOK_BOUNDS_MS[index.min(TOOK_BOUNDS_MS.len() - 1)]);
            let from = index.checked_sub(1).map_or(0.0, bound);
            return from + (bound(index) - from) * (wanted - below) / count;
        }
        below += count;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(counts: &[(usize, u64)]) -> [u64; TOOK_COUNTS] {
        let mut took = [0; TOOK_COUNTS];
        counts.iter().for_each(|(index, count)| took[*index] = *count);
        took
    }

    #[test]
    fn shares_lie_between_the_bounds_of_their_counts() {
        assert_eq!(quantile(&took(&[]), 0.5), 0.0);
        // All between 10 and 25 ms.
        assert_eq!(quantile(&took(&[(3, 100)]), 0.5), 17.5);
        // 90 up to 2 ms, 10 between 1 and 2.5 s.
        let mixed = took(&[(0, 90), (9, 10)]);
        assert!(quantile(&mixed, 0.5) < 2.0);
        assert_eq!(quantile(&mixed, 0.95), 1750.0);
        // What took longer than the last bound is told as that bound.
        assert_eq!(quantile(&took(&[(TOOK_COUNTS - 1, 7)]), 0.99), 10_000.0);
    }
}
