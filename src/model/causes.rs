//! Errors in one line, where a person reads them.

use std::error::Error;

/// The cause of an error that is expected to pass without anybody doing anything: something cannot be reached. What was asked
/// may be asked again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfReach(pub String);

/// Whether that is what an error comes from.
pub fn is_out_of_reach(error: &(dyn Error + 'static)) -> bool {
    error.is::<OutOfReach>() || error.source().is_some_and(is_out_of_reach)
}

/// An error and what caused it: "a: b: c".
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error(transparent)]
        Through(Box<Layer>),
        #[error("the server does not answer")]
        Server(#[source] OutOfReach),
        #[error("the disk fails")]
        Disk(#[source] std::io::Error),
    }

    #[test]
    fn what_is_out_of_reach_is_found_behind_whatever_wraps_it() {
        let away = Layer::Through(Box::new(Layer::Server(OutOfReach(String::from("connection refused")))));
        assert_eq!(with_causes(&away), "the server does not answer: connection refused");
        assert!(is_out_of_reach(&away));
        assert!(!is_out_of_reach(&Layer::Disk(std::io::Error::other("worn out"))));
    }
}
