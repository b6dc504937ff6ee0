//! The browser agent's scripts, as pages load them (docs/agent.md): where the program was built with it.

use super::console::{bytes, takes_gzip};
use axum::Router;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `npm run build` has made. There may be nothing: the program can be built without Node.
#[derive(RustEmbed)]
#[folder = "agent/dist/script/"]
#[allow_missing = true]
struct Built;

/// Below this pages find them, by their names in what was built: neither ever changes.
const PATH: &str = "/agent";

/// The agent, which snippets load, and what it loads itself when there is a guide to show.
const SCRIPTS: [&str; 2] = ["fanfare.js", "guides.js"];

/// How long browsers use it without asking whether there is another: a new version is everywhere within minutes. While
/// they ask, and when they get no answer, pages have the one they know.
const KEEP: &str = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800";

/// What is said in its place.
const WITHOUT: &str = "This program was built without the browser agent. `make build` puts it in.\n";

/// One of the files, by its name in what was built.
type Files = fn(&str) -> Option<EmbeddedFile>;

/// The routes of the scripts.
pub fn router() -> Router {
    routes(Built::get)
}

fn routes(files: Files) -> Router {
    let route = |router: Router<Files>, name: &'static str| {
        let answer = async move |State(files): State<Files>, asked: HeaderMap| script(files, name, &asked);
        router.route(&format!("{PATH}/{name}"), get(answer))
    };
    SCRIPTS.into_iter().fold(Router::new(), route).with_state(files)
}

fn script(files: Files, name: &str, asked: &HeaderMap) -> Response {
    let Some(plain) = files(name) else { return (StatusCode::NOT_FOUND, WITHOUT).into_response() };
    let compressed = takes_gzip(asked).then(|| files(&format!("{name}.gz"))).flatten();
    let encoding = compressed.is_some().then_some((header::CONTENT_ENCODING, "gzip"));
    let file = compressed.unwrap_or(plain);
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, KEEP),
        (header::VARY, "accept-encoding"),
        // It is public: a page may load it with `crossorigin`, and one that lets only such things in may load it, too.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        (header::ETAG, tag.as_str()),
    ];
    if knows(asked, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, AppendHeaders(encoding), bytes(file.data)).into_response()
}

/// Whether the browser has the file with this tag. A proxy that has compressed it calls the tag weak.
fn knows(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).iter().map(HeaderValue::to_str);
    values.flatten().flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use rust_embed::Metadata;

    fn some(name: &str) -> Option<EmbeddedFile> {
        let (data, digest): (&[u8], u8) = match name {
            "fanfare.js" => (b"let fanfare;", 1),
            "fanfare.js.gz" => (b"pressed", 2),
            _ => return None,
        };
        let metadata = Metadata::__rust_embed_new([digest; 32], None, None);
        Some(EmbeddedFile { data: data.into(), metadata })
    }

    async fn ask(files: Files, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let request = headers
            .iter()
            .fold(Request::get("/agent/fanfare.js"), |request, (name, value)| request.header(*name, *value));
        let service = TowerToHyperService::new(routes(files));
        let (parts, body) = service.call(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_script_is_kept_for_minutes_and_asked_for_by_its_tag() {
        let (status, headers, body) = ask(some, &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "let fanfare;"));
        let (_, pressed, body) = ask(some, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!((&pressed["content-encoding"], body.as_str()), (&HeaderValue::from_static("gzip"), "pressed"));
        assert_eq!(
            (&headers["vary"], &headers["access-control-allow-origin"]),
            (&pressed["vary"], &pressed["access-control-allow-origin"])
        );
        assert!(headers["cache-control"].to_str().unwrap().contains("max-age=300"));
        assert_ne!(headers["etag"], pressed["etag"], "each form has its own");
        let tag = headers["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let (status, headers, body) = ask(some, &[("if-none-match", &known)]).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
            assert_eq!(headers["etag"], tag);
        }
        assert_eq!(ask(some, &[("if-none-match", "\"older\"")]).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn without_it_the_answer_says_so() {
        let (status, _, body) = ask(|_| None, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains("make build"), "{body}");
    }
}
