//! What follows from an attempt: done, again, or failed for good (docs/delivery.md, "Outcomes").

use crate::clock::Random;
use crate::deliver::Outcome;
use crate::model::{Reason, UnixMs, Verdict};
use std::time::Duration;

/// The rules of one installation.
#[derive(Debug, Clone)]
pub struct RetryRules {
    /// The delay before each retry; their number is the number of retries.
    pub delays: Vec<Duration>,
    /// Each delay is lengthened or shortened by up to this fraction.
    pub jitter: f64,
    /// Whether no answer is retried like an error of the receiver.
    pub retry_no_answer: bool,
}

impl RetryRules {
    /// What follows from `outcome`, the `attempt`th of its delivery (from 1), which ended at `now`.
    pub fn decide(&self, outcome: &Outcome, attempt: u8, now: UnixMs, random: &dyn Random) -> Verdict {
        let again = match outcome.reason {
            Reason::Accepted => return Verdict::Delivered,
            Reason::TooManyRequests | Reason::ServerError => true,
            Reason::Redirected
            | Reason::Refused
            | Reason::UnexpectedStatus
            | Reason::AddressRefused
            | Reason::CannotSend
            | Reason::AuthFailed => false,
            Reason::DnsFailed
            | Reason::ConnectionRefused
            | Reason::ConnectFailed
            | Reason::CertificateInvalid
            | Reason::TlsFailed
            | Reason::ConnectionClosed
            | Reason::BrokenResponse
            | Reason::TimedOut
            | Reason::AuthUnavailable
            | Reason::ProxyFailed => self.retry_no_answer,
        };
        let delay = self.delays.get(usize::from(attempt).saturating_sub(1));
        match delay {
            Some(delay) if again => Verdict::Retry { due: now.after(self.delay(*delay, outcome.retry_after, random)) },
            _ => Verdict::Failed,
        }
    }

    /// A receiver's Retry-After can only lengthen a delay.
    fn delay(&self, base: Duration, retry_after: Option<Duration>, random: &dyn Random) -> Duration {
        let factor = 1.0 + self.jitter * (2.0 * random.fraction() - 1.0);
        base.mul_f64(factor.max(0.0)).max(retry_after.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;

    fn rules() -> RetryRules {
        let seconds = [1, 5, 30, 120, 600];
        RetryRules { delays: seconds.map(Duration::from_secs).to_vec(), jitter: 0.2, retry_no_answer: true }
    }

    fn outcome(reason: Reason, retry_after: Option<u64>) -> Outcome {
        Outcome { retry_after: retry_after.map(Duration::from_secs), ..Outcome::unsent(reason, "") }
    }

    #[test]
    fn six_attempts_at_most_with_the_delays_of_the_docs() {
        let random = SeededRandom::new(1);
        for (attempt, base_ms) in [(1, 1_000), (2, 5_000), (3, 30_000), (4, 120_000), (5, 600_000)] {
            for _ in 0..100 {
                let verdict = rules().decide(&outcome(Reason::ServerError, None), attempt, UnixMs(0), &random);
                let Verdict::Retry { due } = verdict else { panic!("{attempt}: {verdict:?}") };
                assert!((base_ms * 8 / 10..=base_ms * 12 / 10).contains(&due.0), "{attempt}: {due:?}");
            }
        }
        assert_eq!(rules().decide(&outcome(Reason::ServerError, None), 6, UnixMs(0), &random), Verdict::Failed);
    }

    #[test]
    fn retry_after_lengthens_and_never_shortens() {
        let random = SeededRandom::new(1);
        let longer = rules().decide(&outcome(Reason::TooManyRequests, Some(60)), 1, UnixMs(0), &random);
        assert_eq!(longer, Verdict::Retry { due: UnixMs(60_000) });
        let shorter = rules().decide(&outcome(Reason::TooManyRequests, Some(1)), 3, UnixMs(0), &random);
        assert!(matches!(shorter, Verdict::Retry { due } if due.0 >= 24_000));
    }

    #[test]
    fn each_reason_has_its_verdict() {
        let random = SeededRandom::new(1);
        let verdict = |rules: &RetryRules, reason| rules.decide(&outcome(reason, None), 1, UnixMs(0), &random);
        let letter = RetryRules { retry_no_answer: false, ..rules() };
        assert_eq!(verdict(&rules(), Reason::Accepted), Verdict::Delivered);
        for reason in [Reason::TooManyRequests, Reason::ServerError] {
            assert!(matches!(verdict(&letter, reason), Verdict::Retry { .. }), "{reason:?}");
        }
        for reason in [
            Reason::DnsFailed,
            Reason::ConnectionRefused,
            Reason::ConnectFailed,
            Reason::CertificateInvalid,
            Reason::TlsFailed,
            Reason::ConnectionClosed,
            Reason::BrokenResponse,
            Reason::TimedOut,
            Reason::AuthUnavailable,
            Reason::ProxyFailed,
        ] {
            assert!(matches!(verdict(&rules(), reason), Verdict::Retry { .. }), "{reason:?}");
            assert_eq!(verdict(&letter, reason), Verdict::Failed, "{reason:?}");
        }
        for reason in [
            Reason::Redirected,
            Reason::Refused,
            Reason::UnexpectedStatus,
            Reason::AddressRefused,
            Reason::CannotSend,
            Reason::AuthFailed,
        ] {
            assert_eq!(verdict(&rules(), reason), Verdict::Failed, "{reason:?}");
        }
    }
}
