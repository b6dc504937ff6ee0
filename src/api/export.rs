//! Downloads: a list as one JSON array, read page by page while it is being sent, so that its length costs no memory.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use serde::Serialize;

/// Rows of a download of deliveries that are read at a time: each may have six attempts with 16 KiB of answer.
pub const ROWS: usize = 50;

/// Where a download stands.
enum At<Q> {
    /// The page that this query asks for comes next; whether rows were sent before it.
    Page(Q, bool),
    /// Only the closing bracket is left; whether rows were sent.
    Closing(bool),
    /// Everything was sent.
    Ended,
}

/// A download. `read` reads a query's page and says with which query to go on. A page may be empty and not the last.
///
/// When a page cannot be read the connection is broken off: a file that ends in the middle is no JSON, so nobody takes it
/// for whole.
pub fn download<Q, R, E, T, Reading>(
    file: &str,
    query: Q,
    read: impl Fn(Q) -> Reading + Send + 'static,
    show: impl Fn(R) -> T + Send + 'static,
) -> Response
where
    Q: Send + 'static,
    R: Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
    T: Serialize,
    Reading: Future<Output = Result<(Vec<R>, Option<Q>), E>> + Send,
{
    let parts = (read, show);
    let pages = stream::try_unfold((At::Page(query, false), parts), async |(mut at, parts)| {
        loop {
            at = match at {
                At::Page(query, began) => {
                    let (rows, next) = (parts.0)(query).await.inspect_err(|error| {
                        tracing::error!(%error, "a download was broken off");
                    })?;
                    let has_rows = !rows.is_empty();
                    let at = match next {
                        Some(query) => At::Page(query, began || has_rows),
                        None => At::Closing(began || has_rows),
                    };
                    if has_rows {
                        let text = page(rows.into_iter().map(&parts.1), !began);
                        return Ok(Some((Bytes::from(text), (at, parts))));
                    }
                    at
                }
                At::Closing(began) => {
                    let text = if began { "\n]\n" } else { "[]\n" };
                    return Ok(Some((Bytes::from(text), (At::Ended, parts))));
                }
                At::Ended => return Ok::<_, E>(None),
            };
        }
    });
    let disposition = format!("attachment; filename=\"{file}\"");
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_DISPOSITION, disposition.as_str())];
    (headers, Body::from_stream(pages)).into_response()
}

/// Rows as a part of an array, one a line.
fn page(rows: impl Iterator<Item = impl Serialize>, is_first: bool) -> String {
    let mut text = String::from(if is_first { "[" } else { "" });
    let mut separator = if is_first { "\n" } else { ",\n" };
    for row in rows {
        text.push_str(separator);
        // Rows are plain data with text for keys: they always become JSON.
        text.push_str(&serde_json::to_string(&row).unwrap_or_default());
        separator = ",\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use std::io;

    /// The numbers below `count`, three at a time, with an empty page before each; reading the page that starts at
    /// `broken` fails.
    async fn numbers(count: u64, broken: Option<u64>) -> Result<String, String> {
        let read = move |(from, is_full): (u64, bool)| async move {
            match broken {
                Some(at) if at == from => Err(io::Error::other("broken")),
                _ if !is_full => Ok((Vec::new(), Some((from, true)))),
                _ => Ok(((from..count.min(from + 3)).collect(), (from + 3 < count).then_some((from + 3, false)))),
            }
        };
        let response = download("numbers.json", (0, false), read, |number: u64| number);
        assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"numbers.json\"");
        let collected = response.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(collected.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn any_number_of_rows_is_one_array() {
        for count in [0, 1, 3, 4, 6, 100] {
            let text = numbers(count, None).await.unwrap();
            let array: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(array, (0..count).collect::<Value>(), "{text}");
        }
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_no_json() {
        assert!(numbers(100, Some(6)).await.is_err());
    }
}
