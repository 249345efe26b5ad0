//! Pages that jobs wrote, for a frame in the window: what the dashboard has from the port, through the local door. What
//! keeps such a page harmless comes along with it and is passed on; without that it is not shown.

use deskgrid_desktop::door::{Door, DoorError};
use percent_encoding::percent_decode_str;
use tauri::http::{Request, Response, StatusCode, header};
use tauri::{Manager, UriSchemeContext, UriSchemeResponder, Wry};

use crate::commands::{MOST_READ, Page};

/// The scheme of their addresses; the path is the one at the local door, encoded once more.
pub(crate) const SCHEME: &str = "preview";

/// Answers a frame.
#[allow(clippy::needless_pass_by_value, reason = "Tauri hands these over")]
pub(crate) fn serve(
    context: UriSchemeContext<'_, Wry>,
    request: Request<Vec<u8>>,
    responder: UriSchemeResponder,
) {
    let door = context.app_handle().state::<Page>().door.clone();
    let path =
        percent_decode_str(request.uri().path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
    tauri::async_runtime::spawn(async move {
        responder.respond(page(&door, &path).await.unwrap_or_else(|error| refusal(&error)));
    });
}

async fn page(door: &Door, path: &str) -> Result<Response<Vec<u8>>, DoorError> {
    let mut answer = door.preview(path).await?;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].clone();
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| DoorError::Broken(error.to_string()))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MOST_READ {
            return Err(DoorError::Broken("the page is too large to be shown here".to_owned()));
        }
    }
    let mut page = Response::new(bytes);
    page.headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(page)
}

fn refusal(error: &DoorError) -> Response<Vec<u8>> {
    let mut answer = Response::new(error.to_string().into_bytes());
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
