//! Log lines. They go where the caller says (standard error, in the program), each with a level, a target and fields.
//!
//! Nothing secret reaches them: secrets live in [`crate::model::Secret`], whose `Debug` shows nothing, and request
//! bodies and headers are never logged at any level.

use crate::config::LogFormat;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// A subscriber that writes lines that pass `filter` (as [`EnvFilter`] reads it) to `writer`.
///
/// # Errors
/// The filter cannot be read.
pub fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<W>, tracing_subscriber::filter::ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(filter, format, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_objects_with_the_fields() {
        let text = logged("info", LogFormat::Json, || {
            tracing::info!(webhook = "wh_1", "switched on");
            tracing::debug!("not this one");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["webhook"]),
            (&"INFO".into(), &"switched on".into(), &"wh_1".into())
        );
    }

    #[test]
    fn a_secret_in_a_field_does_not_show() {
        let text = logged("trace", LogFormat::Text, || tracing::info!(secret = ?Secret::new("hunter2"), "made"));
        assert!(text.contains("made") && !text.contains("hunter2"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours were asked for");
    }
}
