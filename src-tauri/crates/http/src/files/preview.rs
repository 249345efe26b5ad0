//! How a page that a job wrote is shown inside ours: in a frame that has an origin of its own, which no other page and
//! no key of ours belongs to, and that reaches no network. Outside of such a frame the same file is a download.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

/// Styles, pictures and scripts out of the page itself, as plots need them, and nothing from elsewhere. Whether its
/// scripts run is for the frame to say, which the person is asked for. That the page does not leave its frame for
/// another address, and take something along, is for the policies of our own pages: they say what a frame may show.
const POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; \
                      style-src 'unsafe-inline' data: blob:; img-src data: blob:; font-src data: blob:; \
                      media-src data: blob:; worker-src blob:; connect-src 'none'; base-uri 'none'; \
                      form-action 'none'; webrtc 'block'; frame-ancestors 'self' tauri: http://tauri.localhost";

/// The download of a file, turned into a page that is shown where it is one and a frame of ours asks.
pub(crate) fn shown(mut answer: Response, asked: &HeaderMap) -> Response {
    if is_framed_by_us(asked) && is_page(&answer) {
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Elsewhere the same address is a download.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

fn is_page(answer: &Response) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Whether the one who asks is a frame in a page of ours. No page can say so in the name of another.
fn is_framed_by_us(headers: &HeaderMap) -> bool {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value == word);
    says("sec-fetch-dest", "iframe") && says("sec-fetch-site", "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(dest: &'static str, site: &'static str) -> HeaderMap {
        let pairs = [("sec-fetch-dest", dest), ("sec-fetch-site", site)];
        pairs
            .into_iter()
            .map(|(name, word)| (name.parse().unwrap(), HeaderValue::from_static(word)))
            .collect()
    }

    #[test]
    fn only_frames_of_our_own_pages_are_shown_it() {
        assert!(is_framed_by_us(&asked("iframe", "same-origin")));
        for (dest, site) in [("document", "same-origin"), ("iframe", "cross-site"), ("iframe", "none")] {
            assert!(!is_framed_by_us(&asked(dest, site)), "{dest} {site}");
        }
        assert!(!is_framed_by_us(&HeaderMap::new()));
    }

    #[test]
    fn a_page_is_shown_apart_from_all_others_and_anything_else_stays_a_download() {
        let answer = |kind| {
            let mut answer = Response::new(axum::body::Body::empty());
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            answer
        };
        let frame = asked("iframe", "same-origin");
        let page = shown(answer("text/html; charset=utf-8"), &frame);
        assert_eq!(page.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        assert!(POLICY.starts_with("sandbox allow-scripts;") && !POLICY.contains("allow-same-origin"));
        assert_eq!(shown(answer("text/csv"), &frame).headers().len(), 1);
        assert_eq!(shown(answer("text/html"), &asked("document", "none")).headers().len(), 1);
    }
}
