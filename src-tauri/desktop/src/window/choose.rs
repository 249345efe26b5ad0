//! Asks the person for a place on the disk, in the system's own dialogs. The page learns the path that was chosen and
//! gets no access by it.

use std::path::PathBuf;

use deskgrid_desktop::text;
use tauri::WebviewWindow;
use tauri_plugin_dialog::{DialogExt, FileDialogBuilder, FilePath};
use tokio::sync::oneshot;

/// A folder, with its path as text; none when the person thinks better of it.
#[tauri::command]
pub(crate) async fn pick_folder(window: WebviewWindow) -> Result<Option<String>, String> {
    let dialog = dialog(&window).set_title(text::CHOOSE_FOLDER);
    let Some(place) = answer(|told| dialog.pick_folder(told)).await? else { return Ok(None) };
    place.into_os_string().into_string().map(Some).map_err(|place| text::no_text(place.as_ref()))
}

/// A place for a file that is called `name` unless the person wants it otherwise; none when they think better of it.
///
/// # Errors
/// When the system names no place on a disk.
pub(crate) async fn file(window: &WebviewWindow, name: &str) -> Result<Option<PathBuf>, String> {
    let dialog = dialog(window).set_file_name(name);
    answer(|told| dialog.save_file(told)).await
}

fn dialog(window: &WebviewWindow) -> FileDialogBuilder<tauri::Wry> {
    let dialog = window.dialog().file();
    // GTK puts it before the window by itself.
    if cfg!(target_os = "linux") { dialog } else { dialog.set_parent(window) }
}

type Told = Box<dyn FnOnce(Option<FilePath>) + Send>;

async fn answer(ask: impl FnOnce(Told)) -> Result<Option<PathBuf>, String> {
    let (sender, answer) = oneshot::channel();
    ask(Box::new(move |place| {
        let _ = sender.send(place);
    }));
    let Ok(Some(place)) = answer.await else { return Ok(None) };
    place.into_path().map(Some).map_err(|error| text::no_place(&error.to_string()))
}
